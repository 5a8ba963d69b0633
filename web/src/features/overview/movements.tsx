// Rewards and slashes over time, from the events of Staking.
import { type JSX } from "preact";
import { useState } from "preact/hooks";
import { decodeEventLog } from "viem/utils";
import { RewardAddedEvent, SlashedEvent } from "../../abi/Staking";
import { topicOf } from "../../web3/topics";
import { deployment, head } from "../../web3/session";
import { readLogs } from "../../web3/logs";
import { addressOf } from "../../web3/read";
import { timesOf } from "../../web3/times";
import { useData } from "../../web3/use-data";
import { Amount, Fact, Show } from "../../ui/base";
import { Plot, type Point } from "../../ui/plot";
import { formatAmount, toDecimal } from "../../lib/units";
import { language, t } from "../../words";

const ABI = [...RewardAddedEvent, ...SlashedEvent] as const;
const MOST_POINTS = 400;

/** A running sum over time. */
function summed(amounts: readonly { time: number; wei: bigint }[]): Point[] {
  let sum = 0n;
  const points = amounts.map(({ time, wei }) => {
    sum += wei;
    return { time, value: Number(toDecimal(sum)), text: formatAmount(sum, language.value, 2) };
  });
  const step = Math.ceil(points.length / MOST_POINTS);
  return step > 1 ? points.filter((_, i) => i % step === 0 || i === points.length - 1) : points;
}

/** Loads when the reader opens it: the whole history needs as many requests as the endpoint's limit of blocks asks for. */
export function Movements(): JSX.Element {
  const [open, setOpen] = useState(false);
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        {t("paidOut")}, {t("slashed")}
      </summary>
      {open && <Loaded />}
    </details>
  );
}

function Loaded(): JSX.Element {
  const [at, setAt] = useState(0n);
  const end = head.value?.number ?? 0n;
  const moves = useData(async () => {
    const logs = await readLogs({ address: addressOf("Staking"), topics: [ABI.map(topicOf)] }, deployment.value?.firstBlock ?? 0n, end, setAt);
    const times = await timesOf(logs);
    const rewards: { time: number; wei: bigint }[] = [];
    const slashes: { time: number; wei: bigint }[] = [];
    logs.forEach((log, i) => {
      const event = decodeEventLog({ abi: ABI, topics: log.topics as never, data: log.data });
      const time = times[i] ?? 0;
      if (event.eventName === "RewardAdded") rewards.push({ time, wei: event.args.amount });
      else slashes.push({ time, wei: event.args.fromActive + event.args.fromUnbonding });
    });
    return { rewards, slashes };
  }, []);
  const until = head.value?.time ?? 0;
  const sum = (amounts: readonly { wei: bigint }[]): bigint => amounts.reduce((total, one) => total + one.wei, 0n);
  return (
    <>
      {moves.value === null && <p aria-busy="true">{t("scanned", { block: at, head: end })}</p>}
      <Show of={moves}>
        {(found) => (
          <>
            <dl class="facts">
              <Fact name={t("paidOut")}>
                <Amount wei={sum(found.rewards)} digits={2} /> CVY
              </Fact>
              <Fact name={t("slashed")}>
                <Amount wei={sum(found.slashes)} digits={2} /> CVY
              </Fact>
            </dl>
            <Plot title={t("rewardsOverTime")} points={summed(found.rewards)} until={until} />
            <Plot title={t("slashed")} points={summed(found.slashes)} until={until} />
          </>
        )}
      </Show>
    </>
  );
}
