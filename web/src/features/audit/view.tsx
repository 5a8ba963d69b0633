// Recompute tasks and compare deployed code, in the browser.
import { type JSX } from "preact";
import { useState } from "preact/hooks";
import { getCode } from "viem/actions";
import { keccak256 } from "viem/utils";
import { Heading } from "../../ui/base";
import { Table } from "../../ui/table";
import { CONTRACTS } from "../../web3/deployment";
import { oneLine } from "../../web3/errors";
import { addressOf } from "../../web3/read";
import { client, deployment, head } from "../../web3/session";
import { readTask, readTaskCount } from "../../web3/tasks";
import { t } from "../../words";
import { readRecord } from "../task/record";
import { recompute, recomputeUnpaid } from "../task/recompute";

interface Code {
  name: string;
  good: boolean;
}

interface Verdict {
  id: number;
  figures: number;
  wrong: number;
  problem: string;
}

export function Audit(): JSX.Element {
  const [codes, setCodes] = useState<Code[] | null>(null);
  const [verdicts, setVerdicts] = useState<Verdict[]>([]);
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const failed = (error: unknown): void => setProblem(oneLine(error));

  const compareCode = async (): Promise<void> => {
    const known = deployment.value;
    if (!known) return;
    setCodes(
      await Promise.all(
        CONTRACTS.map(async (name) => {
          const code = (await getCode(client.value, { address: known.contracts[name].address })) ?? "0x";
          return { name, good: keccak256(code) === known.contracts[name].codeHash };
        }),
      ),
    );
  };
  const recomputeAll = async (): Promise<void> => {
    setBusy(true);
    setVerdicts([]);
    const known = deployment.value;
    const count = await readTaskCount();
    for (let id = count; id >= 1 && known; id--) {
      let verdict: Verdict;
      try {
        const task = await readTask(id);
        const record = await readRecord(BigInt(id), known.firstBlock, head.value?.number ?? 0n);
        const figures = [...(recompute(task, record, known.chainId, addressOf("Scoring"))?.figures ?? []), ...recomputeUnpaid(task, record)];
        verdict = { id, figures: figures.length, wrong: figures.filter((figure) => figure.chain !== figure.rules).length, problem: "" };
      } catch (error) {
        verdict = { id, figures: 0, wrong: 0, problem: oneLine(error) };
      }
      setVerdicts((before) => [...before, verdict]);
    }
  };
  return (
    <>
      <Heading title={t("audit")} />
      <p>{t("auditIntro")}</p>
      <div class="row">
        <button type="button" class="primary" disabled={busy} onClick={() => void recomputeAll().catch(failed).finally(() => setBusy(false))}>
          {t("recompute")}
        </button>
        <button type="button" onClick={() => void compareCode().catch(failed)}>
          {t("checkCode")}
        </button>
      </div>
      <p role="alert" class="problem">
        {problem}
      </p>
      {codes && (
        <Table
          caption={t("code")}
          empty=""
          rows={codes}
          keyOf={(code) => code.name}
          columns={[
            { name: t("contract"), cell: (code) => code.name },
            { name: t("code"), cell: (code) => <span class={code.good ? "good" : "problem"}>{t(code.good ? "codeMatches" : "codeDiffers")}</span> },
          ]}
        />
      )}
      {verdicts.length > 0 && (
        <div role="status">
          <Table
            caption={t("audit")}
            empty=""
            rows={verdicts}
            keyOf={(verdict) => String(verdict.id)}
            columns={[
              { name: t("tasks"), cell: (verdict) => <a href={`#/task/${verdict.id}`}>{t("task", { id: verdict.id })}</a> },
              { name: t("recompute"), cell: (verdict) => <Outcome verdict={verdict} /> },
            ]}
          />
        </div>
      )}
    </>
  );
}

function Outcome({ verdict }: { verdict: Verdict }): JSX.Element {
  if (verdict.problem) return <span class="problem">{verdict.problem}</span>;
  if (verdict.figures === 0) return <span>{t("notSettled")}</span>;
  if (verdict.wrong > 0) return <span class="problem">{t("differ", { n: verdict.wrong, all: verdict.figures })}</span>;
  return <span class="good">{t("agree", { n: verdict.figures })}</span>;
}
