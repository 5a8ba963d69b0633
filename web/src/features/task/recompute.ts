// What the rules say about a task, recomputed from its events, beside what the contracts did.
import { type Address } from "viem";
import { LANES, pack, unpack } from "../../lib/scores";
import { type Settlement, settle } from "../../lib/settlement";
import { seats } from "../../lib/seats";
import { entryReward, type Escrow, gainOf, scoringReward, split, type Pools } from "../../lib/payouts";
import type { Task } from "../../web3/tasks";
import type { Round, TaskRecord } from "./record";

/** One figure: what it is, what the chain says, what the rules say. Both are decimal texts. */
export interface Figure {
  name: string;
  chain: string;
  rules: string;
}

/** A settled committee, recomputed. `medians` include replacements by an appeal; `pools` is null until the task has ended. */
export interface Recomputed {
  round: Round;
  settlement: Settlement;
  medians: number[];
  weights: bigint[];
  totalWeights: bigint;
  pools: Pools | null;
  entryRewards: bigint[];
  scoringRewards: bigint[];
  figures: Figure[];
}

/** Recomputes a task. Returns null while its last committee is not settled. Throws a RangeError for events that do not fit together. */
export function recompute(task: Task, record: TaskRecord, chainId: number, scoring: Address): Recomputed | null {
  const round = record.rounds.at(-1);
  const count = record.entries.length;
  if (!round?.settled || round.rows.length === 0 || count === 0) return null;
  const { params } = task;
  const rules = { h: params.h, tau: params.tau, floor: params.floorScore, power: params.power };
  const rows = round.rows.map((row) => ({ operator: row.operator, seats: row.seats, scores: unpack(row.words, count) }));
  const sealed = params.evaluation === 1;
  const settlement = settle(rows, rules, round.committed.length, (spread, loss) => gainOf(spread, loss, round.number, sealed));
  const figures: Figure[] = [];
  const figure = (name: string, chain: bigint | number, expected: bigint | number): void => void figures.push({ name, chain: String(chain), rules: String(expected) });

  seatFigures(task, record, round, chainId, scoring, figure);
  const words = pack(settlement.medians);
  const claimed = [...round.pages].sort(([a], [b]) => a - b).flatMap(([, page]) => page.medians);
  words.forEach((word, i) => unpackAll(word).forEach((median, lane) => {
    if (i * LANES + lane < count) figure(`median of lane ${i * LANES + lane}`, unpackAll(claimed[i] ?? 0n)[lane] ?? -1, median);
  }));
  round.rows.forEach((row, i) => figure(`loss of ${row.operator}`, lossAt(round.settled?.losses ?? [], i), settlement.losses[i] ?? -1));
  figure("G", round.settled.spread, settlement.spread);
  figure("sum of seats times gain", round.settled.gainSeats, settlement.gainSeats);
  figure("sum of weights", round.settled.weights, settlement.totalWeights);

  for (const { word, replacement } of record.replaced) words[word] = replacement;
  const medians = words.flatMap(unpackAll).slice(0, count);
  const weights = medians.map((m) => BigInt(Math.max(0, m - rules.floor)) ** BigInt(rules.power));
  const totalWeights = weights.reduce((sum, w) => sum + w, 0n);
  const closed = record.closed;
  const pools = closed?.outcome === 1 ? split(escrowOf(task, record, "paid", totalWeights, settlement.gainSeats)) : null;
  const entryRewards = weights.map((weight) => (pools ? entryReward(pools.trainers, weight, totalWeights) : 0n));
  const scoringRewards = rows.map((row, i) => (pools ? scoringReward(pools, row.seats, settlement.gains[i] ?? 0, settlement.gainSeats, settlement.revealedSeats) : 0n));
  if (pools && closed) {
    poolFigures(closed, pools, figure);
    record.entryClaims.forEach((amount, lane) => figure(`reward of lane ${lane}`, amount, entryRewards[lane] ?? -1n));
    record.scoringClaims.forEach((amount, operator) => figure(`reward of ${operator}`, amount, scoringRewards[rows.findIndex((row) => row.operator === operator)] ?? -1n));
  }
  return { round, settlement, medians, weights, totalWeights, pools, entryRewards, scoringRewards, figures };
}

/** The figures of a task that ended without pay; none while it runs or once it is paid. */
export function recomputeUnpaid(task: Task, record: TaskRecord): Figure[] {
  const closed = record.closed;
  if (!closed || closed.outcome < 2) return [];
  const figures: Figure[] = [];
  const pools = split(escrowOf(task, record, closed.outcome === 2 ? "refunded" : "failed", 0n, 0n));
  poolFigures(closed, pools, (name, chain, rules) => void figures.push({ name, chain: String(chain), rules: String(rules) }));
  return figures;
}

function poolFigures(closed: NonNullable<TaskRecord["closed"]>, pools: Pools, figure: (name: string, chain: bigint, rules: bigint) => void): void {
  figure("trainers' pool", closed.trainersPool, pools.trainers);
  figure("validators' pool", closed.validatorsPool, pools.validators);
  figure("to the creator", closed.toCreator, pools.toCreator);
  figure("to the treasury", closed.toTreasury, pools.toTreasury);
}

function escrowOf(task: Task, record: TaskRecord, outcome: Escrow["outcome"], totalWeights: bigint, gainSeats: bigint): Escrow {
  const { bounty, bond, validatorBps } = task.params;
  return {
    outcome, bounty, bond: bond - record.tips - record.appealTips, fees: record.fees, validatorBps, totalWeights, gainSeats, extra: record.extra, appealCost: record.appealCost,
    hasVoidRound: record.hasVoidRound, isWithheld: record.reason === "not opened",
  };
}

function seatFigures(task: Task, record: TaskRecord, round: Round, chainId: number, scoring: Address, figure: (name: string, chain: number, rules: number) => void): void {
  const seed = round.seed;
  if (!seed) return;
  for (const row of round.committed) {
    const earmark = record.enrolled.find((one) => one.operator === row.operator)?.amount ?? 0n;
    const draw = { chainId, scoring, task: BigInt(task.id), round: round.number, seed, operator: row.operator, earmark, total: round.total, targetSeats: task.params.targetSeats };
    figure(`seats of ${row.operator}`, row.seats, earmark > 0n && earmark <= round.total ? seats(draw) : 0);
  }
}

function unpackAll(word: bigint): number[] {
  return Array.from({ length: LANES }, (_, lane) => Number((word >> BigInt(16 * (LANES - 1 - lane))) & 0xffffn));
}

function lossAt(words: readonly bigint[], index: number): number {
  return Number(((words[Math.floor(index / 8)] ?? 0n) >> BigInt(32 * (index % 8))) & 0xffffffffn);
}
