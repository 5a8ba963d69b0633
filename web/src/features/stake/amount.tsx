// A field for an amount of CVY.
import { type JSX } from "preact";
import { formatAmount, parseAmount, toDecimal } from "../../lib/units";
import { type Key, language, t } from "../../words";

/** Why an amount cannot be used, in words; "" if it can. `most` is in wei. */
export function amountProblem(text: string, most: bigint, above: "amountAboveBalance" | "amountAboveStake"): string {
  const parsed = parseAmount(text);
  if ("error" in parsed) return t(`amount${parsed.error[0]?.toUpperCase() ?? ""}${parsed.error.slice(1)}` as Key);
  if (parsed.wei === 0n) return t("amountZero");
  return parsed.wei > most ? t(above, { amount: formatAmount(most, language.value, 18) }) : "";
}

/** The wei of a text that has no problem, else 0. */
export function weiOf(text: string): bigint {
  const parsed = parseAmount(text);
  return "wei" in parsed ? parsed.wei : 0n;
}

/** The field, a button that fills in all there is, and what is wrong once something was typed. */
export function AmountField({ id, text, set, most, above }: { id: string; text: string; set: (text: string) => void; most: bigint; above: "amountAboveBalance" | "amountAboveStake" }): JSX.Element {
  const problem = text === "" ? "" : amountProblem(text, most, above);
  return (
    <div class="field">
      <label for={id}>{t("amount")} (CVY)</label>
      <div class="row">
        <input id={id} inputMode="decimal" autocomplete="off" value={text} onInput={(event) => set(event.currentTarget.value)} aria-invalid={problem !== ""} aria-describedby={`${id}-problem`} />
        <button type="button" onClick={() => set(toDecimal(most))}>
          {t("max")}
        </button>
      </div>
      <p id={`${id}-problem`} class="problem">
        {problem}
      </p>
    </div>
  );
}
