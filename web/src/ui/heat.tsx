// A matrix of scores as a picture, with the same figures as a table.
import { type JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { t } from "../words";

/** Rows of scores (0 to 32,767), with a name each, and the medians of the columns. */
export function Heat({ caption, rows, medians }: { caption: string; rows: readonly { name: string; scores: readonly number[] }[]; medians: readonly number[] }): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  const all = [...rows, { name: t("median"), scores: medians }];
  const columns = medians.length;
  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context || columns === 0) return;
    const high = Math.max(2, ...all.flatMap((row) => row.scores));
    const image = context.createImageData(columns, all.length);
    all.forEach((row, y) =>
      row.scores.forEach((score, x) => {
        const depth = score / high;
        const at = 4 * (y * columns + x);
        // 0 (invalid) is grey; else from light to dark green.
        image.data.set(score === 0 ? [150, 150, 150, 255] : [235 - 217 * depth, 245 - 156 * depth, 240 - 166 * depth, 255], at);
      }),
    );
    context.putImageData(image, 0, 0);
  });
  return (
    <figure>
      <figcaption>{caption}</figcaption>
      <div role="img" aria-label={caption}>
        <canvas ref={canvas} class="heat" width={columns} height={all.length} style={{ height: `${Math.max(4, Math.min(24, all.length * 1.25))}rem` }} />
      </div>
      <details>
        <summary>{t("showTable")}</summary>
        <div class="scroll" role="group" aria-label={caption} tabIndex={0}>
          <table>
            <thead>
              <tr>
                <th scope="col">{t("lane")}</th>
                {medians.map((_, lane) => (
                  <th key={lane} scope="col" class="number">
                    {lane}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {all.map((row, i) => (
                <tr key={i}>
                  <th scope="row">{row.name}</th>
                  {row.scores.map((score, lane) => (
                    <td key={lane} class="number">
                      {score}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
    </figure>
  );
}
