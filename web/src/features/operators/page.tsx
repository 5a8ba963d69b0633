// One operator: its terms, its record, and what a share of its pool was worth over time.
import { type JSX } from "preact";
import { Account, Amount, CsvButton, dateOf, Fact, Heading, Show, typedAddress, When } from "../../ui/base";
import { Plot } from "../../ui/plot";
import { Table } from "../../ui/table";
import { deployment, head } from "../../web3/session";
import { readPool } from "../../web3/read";
import { useData } from "../../web3/use-data";
import { percent } from "../../lib/units";
import { t } from "../../words";
import { type History, readHistory, YEAR_S, YIELD_DAYS } from "./history";
import { bps, statusOf } from "./terms";

export function OperatorPage({ argument }: { argument: string }): JSX.Element {
  const operator = typedAddress(argument);
  const pool = useData(async () => (operator ? readPool(operator) : null), [operator]);
  const history = useData(async () => (operator ? readHistory(operator, deployment.value?.firstBlock ?? 0n, head.value?.number ?? 0n) : null), [operator]);
  if (!operator) return <Heading title={t("notAnAddress", { text: argument })} />;
  return (
    <>
      <Heading title={`${t("operator")} ${operator}`}>
        {t("operator")} <Account address={operator} full />
      </Heading>
      <Show of={pool}>
        {(found) =>
          !found || BigInt(found.signer) === 0n ? (
            <p>{t("unknownOperator", { address: operator })}</p>
          ) : (
            <>
              <dl class="facts">
                <Fact name={t("status")}>
                  {t(statusOf(found))}
                  {found.jailedUntil !== 0 && (
                    <>
                      {" "}
                      <When time={found.jailedUntil} />
                    </>
                  )}
                </Fact>
                <Fact name={t("pool")}>
                  <Amount wei={found.activeTokens} /> CVY
                </Fact>
                <Fact name={t("selfBond")}>
                  <Amount wei={found.selfBond} /> CVY
                </Fact>
                <Fact name={t("earmarked")}>
                  <Amount wei={found.earmarked} /> CVY
                </Fact>
                <Fact name={t("unbonding")}>
                  <Amount wei={found.unbondingTokens} /> CVY
                </Fact>
                <Fact name={t("commission")}>
                  {bps(found.commissionBps)}
                  {found.pendingCommissionBps !== 0 && (
                    <>
                      {" → "}
                      {bps(found.pendingCommissionBps)} <When time={found.commissionFrom} />
                    </>
                  )}
                </Fact>
              </dl>
              <p>
                <a href={`#/stake/${operator}`}>{t("delegateHere")}</a>
              </p>
              <Show of={history}>{(record) => (record ? <Record record={record} pool={found.activeTokens} name={operator} /> : null)}</Show>
            </>
          )
        }
      </Show>
    </>
  );
}

function Record({ record, pool, name }: { record: History; pool: bigint; name: string }): JSX.Element {
  const until = head.value?.time ?? 0;
  return (
    <>
      <dl class="facts">
        <Fact name={t("seatsServed")}>{record.revealed}</Fact>
        <Fact name={t("seatsMissed")}>{record.faults.length}</Fact>
        <Fact name={t("abstentions")}>{record.abstained}</Fact>
        <Fact name={t("estimatedYield")}>{percent(record.recentRewards * BigInt(YEAR_S), pool * BigInt(YIELD_DAYS * 86_400))}</Fact>
      </dl>
      <p class="note">{t("yieldNote", { days: YIELD_DAYS })}</p>
      <Plot title={t("sharePriceOverTime")} points={record.prices} until={until} />
      <Plot title={t("rewardsOverTime")} points={record.rewards} until={until} />
      <h2>{t("commissionHistory")}</h2>
      <ul>
        {record.commissions.map((change, i) => (
          <li key={i}>
            {dateOf(change.time)}: {change.kind === "commissionAnnounced" ? t("commissionAnnounced", { bps: bps(change.bps), date: dateOf(change.from) }) : t(change.kind, { bps: bps(change.bps) })}
          </li>
        ))}
      </ul>
      <h2>{t("slashes")}</h2>
      <Table
        caption={t("slashes")}
        empty={t("noSlashes")}
        rows={record.slashes}
        keyOf={(slash) => `${slash.transaction}/${slash.logIndex}`}
        columns={[
          { name: t("time"), cell: (slash) => dateOf(slash.time), order: (slash) => slash.time },
          { name: t("reason"), cell: (slash) => slash.reason },
          { name: t("amount"), numeric: true, cell: (slash) => <Amount wei={slash.amount} />, order: (slash) => slash.amount },
          { name: t("transaction"), cell: (slash) => <Account address={slash.transaction} /> },
        ]}
      />
      <CsvButton
        name={`operator-${name}`}
        header={["time", "event", "amount_wei", "detail", "transaction"]}
        rows={() => record.rows.map((row) => [row.time, row.event, row.amount, row.detail, row.transaction])}
      />
    </>
  );
}
