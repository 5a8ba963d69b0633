// One transaction from the wallet: compared, simulated, signed, followed until it is final. Loaded with the views that send.
import { signal, type Signal } from "@preact/signals";
import { type Abi, type Address, createClient, custom, type Hex } from "viem";
import { getBlock, getTransaction, getTransactionCount, getTransactionReceipt, simulateContract, writeContract } from "viem/actions";
import { errors as appealErrors } from "../abi/Appeals";
import { errors as registryErrors } from "../abi/TaskRegistry";
import { errors as rewardsErrors } from "../abi/Rewards";
import { errors as stakingErrors } from "../abi/Staking";
import { errors as tokenErrors } from "../abi/CoveyToken";
import { isRejected, oneLine, revertOf } from "./errors";
import { client, head } from "./session";
import { account, wallet } from "./wallet";

/** Errors that bubble up from any contract of the deployment. */
const ALL_ERRORS = [...tokenErrors, ...stakingErrors, ...registryErrors, ...rewardsErrors, ...appealErrors];

/** A contract call. */
export interface Call {
  address: Address;
  abi: readonly unknown[];
  functionName: string;
  args: readonly unknown[];
}

/** Where a transaction is. `reason`, `hash` and `block` are set where they are known. */
export interface Progress {
  stage: "idle" | "comparing" | "simulating" | "wallet" | "sent" | "included" | "final" | "reverted" | "rejected" | "replaced" | "dropped" | "reorganised" | "failed";
  what: string;
  reason: string;
  hash: Hex | "";
  block: bigint;
}

export const IDLE: Progress = { stage: "idle", what: "", reason: "", hash: "", block: 0n };
const POLL_MS = 1_500;
/** Polls in a row without a trace of the transaction after which it counts as dropped. */
const LOST_POLLS = 20;

/** A new follower of one transaction after another. */
export function newProgress(): Signal<Progress> {
  return signal(IDLE);
}

/** Whether a new transaction may start. */
export function isIdle(progress: Progress): boolean {
  return !["comparing", "simulating", "wallet", "sent", "included", "reorganised"].includes(progress.stage);
}

/** The name and arguments of a revert, or the first line of another error. */
export function reasonOf(error: unknown): string {
  const revert = revertOf(error);
  return revert ? `${revert.name}(${revert.args.map(String).join(", ")})` : oneLine(error);
}

/**
 * Simulates a call on the page's endpoint, has the wallet sign and send it, and follows it. Resolves once the transaction is included
 * (true) or will not be (false); `progress` goes on to its finality.
 */
export async function send(call: Call, what: string, progress: Signal<Progress>): Promise<boolean> {
  const from = account.value;
  const provider = wallet.value?.provider;
  if (!from || !provider) return false;
  const set = (change: Partial<Progress>): void => {
    progress.value = { ...progress.value, ...change };
  };
  progress.value = { ...IDLE, stage: "simulating", what };
  let hash: Hex;
  try {
    const abi = [...(call.abi as Abi), ...ALL_ERRORS] as Abi;
    await simulateContract(client.value, { ...call, abi, account: from });
    set({ stage: "wallet" });
    if (account.value !== from) throw new Error("account changed");
    const signer = createClient({ transport: custom(provider) });
    hash = await writeContract(signer, { ...call, abi: call.abi as Abi, account: from, chain: null });
  } catch (error) {
    set(isRejected(error) ? { stage: "rejected" } : { stage: "failed", reason: reasonOf(error) });
    return false;
  }
  set({ stage: "sent", hash });
  return follow(hash, from, progress);
}

/** Follows a sent transaction. Resolves at its first inclusion or when it will not be included. */
function follow(hash: Hex, from: Address, progress: Signal<Progress>): Promise<boolean> {
  const set = (change: Partial<Progress>): void => {
    progress.value = { ...progress.value, ...change };
  };
  return new Promise((resolve) => {
    let nonce: number | null = null;
    let unseen = 0;
    let included: Hex | null = null;
    const look = async (): Promise<boolean> => {
      const receipt = await getTransactionReceipt(client.value, { hash }).catch(() => null);
      if (receipt) {
        unseen = 0;
        if (receipt.status === "reverted") {
          set({ stage: "reverted", block: receipt.blockNumber, reason: hash });
          resolve(false);
          return true;
        }
        if (included !== receipt.blockHash) {
          included = receipt.blockHash;
          set({ stage: "included", block: receipt.blockNumber });
          resolve(true);
        }
        if (!(await isFinal(receipt.blockNumber))) return false;
        set({ stage: "final" });
        return true;
      }
      if (included) {
        included = null;
        set({ stage: "reorganised", block: 0n });
      }
      const pending = await getTransaction(client.value, { hash }).catch(() => null);
      if (pending) {
        nonce = pending.nonce;
        unseen = 0;
        return false;
      }
      const used = await getTransactionCount(client.value, { address: from }).catch(() => 0);
      if (nonce !== null && used > nonce) {
        const again = await getTransactionReceipt(client.value, { hash }).catch(() => null);
        if (again) return false;
        set({ stage: "replaced" });
        resolve(false);
        return true;
      }
      unseen += 1;
      if (unseen === LOST_POLLS) {
        set({ stage: "dropped" });
        resolve(false);
      }
      return false;
    };
    const poll = (): void => {
      look().then(
        (done) => {
          if (!done) setTimeout(poll, POLL_MS);
        },
        () => setTimeout(poll, POLL_MS),
      );
    };
    poll();
  });
}

/** Confirmations that count as final where the chain has no finality of its own. */
const CONFIRMATIONS = 12n;

async function isFinal(block: bigint): Promise<boolean> {
  const final = await getBlock(client.value, { blockTag: "finalized" }).catch(() => null);
  if (final && final.number > 0n && final.number >= block) return true;
  // A local chain never finalises: its blocks count after some confirmations.
  return (!final || final.number === 0n) && (head.value?.number ?? 0n) >= block + CONFIRMATIONS;
}
