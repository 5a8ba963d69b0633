// Times of the blocks of events.
import { type RpcLog } from "viem";
import { getBlock } from "viem/actions";
import { client } from "./session";

/** The time of each log's block, in seconds. Endpoints that put it into the log spare a request a block. */
export async function timesOf(logs: readonly RpcLog[]): Promise<number[]> {
  const known = new Map<string, Promise<number>>();
  const timeOf = (log: RpcLog): Promise<number> => {
    const given = (log as { blockTimestamp?: string }).blockTimestamp;
    if (given) return Promise.resolve(Number(given));
    const number = log.blockNumber ?? "0x0";
    let time = known.get(number);
    if (!time) {
      time = getBlock(client.value, { blockNumber: BigInt(number) }).then((block) => Number(block.timestamp));
      known.set(number, time);
    }
    return time;
  };
  return Promise.all(logs.map(timeOf));
}
