// CSV as RFC 4180 has it. A cell that a spreadsheet would take for a formula gets an apostrophe.

/** The text of a table: a header and rows. */
export function toCsv(header: readonly string[], rows: readonly (readonly (string | number | bigint)[])[]): string {
  return [header, ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

function cell(value: string | number | bigint): string {
  const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
