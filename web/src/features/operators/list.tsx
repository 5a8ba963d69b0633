// All operators as a table.
import { type JSX } from "preact";
import { useState } from "preact/hooks";
import { readOperators, readPool, type Pool } from "../../web3/read";
import { useData } from "../../web3/use-data";
import { Account, Amount, CsvButton, Heading, Show } from "../../ui/base";
import { Table } from "../../ui/table";
import { t } from "../../words";
import { bps, statusOf } from "./terms";

export function OperatorList(): JSX.Element {
  const [search, setSearch] = useState("");
  const pools = useData(async () => Promise.all((await readOperators()).map(readPool)), []);
  return (
    <>
      <Heading title={t("operators")} />
      <div class="field">
        <label for="search">{t("searchOperators")}</label>
        <input id="search" type="search" value={search} onInput={(event) => setSearch(event.currentTarget.value)} spellcheck={false} />
      </div>
      <Show of={pools}>
        {(all) => {
          const found = all.filter((pool) => pool.operator.toLowerCase().includes(search.trim().toLowerCase()));
          return (
            <>
              <Table
                caption={t("operators")}
                empty={t("noOperators")}
                rows={found}
                keyOf={(pool) => pool.operator}
                columns={[
                  { name: t("operator"), cell: (pool) => <Account address={pool.operator} to={`#/operator/${pool.operator}`} />, order: (pool) => pool.operator },
                  { name: t("pool"), numeric: true, cell: (pool) => <Amount wei={pool.activeTokens} digits={2} />, order: (pool) => pool.activeTokens },
                  { name: t("selfBond"), numeric: true, cell: (pool) => <Amount wei={pool.selfBond} digits={2} />, order: (pool) => pool.selfBond },
                  { name: t("earmarked"), numeric: true, cell: (pool) => <Amount wei={pool.earmarked} digits={2} />, order: (pool) => pool.earmarked },
                  { name: t("commission"), numeric: true, cell: (pool) => bps(pool.commissionBps), order: (pool) => pool.commissionBps },
                  { name: t("status"), cell: (pool) => t(statusOf(pool)), order: statusOf },
                ]}
              />
              <CsvButton name="operators" header={["operator", "pool_wei", "self_bond_wei", "earmarked_wei", "commission_bps", "status"]} rows={() => found.map(cells)} />
            </>
          );
        }}
      </Show>
    </>
  );
}

function cells(pool: Pool): (string | bigint | number)[] {
  return [pool.operator, pool.activeTokens, pool.selfBond, pool.earmarked, pool.commissionBps, statusOf(pool)];
}
