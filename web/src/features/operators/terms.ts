// Words for an operator's terms.
import type { Pool } from "../../web3/read";

/** 1/10000 as a percentage. */
export function bps(value: number): string {
  return `${(value / 100).toFixed(2)} %`;
}

/** The key of the words for whether an operator takes stake and duties. */
export function statusOf(pool: Pool): "jailed" | "eligible" | "notEligible" {
  if (pool.jailedUntil !== 0) return "jailed";
  return pool.bonded ? "eligible" : "notEligible";
}
