// Delegating: what it means before the wallet opens, then by permit, by approval, or as one batch.
import { type JSX } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { approve } from "../../abi/CoveyToken";
import { delegate, delegateWithPermit } from "../../abi/Staking";
import { toShares } from "../../lib/shares";
import { formatAmount } from "../../lib/units";
import { short } from "../../ui/base";
import { compareEndpoints } from "../../web3/compare";
import { canBatch, sendBatch } from "../../web3/batch";
import { isRejected } from "../../web3/errors";
import { signPermit } from "../../web3/permit";
import { addressOf, type Pool } from "../../web3/read";
import { head } from "../../web3/session";
import { account } from "../../web3/wallet";
import { IDLE, isIdle, newProgress, reasonOf, send } from "../../web3/send";
import { language, t } from "../../words";
import { bps } from "../operators/terms";
import { AmountField, amountProblem, weiOf } from "./amount";
import { Steps } from "./progress";

type Method = "permit" | "approve" | "batch";
const PERMIT_S = 3_600;
/** The share price can move before the transaction is included: this part of the shares, in 1/10000, may be missing. */
const SLIPPAGE_BPS = 50n;

export function DelegateForm({ pool, balance, ready, done }: { pool: Pool; balance: bigint; ready: boolean; done: () => void }): JSX.Element {
  const [text, setText] = useState("");
  const [method, setMethod] = useState<Method>("permit");
  const [batch, setBatch] = useState(false);
  const progress = useMemo(newProgress, [pool.operator]);
  const owner = account.value;
  useEffect(() => {
    void canBatch().then((can) => {
      setBatch(can);
      if (can) setMethod("batch");
    });
  }, [owner]);
  useEffect(() => {
    if (progress.peek().stage !== "idle" && isIdle(progress.peek())) progress.value = IDLE;
  }, [owner]);

  const amount = weiOf(text);
  const shares = toShares(amount, { tokens: pool.activeTokens, shares: pool.activeShares });
  const least = shares - (shares * SLIPPAGE_BPS) / 10_000n;
  const problem = amountProblem(text, balance, "amountAboveBalance");
  const what = t("delegateWhat", {
    amount: formatAmount(amount, language.value, 18),
    shares: formatAmount(shares, language.value),
    operator: short(pool.operator),
    commission: bps(pool.commissionBps),
  });
  const start = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (problem !== "") return;
    const staking = addressOf("Staking");
    progress.value = { ...IDLE, stage: "comparing" };
    const difference = await compareEndpoints(pool.operator);
    if (difference) {
      progress.value = { ...IDLE, stage: "failed", reason: t("endpointsDiffer", { ...difference }) };
      return;
    }
    const plain = { address: staking, abi: delegate, functionName: "delegate", args: [pool.operator, amount, least] };
    const approval = { address: addressOf("CoveyToken"), abi: approve, functionName: "approve", args: [staking, amount] };
    let good = false;
    if (method === "batch") good = await sendBatch([approval, plain], what, progress);
    else if (method === "approve") {
      const approved = await send(approval, t("approveWhat", { amount: formatAmount(amount, language.value, 18) }), progress);
      good = approved && (await send(plain, what, progress));
    } else {
      progress.value = { ...IDLE, stage: "wallet", what: t("approveWhat", { amount: formatAmount(amount, language.value, 18) }) };
      try {
        const deadline = BigInt((head.value?.time ?? 0) + PERMIT_S);
        const { v, r, s } = await signPermit(staking, amount, deadline);
        good = await send({ address: staking, abi: delegateWithPermit, functionName: "delegateWithPermit", args: [pool.operator, amount, least, deadline, v, r, s] }, what, progress);
      } catch (error) {
        progress.value = isRejected(error) ? { ...IDLE, stage: "rejected" } : { ...IDLE, stage: "failed", reason: reasonOf(error) };
      }
    }
    if (good) {
      setText("");
      done();
    }
  };
  return (
    <form onSubmit={(event) => void start(event)} class="card">
      <AmountField id="delegate-amount" text={text} set={setText} most={balance} above="amountAboveBalance" />
      <fieldset>
        <legend>{t("method")}</legend>
        {(batch ? (["batch", "permit", "approve"] as const) : (["permit", "approve"] as const)).map((one) => (
          <label key={one}>
            <input type="radio" name="method" checked={method === one} onChange={() => setMethod(one)} /> {t(`method${one === "permit" ? "Permit" : one === "approve" ? "Approve" : "Batch"}`)}
          </label>
        ))}
      </fieldset>
      {problem === "" && <p>{what}</p>}
      <button type="submit" class="primary" disabled={!ready || problem !== "" || !isIdle(progress.value)}>
        {t("delegate")}
      </button>
      <Steps progress={progress.value} />
    </form>
  );
}
