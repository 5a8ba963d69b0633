// Sortition: the seats of an operator's earmark (covey.protocol.seats).
import { type Address, type Hex } from "viem";
import { encodeAbiParameters, keccak256 } from "viem/utils";

const DRAW = [{ type: "uint256" }, { type: "address" }, { type: "uint256" }, { type: "uint256" }, { type: "bytes32" }, { type: "address" }] as const;

/** What an operator's draw depends on. `earmark` and `total` are wei. */
export interface Draw {
  chainId: number;
  scoring: Address;
  task: bigint;
  round: number;
  seed: Hex;
  operator: Address;
  earmark: bigint;
  total: bigint;
  targetSeats: number;
}

/** floor((K·e + floor(u·S / 2^128)) / S), where u is the upper half of a hash of seed and operator. */
export function seats(draw: Draw): number {
  if (draw.total <= 0n || draw.earmark < 0n || draw.earmark > draw.total) throw new RangeError("the earmark is no share of the stake");
  const hash = keccak256(encodeAbiParameters(DRAW, [BigInt(draw.chainId), draw.scoring, draw.task, BigInt(draw.round), draw.seed, draw.operator]));
  const u = BigInt(hash) >> 128n;
  return Number((BigInt(draw.targetSeats) * draw.earmark + ((u * draw.total) >> 128n)) / draw.total);
}
