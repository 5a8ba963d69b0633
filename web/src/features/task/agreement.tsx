// Figures recomputed in the browser, beside those of the chain.
import { type JSX } from "preact";
import { Table } from "../../ui/table";
import { t } from "../../words";
import type { Figure } from "./recompute";

/** Says whether all figures agree, and shows those that differ first. */
export function Agreement({ figures }: { figures: readonly Figure[] }): JSX.Element {
  const wrong = figures.filter((figure) => figure.chain !== figure.rules);
  return (
    <section aria-label={t("audit")}>
      <h2>{t("audit")}</h2>
      <p class={wrong.length ? "problem" : "good"} role="status">
        {wrong.length ? t("differ", { n: wrong.length, all: figures.length }) : t("agree", { n: figures.length })}
      </p>
      <details open={wrong.length > 0}>
        <summary>{t("plotTable")}</summary>
        <Table
          caption={t("audit")}
          empty=""
          rows={[...wrong, ...figures.filter((figure) => figure.chain === figure.rules)]}
          keyOf={(figure) => figure.name}
          columns={[
            { name: t("figure"), cell: (figure) => figure.name },
            { name: t("chainSays"), numeric: true, cell: (figure) => figure.chain },
            { name: t("rulesSay"), numeric: true, cell: (figure) => <span class={figure.chain === figure.rules ? "" : "problem"}>{figure.rules}</span> },
          ]}
        />
      </details>
    </section>
  );
}
