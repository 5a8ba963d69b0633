// EIP-5792: several calls in one confirmation, where the wallet makes them atomic.
import type { Signal } from "@preact/signals";
import { type Abi, createClient, custom } from "viem";
import { getCapabilities, sendCalls, simulateContract, waitForCallsStatus } from "viem/actions";
import { isRejected } from "./errors";
import { client, deployment } from "./session";
import { type Call, IDLE, type Progress, reasonOf } from "./send";
import { account, wallet } from "./wallet";

/** Whether the wallet says that it makes batches atomic on the page's chain. */
export async function canBatch(): Promise<boolean> {
  const provider = wallet.value?.provider;
  const from = account.value;
  const chainId = deployment.value?.chainId;
  if (!provider || !from || chainId === undefined) return false;
  try {
    const capabilities = await getCapabilities(createClient({ transport: custom(provider) }), { account: from, chainId });
    const atomic = capabilities.atomic as { status?: string } | undefined;
    return atomic?.status === "supported" || atomic?.status === "ready";
  } catch {
    return false; // wallets before EIP-5792 do not know the method
  }
}

/** Sends calls as one atomic batch. Returns whether it was included. The first call is simulated; the others depend on it. */
export async function sendBatch(calls: readonly Call[], what: string, progress: Signal<Progress>): Promise<boolean> {
  const provider = wallet.value?.provider;
  const from = account.value;
  const first = calls[0];
  if (!provider || !from || !first) return false;
  const set = (change: Partial<Progress>): void => {
    progress.value = { ...progress.value, ...change };
  };
  progress.value = { ...IDLE, stage: "simulating", what };
  try {
    await simulateContract(client.value, { ...first, abi: first.abi as Abi, account: from });
    set({ stage: "wallet" });
    const signer = createClient({ transport: custom(provider) });
    const { id } = await sendCalls(signer, {
      account: from,
      chain: { id: deployment.value?.chainId ?? 0, name: "", nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 }, rpcUrls: { default: { http: [] } } },
      forceAtomic: true,
      calls: calls.map((call) => ({ to: call.address, abi: call.abi as Abi, functionName: call.functionName, args: call.args })),
    });
    set({ stage: "sent" });
    const result = await waitForCallsStatus(signer, { id, timeout: 600_000 });
    const block = result.receipts?.at(-1)?.blockNumber ?? 0n;
    if (result.status !== "success") {
      set({ stage: "reverted", reason: id, block });
      return false;
    }
    set({ stage: "included", block });
    return true;
  } catch (error) {
    set(isRejected(error) ? { stage: "rejected" } : { stage: "failed", reason: reasonOf(error) });
    return false;
  }
}
