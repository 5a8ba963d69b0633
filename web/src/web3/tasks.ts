// A task's facts, from views alone.
import { readContract } from "viem/actions";
import { paramsOf, scheduleOf, stateOf, taskCount } from "../abi/TaskRegistry";
import { roundOf } from "../abi/Scoring";
import { type Phase, phaseAt } from "../lib/phase";
import { client } from "./session";
import { addressOf } from "./read";

/** What a list of tasks shows. Amounts are wei, times seconds of chain time. */
export type Task = Awaited<ReturnType<typeof readTask>>;

export const OUTCOMES = ["running", "paid", "refunded", "failedOutcome"] as const;

/** The number of tasks. Their ids are 1 to it. */
export async function readTaskCount(): Promise<number> {
  return Number(await readContract(client.value, { address: addressOf("TaskRegistry"), abi: taskCount, functionName: "taskCount" }));
}

/** Parameters, schedule, state and current round of a task. */
export async function readTask(id: number) {
  const registry = { address: addressOf("TaskRegistry"), args: [BigInt(id)] as const };
  const [params, schedule, state, round] = await Promise.all([
    readContract(client.value, { ...registry, abi: paramsOf, functionName: "paramsOf" }),
    readContract(client.value, { ...registry, abi: scheduleOf, functionName: "scheduleOf" }),
    readContract(client.value, { ...registry, abi: stateOf, functionName: "stateOf" }),
    readContract(client.value, { address: addressOf("Scoring"), abi: roundOf, functionName: "roundOf", args: [BigInt(id)] }),
  ]);
  return { id, params, schedule, state, round };
}

/** The step that a task waits for at a chain time, and when its window ends (0: none). */
export function phaseOf(task: Task, now: number): { phase: Phase; until: number } {
  const { params, schedule, state, round } = task;
  return phaseAt(
    {
      ...schedule,
      running: state.outcome === 0,
      sealed: params.evaluation === 1,
      sealedOpen: state.sealedOpen,
      committed: state.committed,
      minEntries: params.minEntries,
      revealed: state.revealed,
      totalEarmarked: state.totalEarmarked,
      minStake: params.minStake,
      targetSeats: params.targetSeats,
      appeal: params.windows.appeal,
      target: BigInt(round.target),
      scoreCommitEnd: round.scoreCommitEnd,
      scoreRevealEnd: round.scoreRevealEnd,
      committedRows: round.committedRows,
      revealedRows: round.revealedRows,
      committedSeats: round.committedSeats,
      revealedSeats: round.revealedSeats,
      settledAt: round.settledAt,
    },
    now,
  );
}

/** The key of a phase's words. */
export function phaseKey(phase: Phase) {
  return phase === "ended" ? ("endedTasks" as const) : (`phase${phase[0]?.toUpperCase()}${phase.slice(1)}` as `phase${Capitalize<Exclude<Phase, "ended">>}`);
}
