// A line over time as SVG, with the same figures as a table.
import { type JSX } from "preact";
import { t } from "../words";
import { dateOf } from "./base";

/** A point: a time in seconds, and a value. */
export interface Point {
  time: number;
  value: number;
  text: string;
}

const WIDTH = 600;
const HEIGHT = 160;
const LEFT = 8;

/** A step line: a value holds until the next point. */
export function Plot({ title, points, until }: { title: string; points: readonly Point[]; until: number }): JSX.Element {
  const first = points[0];
  const last = points.at(-1);
  if (!first || !last) return <p>{t("emptyPlot")}</p>;
  const values = points.map((point) => point.value);
  const low = Math.min(...values);
  const high = Math.max(...values);
  const pad = high > low ? (high - low) * 0.08 : Math.abs(high) * 0.01 || 1;
  const end = Math.max(until, last.time, first.time + 1);
  const x = (time: number): number => LEFT + ((time - first.time) / (end - first.time)) * (WIDTH - 2 * LEFT);
  const y = (value: number): number => HEIGHT - 8 - ((value - low + pad) / (high - low + 2 * pad)) * (HEIGHT - 16);
  const path = points.map((point, i) => (i === 0 ? `M${x(point.time).toFixed(1)},${y(point.value).toFixed(1)}` : `H${x(point.time).toFixed(1)}V${y(point.value).toFixed(1)}`)).join("") + `H${x(end).toFixed(1)}`;
  return (
    <figure class="plot">
      <figcaption>{title}</figcaption>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={`${title}: ${first.text} – ${last.text}`} preserveAspectRatio="none">
        <path d={`${path}V${HEIGHT}H${LEFT}Z`} class="area" />
        <path d={path} class="line" />
      </svg>
      <div class="axis">
        <span>{dateOf(first.time)}</span>
        <span>
          {first.text} → <strong>{last.text}</strong>
        </span>
        <span>{dateOf(end)}</span>
      </div>
      <details>
        <summary>{t("plotTable")}</summary>
        <div class="scroll" role="group" aria-label={title} tabIndex={0}>
          <table>
            <tbody>
              {points.map((point, i) => (
                <tr key={i}>
                  <td>{dateOf(point.time)}</td>
                  <td class="number">{point.text}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
    </figure>
  );
}
