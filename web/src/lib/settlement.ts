// Medians, losses, gains and weights of a scored task, equal to covey.protocol.settlement and Scoring.settlePage.
import { LANES, pageWords } from "./scores";

/** Parameters of a task: h, tau and floor in score units, and the power p of the trainers' weights. */
export interface Rules {
  h: number;
  tau: number;
  floor: number;
  power: number;
}

/** A revealed row: operator, seats, and its score of every entry. */
export interface Row {
  operator: string;
  seats: number;
  scores: readonly number[];
}

/** A settled task: medians and weights by lane, losses and gains in order of reveal. */
export interface Settlement {
  medians: number[];
  weights: bigint[];
  losses: number[];
  gains: number[];
  spread: number;
  totalWeights: bigint;
  gainSeats: bigint;
  revealedSeats: number;
}

/** The smallest x with 2 · weight(values ≤ x) ≥ the sum of weights. Throws a RangeError without a positive weight. */
export function weightedLowerMedian(values: readonly number[], weights: readonly number[]): number {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const pairs = values.map((value, i) => [value, weights[i] ?? 0] as const).sort((a, b) => a[0] - b[0]);
  let reached = 0;
  for (const [value, weight] of pairs) {
    reached += weight;
    if (total > 0 && 2 * reached >= total) return value;
  }
  throw new RangeError("a weighted median needs one value with a positive weight");
}

/** min(max(|difference| − free, 0), tau). */
export function clipped(difference: number, free: number, tau: number): number {
  return Math.min(Math.max(Math.abs(difference) - free, 0), tau);
}

/** G of a page: the clipped distances of each useful median (≥ 2) to the next useful one, cyclic, summed. */
export function pageSpread(medians: readonly number[], h: number, tau: number): number {
  const useful = medians.filter((m) => m >= 2);
  return useful.reduce((sum, m, i) => sum + clipped(m - (useful[(i + 1) % useful.length] ?? m), 2 * h, tau), 0);
}

/** L of a row: the clipped distances of its scores to the medians, summed over all entries. */
export function rowLoss(scores: readonly number[], medians: readonly number[], h: number, tau: number): number {
  return scores.reduce((sum, x, i) => sum + clipped(x - (medians[i] ?? 0), h, tau), 0);
}

/** max(0, median − floor)^power: an entry's weight in the trainers' pool. */
export function weightOf(median: number, floor: number, power: number): bigint {
  return BigInt(Math.max(0, median - floor)) ** BigInt(power);
}

/** More than half of the committed seats, and more than half of the target, revealed. */
export function quorum(revealedSeats: number, committedSeats: number, targetSeats: number): boolean {
  return 2 * revealedSeats > committedSeats && 2 * revealedSeats > targetSeats;
}

/** Settles all pages of a task from its revealed rows, in order of reveal. `committedRows` gives the words a page. */
export function settle(rows: readonly Row[], rules: Rules, committedRows: number, gain: (spread: number, loss: number) => number): Settlement {
  const entries = rows[0]?.scores.length ?? 0;
  if (entries === 0 || rows.some((row) => row.scores.length !== entries)) throw new RangeError("rows must cover the same entries, at least one");
  const seats = rows.map((row) => row.seats);
  const medians = Array.from({ length: entries }, (_, lane) => weightedLowerMedian(rows.map((row) => row.scores[lane] ?? 0), seats));
  const lanes = pageWords(committedRows) * LANES;
  let spread = 0;
  for (let from = 0; from < entries; from += lanes) spread += pageSpread(medians.slice(from, from + lanes), rules.h, rules.tau);
  const losses = rows.map((row) => rowLoss(row.scores, medians, rules.h, rules.tau));
  const gains = losses.map((loss) => gain(spread, loss));
  const weights = medians.map((m) => weightOf(m, rules.floor, rules.power));
  return {
    medians,
    weights,
    losses,
    gains,
    spread,
    totalWeights: weights.reduce((sum, w) => sum + w, 0n),
    gainSeats: rows.reduce((sum, row, i) => sum + BigInt(row.seats) * BigInt(gains[i] ?? 0), 0n),
    revealedSeats: seats.reduce((sum, s) => sum + s, 0),
  };
}
