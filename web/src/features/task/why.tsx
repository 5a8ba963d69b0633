// The sums behind each reward, line by line, as `covey explain` has them.
import { type JSX } from "preact";
import { formatAmount } from "../../lib/units";
import type { Pools } from "../../lib/payouts";
import { short } from "../../ui/base";
import type { Task } from "../../web3/tasks";
import { language, t } from "../../words";
import type { TaskRecord } from "./record";
import type { Recomputed } from "./recompute";

export function Why({ task, record, result, pools }: { task: Task; record: TaskRecord; result: Recomputed; pools: Pools }): JSX.Element {
  const exact = (wei: bigint): string => formatAmount(wei, language.value, 18);
  const { settlement, round } = result;
  return (
    <>
      {record.entries.map((entry) => (
        <details key={`entry/${entry.lane}`}>
          <summary>{t("whyPaid", { operator: short(entry.operator) })}</summary>
          <p>
            {t("whyTrainer", {
              median: result.medians[entry.lane] ?? 0,
              floor: task.params.floorScore,
              power: task.params.power,
              weight: result.weights[entry.lane] ?? 0n,
              total: result.totalWeights,
              pool: exact(pools.trainers),
              reward: exact(result.entryRewards[entry.lane] ?? 0n),
            })}
          </p>
        </details>
      ))}
      {round.rows.map((row, i) => (
        <details key={`row/${row.operator}`}>
          <summary>{t("whyPaid", { operator: short(row.operator) })}</summary>
          <p>
            {t(pools.flat ? "whyFlat" : "whyValidator", {
              seats: row.seats,
              spread: settlement.spread,
              loss: settlement.losses[i] ?? 0,
              gain: settlement.gains[i] ?? 0,
              pool: exact(pools.validators),
              units: pools.flat ? settlement.revealedSeats : settlement.gainSeats,
              reward: exact(result.scoringRewards[i] ?? 0n),
            })}
          </p>
        </details>
      ))}
    </>
  );
}
