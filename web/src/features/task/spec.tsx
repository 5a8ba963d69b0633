// A task's specification: its CID, and its bytes, checked against the CID in the browser.
import { type JSX } from "preact";
import { useState } from "preact/hooks";
import { type Hex } from "viem";
import { cidOf, DAG_PB, matches, parseDagPb, RAW, unixFsData } from "../../lib/cid";
import { oneLine } from "../../web3/errors";
import { bytesToHex } from "viem/utils";
import { t } from "../../words";

const MOST_BYTES = 2 ** 20;

async function fetchBlock(gateway: string, cid: string): Promise<Uint8Array<ArrayBuffer>> {
  const answer = await fetch(`${gateway.replace(/\/+$/, "")}/ipfs/${cid}?format=raw`, { headers: { accept: "application/vnd.ipld.raw" } });
  if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
  const bytes = new Uint8Array(await answer.arrayBuffer());
  if (bytes.length > MOST_BYTES) throw new Error(`${bytes.length} bytes`);
  return bytes;
}

/** The spec of a digest: the only file of a folder, or a file itself. Every block is checked against its CID. */
async function fetchSpec(gateway: string, digest: Hex): Promise<Uint8Array | null> {
  const block = await fetchBlock(gateway, cidOf(digest));
  if (!(await matches(block, digest))) return null;
  const node = parseDagPb(block);
  const link = node.links[0];
  if (!link) return unixFsData(node.data);
  // A CIDv1 in binary: version, codec (raw 0x55 or dag-pb 0x70), sha2-256 (0x12), 32, digest.
  const codec = link.hash[1] === RAW ? RAW : DAG_PB;
  const inner = bytesToHex(link.hash.subarray(4));
  const file = await fetchBlock(gateway, cidOf(inner, codec));
  if (!(await matches(file, inner))) return null;
  return codec === RAW ? file : unixFsData(parseDagPb(file).data);
}

export function Spec({ digest }: { digest: Hex }): JSX.Element {
  const [gateway, setGateway] = useState("");
  const [text, setText] = useState("");
  const [message, setMessage] = useState("");
  const load = (event: Event): void => {
    event.preventDefault();
    setText("");
    fetchSpec(gateway, digest).then(
      (bytes) => {
        setMessage(bytes ? t("specFetched", { n: bytes.length }) : t("specWrong"));
        if (bytes) setText(pretty(new TextDecoder().decode(bytes)));
      },
      (error: unknown) => setMessage(oneLine(error)),
    );
  };
  return (
    <details>
      <summary>
        {t("specification")}: <code>{cidOf(digest)}</code>
      </summary>
      <form onSubmit={load} class="row">
        <label>
          {t("specGateway")} <input value={gateway} placeholder="http://127.0.0.1:8080" onInput={(event) => setGateway(event.currentTarget.value)} spellcheck={false} />
        </label>
        <button type="submit">{t("specFetch")}</button>
      </form>
      <p role="status">{message}</p>
      {text && <pre class="scroll">{text}</pre>}
    </details>
  );
}

function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
