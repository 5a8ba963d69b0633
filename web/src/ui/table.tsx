// A table that sorts by its columns.
import { type ComponentChildren, type JSX } from "preact";
import { useState } from "preact/hooks";
import { t } from "../words";

/** A column: its heading, its cell, and what its rows are sorted by (without: not sortable). */
export interface Column<T> {
  name: string;
  cell: (row: T) => ComponentChildren;
  order?: (row: T) => string | number | bigint;
  numeric?: boolean;
}

/** Rows in the order given, or by a column that the reader chose. The table scrolls in its own box on small screens. */
export function Table<T>({ caption, columns, rows, keyOf, empty }: { caption: string; columns: readonly Column<T>[]; rows: readonly T[]; keyOf: (row: T) => string; empty: string }): JSX.Element {
  const [by, setBy] = useState<{ index: number; down: boolean } | null>(null);
  const order = by === null ? undefined : columns[by.index]?.order;
  const shown = order ? [...rows].sort((a, b) => compare(order(a), order(b)) * (by?.down ? -1 : 1)) : rows;
  if (rows.length === 0) return <p>{empty}</p>;
  return (
    <div class="scroll" role="group" aria-label={caption} tabIndex={0}>
      <table>
        <caption class="hidden">{caption}</caption>
        <thead>
          <tr>
            {columns.map((column, index) => (
              <th key={column.name} scope="col" class={column.numeric ? "number" : ""} aria-sort={by?.index === index ? (by.down ? "descending" : "ascending") : undefined}>
                {column.order ? (
                  <button type="button" class="sort" aria-label={t("sortBy", { column: column.name })} onClick={() => setBy({ index, down: by?.index === index ? !by.down : true })}>
                    {column.name} <span aria-hidden="true">{by?.index === index ? (by.down ? "▼" : "▲") : "↕"}</span>
                  </button>
                ) : (
                  column.name
                )}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {shown.map((row) => (
            <tr key={keyOf(row)}>
              {columns.map((column) => (
                <td key={column.name} class={column.numeric ? "number" : ""}>
                  {column.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function compare(a: string | number | bigint, b: string | number | bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
