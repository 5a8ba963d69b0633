// One task: its windows, specification, entries, the matrix of scores, and why everybody was paid what they were.
import { type JSX } from "preact";
import { Account, Amount, dateOf, Fact, Heading, Show, When } from "../../ui/base";
import { Heat } from "../../ui/heat";
import { Table } from "../../ui/table";
import { improvement } from "../../lib/scores";
import { short } from "../../ui/base";
import { deployment, head } from "../../web3/session";
import { addressOf } from "../../web3/read";
import { OUTCOMES, phaseKey, phaseOf, readTask, readTaskCount, type Task } from "../../web3/tasks";
import { useData } from "../../web3/use-data";
import { t } from "../../words";
import { Agreement } from "./agreement";
import { readRecord, type TaskRecord } from "./record";
import { type Recomputed, recompute, recomputeUnpaid } from "./recompute";
import { Spec } from "./spec";
import { Why } from "./why";

export function TaskPage({ argument }: { argument: string }): JSX.Element {
  const id = /^[1-9]\d{0,15}$/.test(argument) ? Number(argument) : 0;
  const found = useData(async () => {
    if (id === 0 || id > (await readTaskCount())) return null;
    const task = await readTask(id);
    const record = await readRecord(BigInt(id), deployment.value?.firstBlock ?? 0n, head.value?.number ?? 0n);
    return { task, record, result: recompute(task, record, deployment.value?.chainId ?? 0, addressOf("Scoring")) };
  }, [id]);
  return (
    <>
      <Heading title={t("task", { id: argument })} />
      <Show of={found}>{(one) => (one ? <Whole {...one} /> : <p>{t("unknownTask", { id: argument })}</p>)}</Show>
    </>
  );
}

function Whole({ task, record, result }: { task: Task; record: TaskRecord; result: Recomputed | null }): JSX.Element {
  const now = head.value?.time ?? 0;
  const { phase, until } = phaseOf(task, now);
  const { params, schedule, state } = task;
  const unpaid = recomputeUnpaid(task, record);
  const windows = [
    [t("phaseEntryCommit"), schedule.entryCommitEnd],
    [t("phaseEnrol"), schedule.enrolEnd],
    [t("phaseEntryReveal"), schedule.entryRevealEnd],
    ...(params.evaluation === 1 ? [[t("phaseOpen"), schedule.openEnd] as const] : []),
    [t("phaseExpire"), schedule.expiresAt],
  ] as const;
  return (
    <>
      <dl class="facts">
        <Fact name={t("phase")}>
          {state.outcome === 0 ? t(phaseKey(phase)) : t(OUTCOMES[state.outcome] ?? "running")}
          {until !== 0 && (
            <>
              {", "}
              <When time={until} />
            </>
          )}
        </Fact>
        <Fact name={t("creator")}>
          <Account address={state.creator} />
        </Fact>
        <Fact name={t("bounty")}>
          <Amount wei={params.bounty + record.extra} /> CVY
        </Fact>
        <Fact name={t("bond")}>
          <Amount wei={params.bond} /> CVY
        </Fact>
        <Fact name={t("entries")}>
          {state.revealed} / {state.committed}
        </Fact>
        <Fact name={t("validators")}>{record.enrolled.length}</Fact>
      </dl>
      <details>
        <summary>{t("windows")}</summary>
        <Table
          caption={t("windows")}
          empty=""
          rows={windows}
          keyOf={([name]) => name}
          columns={[
            { name: t("window"), cell: ([name]) => name },
            { name: t("ends"), cell: ([, time]) => dateOf(time) },
          ]}
        />
      </details>
      <Spec digest={params.specDigest} />
      {result ? <Results task={task} record={record} result={result} /> : unpaid.length > 0 ? <Agreement figures={unpaid} /> : <p>{t("notSettled")}</p>}
      <h2>{t("faults")}</h2>
      <Table
        caption={t("faults")}
        empty={t("noFaults")}
        rows={record.faults}
        keyOf={(fault) => `${fault.operator}/${fault.fault}/${fault.taken}`}
        columns={[
          { name: t("operator"), cell: (fault) => <Account address={fault.operator} to={`#/operator/${fault.operator}`} /> },
          { name: t("reason"), cell: (fault) => fault.fault },
          { name: t("amount"), numeric: true, cell: (fault) => <Amount wei={fault.taken} /> },
        ]}
      />
    </>
  );
}

function Results({ task, record, result }: { task: Task; record: TaskRecord; result: Recomputed }): JSX.Element {
  const { settlement, round } = result;
  const rows = round.rows.map((row, i) => ({ operator: row.operator, seats: row.seats, i }));
  const scores = result.round.rows.map((row) => ({ name: short(row.operator), scores: scoresOf(row.words, result.medians.length) }));
  return (
    <>
      <h2>{t("matrix")}</h2>
      <Heat caption={t("matrixCaption", { id: task.id })} rows={scores} medians={result.medians} />
      <h2>{t("entries")}</h2>
      <Table
        caption={t("entries")}
        empty=""
        rows={record.entries}
        keyOf={(entry) => entry.operator}
        columns={[
          { name: t("lane"), numeric: true, cell: (entry) => entry.lane, order: (entry) => entry.lane },
          { name: t("operator"), cell: (entry) => <Account address={entry.operator} to={`#/operator/${entry.operator}`} /> },
          { name: t("median"), numeric: true, cell: (entry) => result.medians[entry.lane], order: (entry) => result.medians[entry.lane] ?? 0 },
          { name: t("improvement"), numeric: true, cell: (entry) => `${(100 * improvement(result.medians[entry.lane] ?? 0)).toFixed(2)} %` },
          { name: t("reward"), numeric: true, cell: (entry) => <Amount wei={result.entryRewards[entry.lane] ?? 0n} />, order: (entry) => result.entryRewards[entry.lane] ?? 0n },
          { name: t("claimed"), numeric: true, cell: (entry) => amountOr(record.entryClaims.get(entry.lane)) },
        ]}
      />
      <h2>{t("validators")}</h2>
      <Table
        caption={t("validators")}
        empty=""
        rows={rows}
        keyOf={(row) => row.operator}
        columns={[
          { name: t("operator"), cell: (row) => <Account address={row.operator} to={`#/operator/${row.operator}`} /> },
          { name: t("seats"), numeric: true, cell: (row) => row.seats, order: (row) => row.seats },
          { name: t("loss"), numeric: true, cell: (row) => settlement.losses[row.i], order: (row) => settlement.losses[row.i] ?? 0 },
          { name: t("gain"), numeric: true, cell: (row) => settlement.gains[row.i], order: (row) => settlement.gains[row.i] ?? 0 },
          { name: t("reward"), numeric: true, cell: (row) => <Amount wei={result.scoringRewards[row.i] ?? 0n} />, order: (row) => result.scoringRewards[row.i] ?? 0n },
          { name: t("claimed"), numeric: true, cell: (row) => amountOr(record.scoringClaims.get(row.operator)) },
        ]}
      />
      {result.pools && <Why task={task} record={record} result={result} pools={result.pools} />}
      <Agreement figures={result.figures} />
    </>
  );
}

function scoresOf(words: readonly bigint[], count: number): number[] {
  return Array.from({ length: count }, (_, lane) => Number(((words[lane >> 4] ?? 0n) >> BigInt(240 - 16 * (lane & 15))) & 0xffffn));
}

function amountOr(amount: bigint | undefined): JSX.Element | string {
  return amount === undefined ? "–" : <Amount wei={amount} />;
}
