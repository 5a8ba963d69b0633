// The endpoint that the page reads from, and the head of its chain.
import { computed, signal } from "@preact/signals";
import { type Client, createClient, http } from "viem";
import { getBlock, getChainId } from "viem/actions";
import { oneLine } from "./errors";
import { type Deployment, loadDeployments } from "./deployment";

/** The newest block: number, and time in seconds. */
export interface Head {
  number: bigint;
  time: number;
}

/** Why nothing can be read: the endpoint does not answer, or is of another chain, or there is no deployment. */
export type Problem =
  | { kind: "noDeployment"; reason: string }
  | { kind: "dead"; url: string; reason: string }
  | { kind: "chain"; url: string; got: number; wanted: number };

const POLL_MS = 4_000;
const TIMEOUT_MS = 15_000;

export const deployments = signal<Deployment[]>([]);
export const deployment = signal<Deployment | null>(null);
export const endpoint = signal("");
export const secondEndpoint = signal("");
export const head = signal<Head | null>(null);
export const problem = signal<Problem | null>(null);

/** An absolute address of an endpoint. "/rpc" is beside the page. */
export function absolute(url: string): string {
  return new URL(url, location.href).href;
}

/** A client of an endpoint. Requests of the same moment travel as one batch. */
export function clientOf(url: string): Client {
  return createClient({ transport: http(absolute(url), { batch: { batchSize: 500 }, timeout: TIMEOUT_MS, retryCount: 1 }), pollingInterval: 1_000 });
}

/** The client of the chosen endpoint. */
export const client = computed(() => clientOf(endpoint.value || "/rpc"));

/** Loads the deployments, and follows the head of the first one's chain. */
export async function startSession(): Promise<void> {
  try {
    deployments.value = await loadDeployments();
  } catch (error) {
    problem.value = { kind: "noDeployment", reason: oneLine(error) };
    return;
  }
  const first = deployments.value[0];
  if (!first) {
    problem.value = { kind: "noDeployment", reason: "" };
    return;
  }
  deployment.value = first;
  await useEndpoint(first.rpc || "/rpc");
  setInterval(() => void follow(), POLL_MS);
}

/** Reads from another endpoint, after it has shown that it is of the deployment's chain. Returns whether it is. */
export async function useEndpoint(url: string): Promise<boolean> {
  const found = await check(url);
  problem.value = found;
  if (found) return false;
  endpoint.value = url;
  await follow();
  return problem.value === null;
}

async function check(url: string): Promise<Problem | null> {
  const wanted = deployment.value?.chainId ?? 0;
  try {
    const got = await getChainId(clientOf(url));
    return got === wanted ? null : { kind: "chain", url, got, wanted };
  } catch (error) {
    return { kind: "dead", url, reason: oneLine(error) };
  }
}

/** Reads the newest block now. */
export async function follow(): Promise<void> {
  const url = endpoint.value;
  if (!url) return;
  try {
    const block = await getBlock(client.value, { blockTag: "latest" });
    if (endpoint.value !== url) return;
    const seen = head.value;
    if (seen?.number !== block.number || seen.time !== Number(block.timestamp)) head.value = { number: block.number, time: Number(block.timestamp) };
    problem.value = null;
  } catch (error) {
    if (endpoint.value === url) problem.value = { kind: "dead", url, reason: oneLine(error) };
  }
}
