// What an account has staked and what is leaving, with the ways out.
import { type JSX } from "preact";
import { useMemo, useState } from "preact/hooks";
import { type Address } from "viem";
import { cancel, undelegate, withdraw } from "../../abi/Staking";
import { formatAmount } from "../../lib/units";
import { Account, Amount, dateOf, short, When } from "../../ui/base";
import { addressOf, type Leaving, type Position } from "../../web3/read";
import { isIdle, newProgress, send } from "../../web3/send";
import { language, t } from "../../words";
import { AmountField, amountProblem, weiOf } from "./amount";
import { Steps } from "./progress";

export function Positions({ positions, ready, period, now, done }: { positions: readonly Position[]; ready: boolean; period: number; now: number; done: () => void }): JSX.Element {
  if (positions.length === 0) return <p>{t("noPositions")}</p>;
  return (
    <ul class="plain">
      {positions.map((position) => (
        <PositionCard key={position.operator} position={position} ready={ready} until={now + period} done={done} />
      ))}
    </ul>
  );
}

function PositionCard({ position, ready, until, done }: { position: Position; ready: boolean; until: number; done: () => void }): JSX.Element {
  const [text, setText] = useState("");
  const progress = useMemo(newProgress, [position.operator]);
  const wei = weiOf(text);
  // The share price can move before the transaction is included: all shares leave when the whole worth is typed.
  const shares = wei >= position.worth ? position.shares : (position.shares * wei + position.worth - 1n) / position.worth;
  const problem = amountProblem(text, position.worth, "amountAboveStake");
  const what = t("undelegateWhat", {
    shares: formatAmount(shares, language.value),
    operator: short(position.operator),
    amount: formatAmount(wei, language.value, 18),
    date: dateOf(until),
  });
  const start = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (problem !== "") return;
    const least = wei - wei / 200n;
    if (await send({ address: addressOf("Staking"), abi: undelegate, functionName: "undelegate", args: [position.operator, shares, least] }, what, progress)) {
      setText("");
      done();
    }
  };
  return (
    <li class="card">
      <p>
        <Account address={position.operator} to={`#/operator/${position.operator}`} /> <Amount wei={position.worth} /> CVY
      </p>
      <details>
        <summary>{t("undelegate")}</summary>
        <form onSubmit={(event) => void start(event)}>
          <AmountField id={`undelegate-${position.operator}`} text={text} set={setText} most={position.worth} above="amountAboveStake" />
          {problem === "" && <p>{what}</p>}
          <button type="submit" class="primary" disabled={!ready || problem !== "" || !isIdle(progress.value)}>
            {t("undelegate")}
          </button>
        </form>
      </details>
      <Steps progress={progress.value} />
    </li>
  );
}

export function Leavings({ entries, owner, ready, now, done }: { entries: readonly Leaving[]; owner: Address; ready: boolean; now: number; done: () => void }): JSX.Element {
  if (entries.length === 0) return <p>{t("noUnbonding")}</p>;
  return (
    <ul class="plain">
      {entries.map((entry) => (
        <LeavingCard key={`${entry.operator}/${entry.index}`} entry={entry} owner={owner} ready={ready} now={now} done={done} />
      ))}
    </ul>
  );
}

function LeavingCard({ entry, owner, ready, now, done }: { entry: Leaving; owner: Address; ready: boolean; now: number; done: () => void }): JSX.Element {
  const progress = useMemo(newProgress, [entry.operator, entry.index]);
  const open = entry.until <= now;
  const call = open
    ? { address: addressOf("Staking"), abi: withdraw, functionName: "withdraw", args: [entry.operator, owner, entry.index] }
    : { address: addressOf("Staking"), abi: cancel, functionName: "cancel", args: [entry.operator, entry.index] };
  const what = open ? t("withdrawWhat", { amount: formatAmount(entry.worth, language.value, 18) }) : t("cancelWhat", { amount: formatAmount(entry.worth, language.value, 18), operator: short(entry.operator) });
  const start = (): void => {
    void send(call, what, progress).then((good) => {
      if (good) done();
    });
  };
  return (
    <li class="card">
      <p>
        <Account address={entry.operator} to={`#/operator/${entry.operator}`} /> <Amount wei={entry.worth} /> CVY –{" "}
        {open ? t("withdrawable") : t("slashableUntil", { date: dateOf(entry.until) })} (<When time={entry.until} />)
      </p>
      <p class="note">{what}</p>
      <button type="button" class={open ? "primary" : ""} disabled={!ready || !isIdle(progress.value)} onClick={start}>
        {open ? t("withdraw") : t("cancel")}
      </button>
      <Steps progress={progress.value} />
    </li>
  );
}
