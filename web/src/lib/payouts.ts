// Payouts of a paid task in wei, equal to covey.protocol.payouts and Rewards to the last wei. Shares are rounded down.

const BPS = 10_000n;

/** How a paid escrow splits, wei. `flat`: no validator has a gain, so a quarter of their pool is shared by revealed seats. */
export interface Pools {
  trainers: bigint;
  validators: bigint;
  toCreator: bigint;
  toTreasury: bigint;
  flat: boolean;
}

/** An escrow at its end: amounts in wei; the creator's bond after tips. Of a paid task unless `outcome` says otherwise. */
export interface Escrow {
  outcome: "paid" | "refunded" | "failed";
  bounty: bigint;
  bond: bigint;
  fees: bigint;
  validatorBps: number;
  totalWeights: bigint;
  gainSeats: bigint;
  extra: bigint;
  appealCost: bigint;
  /** Every median of a round was 0. */
  hasVoidRound: boolean;
  /** The creator did not open its sealed set. */
  isWithheld: boolean;
}

/** Gain of a row: max(0, G − 2·loss). In a second committee 1 where that is above 0; in one of a sealed task 1 where G > 0 and the loss is 0. */
export function gainOf(spread: number, loss: number, round: number, sealed: boolean): number {
  if (round === 0) return Math.max(0, spread - 2 * loss);
  return sealed ? Number(spread > 0 && loss === 0) : Number(spread > 2 * loss);
}

/** Splits the escrow of an ended task. */
export function split(escrow: Escrow): Pools {
  const { bounty, bond, fees, extra, appealCost, totalWeights, gainSeats } = escrow;
  const none = { trainers: 0n, validators: 0n, flat: false };
  if (escrow.outcome !== "paid") {
    const half = bounty / 2n;
    if (escrow.outcome === "failed" && escrow.hasVoidRound) return { ...none, toCreator: half + bond, toTreasury: bounty - half + fees + extra };
    if (escrow.outcome === "failed" && escrow.isWithheld) return { ...none, toCreator: half, toTreasury: bounty - half + bond + extra };
    return { ...none, toCreator: bounty + bond, toTreasury: extra };
  }
  const bps = BigInt(escrow.validatorBps);
  const own = (bounty * bps) / BPS + fees;
  const fromBounty = ((bounty + extra) * bps) / BPS;
  const validators = fromBounty + fees - appealCost;
  const trainers = bounty + extra - fromBounty;
  const shared = (own < validators ? own : validators) / 4n;
  if (totalWeights === 0n) {
    const half = (bounty * (BPS - bps)) / (2n * BPS);
    return { trainers: 0n, validators: shared, toCreator: bond + half, toTreasury: trainers - half + validators - shared, flat: true };
  }
  if (gainSeats === 0n) return { trainers, validators: shared, toCreator: bond, toTreasury: validators - shared, flat: true };
  return { trainers, validators, toCreator: bond, toTreasury: 0n, flat: false };
}

/** An entry's share of the trainers' pool, wei. */
export function entryReward(trainersPool: bigint, weight: bigint, totalWeights: bigint): bigint {
  return totalWeights === 0n ? 0n : (trainersPool * weight) / totalWeights;
}

/** A revealed validator's share of the validators' pool, wei. */
export function scoringReward(pools: Pools, seats: number, gain: number, gainSeats: bigint, revealedSeats: number): bigint {
  if (pools.flat) return revealedSeats === 0 ? 0n : (pools.validators * BigInt(seats)) / BigInt(revealedSeats);
  return (pools.validators * BigInt(seats) * BigInt(gain)) / gainSeats;
}
