// Reads that several views share.
import { type Address } from "viem";
import { readContract } from "viem/actions";
import { entryCount, entryOf, operatorAt, operatorCount, poolOf, sharesOf, tokensFor } from "../abi/Staking";
import { client, deployment } from "./session";
import type { ContractName } from "./deployment";

/** The address of a contract of the chosen deployment. Throws an Error without one. */
export function addressOf(name: ContractName): Address {
  const known = deployment.value;
  if (!known) throw new Error("no deployment");
  return known.contracts[name].address;
}

/** A pool as Staking shows it, with its operator. Amounts are wei. */
export type Pool = Awaited<ReturnType<typeof readPool>>;

/** An operator's pool. */
export async function readPool(operator: Address) {
  const pool = await readContract(client.value, { address: addressOf("Staking"), abi: poolOf, functionName: "poolOf", args: [operator] });
  return { operator, ...pool };
}

/** All operators, in order of registration. */
export async function readOperators(): Promise<Address[]> {
  const staking = { address: addressOf("Staking") };
  const count = await readContract(client.value, { ...staking, abi: operatorCount, functionName: "operatorCount" });
  return Promise.all(
    Array.from({ length: Number(count) }, (_, i) => readContract(client.value, { ...staking, abi: operatorAt, functionName: "operatorAt", args: [BigInt(i)] })),
  );
}

/** A holder's stake in one pool: shares, and what they are worth in wei. */
export interface Position {
  operator: Address;
  shares: bigint;
  worth: bigint;
}

/** The pools in which an account has shares. */
export async function readPositions(account: Address, operators: readonly Address[]): Promise<Position[]> {
  const staking = { address: addressOf("Staking") };
  const shares = await Promise.all(operators.map((operator) => readContract(client.value, { ...staking, abi: sharesOf, functionName: "sharesOf", args: [operator, account] })));
  const owned = operators.map((operator, i) => ({ operator, shares: shares[i] ?? 0n })).filter((position) => position.shares > 0n);
  return Promise.all(
    owned.map(async (position) => ({
      ...position,
      worth: await readContract(client.value, { ...staking, abi: tokensFor, functionName: "tokensFor", args: [position.operator, position.shares] }),
    })),
  );
}

/** Stake that left a pool and is not withdrawn yet. Amounts are wei; `until` is seconds of chain time. */
export interface Leaving {
  operator: Address;
  index: bigint;
  tokens: bigint;
  worth: bigint;
  until: number;
  movedTo: Address;
}

/** An account's unbonding entries in these pools. */
export async function readLeaving(account: Address, operators: readonly Address[]): Promise<Leaving[]> {
  const staking = { address: addressOf("Staking") };
  const counts = await Promise.all(operators.map((operator) => readContract(client.value, { ...staking, abi: entryCount, functionName: "entryCount", args: [operator, account] })));
  const wanted = operators.flatMap((operator, i) => Array.from({ length: Number(counts[i] ?? 0n) }, (_, index) => ({ operator, index: BigInt(index) })));
  const entries = await Promise.all(
    wanted.map(async ({ operator, index }) => {
      const entry = await readContract(client.value, { ...staking, abi: entryOf, functionName: "entryOf", args: [operator, account, index] });
      return { operator, index, tokens: entry.tokens, worth: entry.worth, until: entry.until, movedTo: entry.movedTo };
    }),
  );
  return entries.filter((entry) => entry.tokens > 0n);
}
