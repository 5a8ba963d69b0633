// What happens to a transaction, in words.
import { type JSX } from "preact";
import { short } from "../../ui/base";
import type { Progress } from "../../web3/send";
import { t } from "../../words";

/** A polite announcement of each step. Nothing while no transaction was started. */
export function Steps({ progress }: { progress: Progress }): JSX.Element {
  const bad = ["reverted", "rejected", "replaced", "dropped", "failed"].includes(progress.stage);
  return (
    <p role="status" class={bad ? "problem" : progress.stage === "final" ? "good" : ""}>
      {words(progress)}
      {progress.hash && (
        <>
          {" "}
          <span title={progress.hash}>{short(progress.hash)}</span>
        </>
      )}
    </p>
  );
}

function words({ stage, what, reason, block, hash }: Progress): string {
  switch (stage) {
    case "idle":
      return "";
    case "comparing":
    case "simulating":
    case "sent":
    case "rejected":
    case "dropped":
    case "reorganised":
      return t(stage);
    case "wallet":
      return t("askWallet", { what });
    case "included":
    case "final":
      return t(stage, { block });
    case "replaced":
      return t("replaced", { hash });
    case "reverted":
    case "failed":
      return t(stage, { reason });
  }
}
