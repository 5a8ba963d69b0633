// Events over long ranges of blocks: an endpoint that refuses a range gets a smaller one.
import { type Address, type Hex, type RpcLog } from "viem";
import { numberToHex } from "viem/utils";
import { client } from "./session";

/** Which events: of these addresses, with these topics (null: any; a list: one of them). */
export interface Filter {
  address: Address | readonly Address[];
  topics: readonly (Hex | readonly Hex[] | null)[];
}

/** Reads all matching events of a range of blocks, both ends included, in chain order. `progress` gets the last block read. */
export async function readLogs(filter: Filter, from: bigint, to: bigint, progress: (block: bigint) => void = () => undefined): Promise<RpcLog[]> {
  const found: RpcLog[] = [];
  let size = to - from + 1n;
  for (let start = from; start <= to; ) {
    const end = start + size - 1n < to ? start + size - 1n : to;
    try {
      const logs = await client.value.request({
        method: "eth_getLogs",
        params: [{ address: filter.address as Address, topics: filter.topics as never, fromBlock: numberToHex(start), toBlock: numberToHex(end) }],
      });
      found.push(...(logs as RpcLog[]));
      progress(end);
      start = end + 1n;
    } catch (error) {
      // Endpoints word "too many blocks or results" in many ways. A single block that is refused is another trouble.
      if (end === start) throw error;
      size = (end - start + 1n) / 2n;
    }
  }
  return found;
}
