// ERC-2612 permits of CoveyToken.
import { type Address, createClient, custom, type Hex } from "viem";
import { getEip712Domain, readContract, signTypedData } from "viem/actions";
import { nonces } from "../abi/CoveyToken";
import { addressOf } from "./read";
import { client } from "./session";
import { account, wallet } from "./wallet";

const TYPES = {
  Permit: [
    { name: "owner", type: "address" },
    { name: "spender", type: "address" },
    { name: "value", type: "uint256" },
    { name: "nonce", type: "uint256" },
    { name: "deadline", type: "uint256" },
  ],
} as const;

/** Has the wallet sign that `spender` may take `value` wei until `deadline`. Throws what the wallet throws. */
export async function signPermit(spender: Address, value: bigint, deadline: bigint): Promise<{ v: number; r: `0x${string}`; s: `0x${string}` }> {
  const owner = account.value;
  const provider = wallet.value?.provider;
  if (!owner || !provider) throw new Error("no wallet");
  const token = addressOf("CoveyToken");
  const [{ domain }, nonce] = await Promise.all([
    getEip712Domain(client.value, { address: token }),
    readContract(client.value, { address: token, abi: nonces, functionName: "nonces", args: [owner] }),
  ]);
  const signature = await signTypedData(createClient({ transport: custom(provider) }), {
    account: owner,
    domain: { name: domain.name, version: domain.version, chainId: domain.chainId, verifyingContract: domain.verifyingContract },
    types: TYPES,
    primaryType: "Permit",
    message: { owner, spender, value, nonce, deadline },
  });
  return parts(signature);
}

/** r, s and v of a 65-byte signature. Some wallets give 0 or 1 as v. Throws a RangeError for another length, as of a smart account. */
function parts(signature: Hex): { v: number; r: Hex; s: Hex } {
  if (signature.length !== 132) throw new RangeError("this account cannot sign a permit: choose the approval");
  const v = Number.parseInt(signature.slice(130), 16);
  return { r: `0x${signature.slice(2, 66)}`, s: `0x${signature.slice(66, 130)}`, v: v < 27 ? v + 27 : v };
}
