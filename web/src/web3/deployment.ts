// The deployments that this page knows: deployments.json beside it, written by `covey web` or by the build.
import { type Address, type Hex } from "viem";
import { isAddress } from "viem/utils";

/** One deployed contract: its address, first block, and the keccak256 of its code. */
export interface Contract {
  address: Address;
  block: number;
  codeHash: Hex;
}

/** The contracts of one chain, and the endpoint that the host of the page suggests ("" for none). */
export interface Deployment {
  chainId: number;
  rpc: string;
  firstBlock: bigint;
  contracts: Record<ContractName, Contract>;
}

export const CONTRACTS = ["CoveyToken", "Staking", "TaskRegistry", "TaskBounds", "Scoring", "Rewards", "Appeals", "AppealCommittee", "Faults"] as const;
export type ContractName = (typeof CONTRACTS)[number];

/** Loads deployments.json. Throws an Error that says what is wrong with it. */
export async function loadDeployments(): Promise<Deployment[]> {
  const answer = await fetch("./deployments.json", { cache: "no-cache" });
  if (answer.status === 404) return [];
  if (!answer.ok) throw new Error(`deployments.json: HTTP ${answer.status}`);
  const list: unknown = await answer.json();
  if (!Array.isArray(list)) throw new Error("deployments.json is no list");
  return list.map(parseDeployment);
}

/** Checks one deployment of the file. Throws an Error that names the field. */
export function parseDeployment(given: unknown): Deployment {
  const fields = given as { chainId?: unknown; rpc?: unknown; contracts?: Record<string, Partial<Contract> | undefined> } | null;
  if (!fields || !Number.isSafeInteger(fields.chainId)) throw new Error("deployments.json: chainId is missing");
  const contracts: Partial<Record<ContractName, Contract>> = {};
  for (const name of CONTRACTS) {
    const record = fields.contracts?.[name];
    if (!record || typeof record.address !== "string" || !isAddress(record.address)) throw new Error(`deployments.json: address of ${name} is missing`);
    if (!Number.isSafeInteger(record.block)) throw new Error(`deployments.json: block of ${name} is missing`);
    contracts[name] = { address: record.address, block: Number(record.block), codeHash: record.codeHash ?? "0x" };
  }
  const complete = contracts as Record<ContractName, Contract>;
  const firstBlock = BigInt(Math.min(...CONTRACTS.map((name) => complete[name].block)));
  return { chainId: Number(fields.chainId), rpc: typeof fields.rpc === "string" ? fields.rpc : "", firstBlock, contracts: complete };
}
