// All tasks, newest first, by count and views: never by events.
import { type JSX } from "preact";
import { useState } from "preact/hooks";
import { head } from "../../web3/session";
import { OUTCOMES, phaseKey, phaseOf, readTask, readTaskCount, type Task } from "../../web3/tasks";
import { useData } from "../../web3/use-data";
import { Account, Amount, CsvButton, Heading, Show, When } from "../../ui/base";
import { Table } from "../../ui/table";
import { t } from "../../words";

const PAGE = 50;

export function TaskList({ argument }: { argument: string }): JSX.Element {
  const [page, setPage] = useState(Math.max(0, Number.parseInt(argument, 10) || 0));
  const tasks = useData(async () => {
    const count = await readTaskCount();
    const newest = count - page * PAGE;
    const length = Math.max(0, Math.min(PAGE, newest));
    return { count, list: await Promise.all(Array.from({ length }, (_, i) => readTask(newest - i))) };
  }, [page]);
  const now = head.value?.time ?? 0;
  return (
    <>
      <Heading title={t("tasks")} />
      <Show of={tasks}>
        {({ count, list }) => (
          <>
            <Table
              caption={t("tasks")}
              empty={t("noTasks")}
              rows={list}
              keyOf={(task) => String(task.id)}
              columns={[
                { name: t("tasks"), cell: (task) => <a href={`#/task/${task.id}`}>{t("task", { id: task.id })}</a>, order: (task) => task.id },
                { name: t("phase"), cell: (task) => label(task, now), order: (task) => label(task, now) },
                { name: t("ends"), cell: (task) => ending(task, now), order: (task) => phaseOf(task, now).until },
                { name: t("creator"), cell: (task) => <Account address={task.state.creator} />, order: (task) => task.state.creator },
                { name: t("bounty"), numeric: true, cell: (task) => <Amount wei={task.params.bounty} digits={2} />, order: (task) => task.params.bounty },
                { name: t("entries"), numeric: true, cell: (task) => `${task.state.revealed} / ${task.state.committed}`, order: (task) => task.state.committed },
              ]}
            />
            <div class="row">
              <button type="button" disabled={page === 0} onClick={() => setPage(page - 1)}>
                {t("newer")}
              </button>
              <button type="button" disabled={(page + 1) * PAGE >= count} onClick={() => setPage(page + 1)}>
                {t("older")}
              </button>
              <CsvButton
                name="tasks"
                header={["task", "outcome", "creator", "bounty_wei", "bond_wei", "committed", "revealed", "earmarked_wei"]}
                rows={() => list.map((task) => [task.id, OUTCOMES[task.state.outcome] ?? "", task.state.creator, task.params.bounty, task.params.bond, task.state.committed, task.state.revealed, task.state.totalEarmarked])}
              />
            </div>
          </>
        )}
      </Show>
    </>
  );
}

function label(task: Task, now: number): string {
  return task.state.outcome === 0 ? t(phaseKey(phaseOf(task, now).phase)) : t(OUTCOMES[task.state.outcome] ?? "running");
}

function ending(task: Task, now: number): JSX.Element | string {
  const { until } = phaseOf(task, now);
  return until ? <When time={until} /> : "–";
}
