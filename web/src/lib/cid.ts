// CIDs: a digest on the chain is the sha2-256 of a dag-pb block.
import { type Hex } from "viem";
import { hexToBytes } from "viem/utils";

const BASE32 = "abcdefghijklmnopqrstuvwxyz234567";

/** Codecs of blocks. */
export const DAG_PB = 0x70;
export const RAW = 0x55;

/** The CIDv1 (sha2-256) of a 32-byte digest, in base32. */
export function cidOf(digest: Hex, codec: number = DAG_PB): string {
  const bytes = [0x01, codec, 0x12, 0x20, ...hexToBytes(digest)];
  let bits = 0;
  let value = 0;
  let text = "b";
  for (const byte of bytes) {
    value = (value << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      text += BASE32[(value >>> (bits - 5)) & 31] ?? "";
      bits -= 5;
    }
    value &= (1 << bits) - 1;
  }
  return bits > 0 ? text + (BASE32[(value << (5 - bits)) & 31] ?? "") : text;
}

/** Whether the sha2-256 of a block's bytes is the digest. */
export async function matches(block: Uint8Array<ArrayBuffer>, digest: Hex): Promise<boolean> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", block));
  const wanted = hexToBytes(digest);
  return hash.length === wanted.length && hash.every((byte, i) => byte === wanted[i]);
}

/** The links and data of a dag-pb block: names and CIDs (as bytes) of files, and the UnixFS bytes. Throws a RangeError for other bytes. */
export function parseDagPb(block: Uint8Array): { links: { name: string; hash: Uint8Array }[]; data: Uint8Array } {
  const links: { name: string; hash: Uint8Array }[] = [];
  let data = new Uint8Array();
  for (const field of fields(block)) {
    if (field.number === 1) data = new Uint8Array(field.bytes);
    if (field.number !== 2) continue;
    const link = { name: "", hash: new Uint8Array() };
    for (const part of fields(field.bytes)) {
      if (part.number === 1) link.hash = new Uint8Array(part.bytes);
      if (part.number === 2) link.name = new TextDecoder().decode(part.bytes);
    }
    links.push(link);
  }
  return { links, data };
}

/** The content bytes of a UnixFS file node that holds its data itself. */
export function unixFsData(data: Uint8Array): Uint8Array {
  for (const field of fields(data)) if (field.number === 2) return field.bytes;
  return new Uint8Array();
}

/** Length-delimited fields of a protobuf message; others are skipped. */
function* fields(bytes: Uint8Array): Generator<{ number: number; bytes: Uint8Array }> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; shift < 49; shift += 7) {
      const byte = bytes[at++];
      if (byte === undefined) throw new RangeError("a block ends within a field");
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new RangeError("a number in a block is too long");
  };
  while (at < bytes.length) {
    const tag = varint();
    const kind = tag % 8;
    if (kind === 0) varint();
    else if (kind === 2) {
      const length = varint();
      if (at + length > bytes.length) throw new RangeError("a block ends within a field");
      yield { number: Math.floor(tag / 8), bytes: bytes.subarray(at, at + length) };
      at += length;
    } else throw new RangeError("a block has a field of an unknown kind");
  }
}
