// The first view: one's own stake, then the network in figures.
import { type JSX } from "preact";
import { account } from "../../web3/wallet";
import { readLeaving, readOperators, readPool, readPositions } from "../../web3/read";
import { head } from "../../web3/session";
import { OUTCOMES, phaseKey, phaseOf, readTask, readTaskCount } from "../../web3/tasks";
import { useData } from "../../web3/use-data";
import { Account, Amount, Fact, Heading, Show, When } from "../../ui/base";
import { Table } from "../../ui/table";
import { t } from "../../words";
import { Movements } from "./movements";

const NEWEST = 10;

export function Overview(): JSX.Element {
  return (
    <>
      <Heading title={t("overview")} />
      <Mine />
      <Network />
      <Movements />
      <Newest />
    </>
  );
}

/** Whom did I stake to, what did it earn, when can I leave. */
function Mine(): JSX.Element {
  const owner = account.value;
  const mine = useData(async () => {
    if (!owner) return null;
    const operators = await readOperators();
    const [positions, leaving] = await Promise.all([readPositions(owner, operators), readLeaving(owner, operators)]);
    return { positions, leaving };
  }, [owner]);
  return (
    <section class="card" aria-labelledby="mine">
      <h2 id="mine">{t("whomStaked")}</h2>
      {!owner ? (
        <p>
          {t("connectToSee")} <a href="#/stake">{t("connect")}</a>
        </p>
      ) : (
        <Show of={mine}>
          {(found) =>
            !found || found.positions.length + found.leaving.length === 0 ? (
              <p>{t("noPositions")}</p>
            ) : (
              <>
                <ul>
                  {found.positions.map((position) => (
                    <li key={position.operator}>
                      <Account address={position.operator} to={`#/stake/${position.operator}`} /> <Amount wei={position.worth} /> CVY
                    </li>
                  ))}
                  {found.leaving.map((entry) => (
                    <li key={`${entry.operator}/${entry.index}`}>
                      {t("unbonding")}: <Account address={entry.operator} to={`#/stake/${entry.operator}`} /> <Amount wei={entry.worth} /> CVY, <When time={entry.until} />
                    </li>
                  ))}
                </ul>
                <p>
                  <a href="#/stake">{t("stake")}</a>
                </p>
              </>
            )
          }
        </Show>
      )}
    </section>
  );
}

function Network(): JSX.Element {
  const network = useData(async () => {
    const operators = await readOperators();
    const pools = await Promise.all(operators.map(readPool));
    return { operators: operators.length, staked: pools.reduce((sum, pool) => sum + pool.activeTokens, 0n), tasks: await readTaskCount() };
  }, []);
  return (
    <Show of={network}>
      {(found) => (
        <dl class="facts">
          <Fact name={t("totalStake")}>
            <Amount wei={found.staked} digits={2} /> CVY
          </Fact>
          <Fact name={t("operatorCount")}>
            <a href="#/operators">{found.operators}</a>
          </Fact>
          <Fact name={t("taskCount")}>
            <a href="#/tasks">{found.tasks}</a>
          </Fact>
        </dl>
      )}
    </Show>
  );
}

/** The newest tasks with their phase and countdown. */
function Newest(): JSX.Element {
  const tasks = useData(async () => {
    const count = await readTaskCount();
    const first = Math.max(1, count - NEWEST + 1);
    return Promise.all(Array.from({ length: count - first + 1 }, (_, i) => readTask(count - i)));
  }, []);
  const now = head.value?.time ?? 0;
  return (
    <section aria-labelledby="newest">
      <h2 id="newest">{t("tasks")}</h2>
      <Show of={tasks}>
        {(found) => (
          <Table
            caption={t("tasks")}
            empty={t("noTasks")}
            rows={found}
            keyOf={(task) => String(task.id)}
            columns={[
              { name: t("task", { id: "" }).trim(), cell: (task) => <a href={`#/task/${task.id}`}>{t("task", { id: task.id })}</a> },
              {
                name: t("phase"),
                cell: (task) => (task.state.outcome === 0 ? t(phaseKey(phaseOf(task, now).phase)) : t(OUTCOMES[task.state.outcome] ?? "running")),
              },
              {
                name: t("ends"),
                cell: (task) => {
                  const { until } = phaseOf(task, now);
                  return until ? <When time={until} /> : "–";
                },
              },
              { name: t("bounty"), numeric: true, cell: (task) => <Amount wei={task.params.bounty} digits={2} /> },
            ]}
          />
        )}
      </Show>
    </section>
  );
}
