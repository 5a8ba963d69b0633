// Wallets of the browser (EIP-6963), and the account and chain of the chosen one.
import { signal } from "@preact/signals";
import { type Address, type EIP1193Provider, type Hex, numberToHex } from "viem";
import { getAddress } from "viem/utils";

/** A wallet that announced itself. */
export interface Wallet {
  id: string;
  name: string;
  provider: EIP1193Provider;
}

interface Announcement extends Event {
  detail: { info: { uuid: string; name: string }; provider: EIP1193Provider };
}

export const wallets = signal<Wallet[]>([]);
export const wallet = signal<Wallet | null>(null);
export const account = signal<Address | null>(null);
export const walletChain = signal(0);

addEventListener("eip6963:announceProvider", (event) => {
  const { info, provider } = (event as Announcement).detail;
  if (wallets.value.some((known) => known.id === info.uuid)) return;
  wallets.value = [...wallets.value, { id: info.uuid, name: info.name, provider }];
});
dispatchEvent(new Event("eip6963:requestProvider"));

/** Asks a wallet for its account. Throws what the wallet throws, for instance that the person refused. */
export async function connect(chosen: Wallet): Promise<void> {
  forget();
  const accounts = await chosen.provider.request({ method: "eth_requestAccounts" });
  const chain = await chosen.provider.request({ method: "eth_chainId" });
  wallet.value = chosen;
  accountsChanged(accounts);
  chainChanged(chain);
  chosen.provider.on("accountsChanged", accountsChanged);
  chosen.provider.on("chainChanged", chainChanged);
}

/** Forgets the wallet. The page then shows nobody's stake. */
export function forget(): void {
  wallet.value?.provider.removeListener("accountsChanged", accountsChanged);
  wallet.value?.provider.removeListener("chainChanged", chainChanged);
  wallet.value = null;
  account.value = null;
  walletChain.value = 0;
}

/** Asks the wallet to use a chain, and to learn it from this page's endpoint if it does not know it. */
export async function switchChain(chainId: number, rpc: string): Promise<void> {
  const provider = wallet.value?.provider;
  if (!provider) return;
  const id = numberToHex(chainId);
  try {
    await provider.request({ method: "wallet_switchEthereumChain", params: [{ chainId: id }] });
  } catch (error) {
    if ((error as { code?: number }).code !== 4902) throw error;
    await provider.request({
      method: "wallet_addEthereumChain",
      params: [{ chainId: id, chainName: `Chain ${chainId}`, rpcUrls: [rpc], nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 } }],
    });
  }
  chainChanged(await provider.request({ method: "eth_chainId" }));
}

function accountsChanged(accounts: readonly Address[]): void {
  const first = accounts[0];
  account.value = first ? getAddress(first) : null;
}

function chainChanged(chain: Hex): void {
  walletChain.value = Number(chain);
}
