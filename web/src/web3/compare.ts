// What a person is about to sign, compared between two endpoints.
import { type Address } from "viem";
import { getChainId, readContract } from "viem/actions";
import { poolOf } from "../abi/Staking";
import { addressOf } from "./read";
import { client, clientOf, secondEndpoint } from "./session";

/** What two endpoints disagree about, and what each says. */
export interface Difference {
  what: string;
  first: string;
  second: string;
}

/**
 * Compares chain, commission, reward address and signer of an operator, which a delegation depends on. Amounts move from block to
 * block, so they are not compared. Returns null if both agree or there is no second endpoint. A second endpoint that does not answer
 * is a difference.
 */
export async function compareEndpoints(operator: Address): Promise<Difference | null> {
  const url = secondEndpoint.value;
  if (url === "") return null;
  const read = async (from: ReturnType<typeof clientOf>) => {
    const [chain, pool] = await Promise.all([getChainId(from), readContract(from, { address: addressOf("Staking"), abi: poolOf, functionName: "poolOf", args: [operator] })]);
    return { chain, signer: pool.signer, rewardAddress: pool.rewardAddress, commissionBps: pool.commissionBps, jailedUntil: pool.jailedUntil };
  };
  const first = await read(client.value);
  let second: typeof first;
  try {
    second = await read(clientOf(url));
  } catch {
    return { what: url, first: "–", second: "no answer" };
  }
  for (const key of Object.keys(first) as (keyof typeof first)[]) {
    if (first[key] !== second[key]) return { what: key, first: String(first[key]), second: String(second[key]) };
  }
  return null;
}
