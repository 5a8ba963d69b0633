// Small parts that all views use.
import { type ComponentChildren, type JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { getAddress, isAddress } from "viem/utils";
import { toCsv } from "../lib/csv";
import { formatAmount } from "../lib/units";
import { head, problem } from "../web3/session";
import type { Loaded } from "../web3/use-data";
import { language, t } from "../words";

/** The first heading of a view. It takes the focus when the view opens, so that a screen reader starts there. */
let opened = false; // no view takes the focus when the page loads

export function Heading({ children, title }: { children?: ComponentChildren; title: string }): JSX.Element {
  const ref = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} – Covey`;
    if (opened) ref.current?.focus({ preventScroll: true });
    opened = true;
    scrollTo(0, 0);
  }, [title]);
  return (
    <h1 ref={ref} tabIndex={-1}>
      {children ?? title}
    </h1>
  );
}

/** An amount in wei as CVY. The exact amount is in its title. */
export function Amount({ wei, digits = 4 }: { wei: bigint; digits?: number }): JSX.Element {
  return (
    <span class="number" title={`${formatAmount(wei, language.value, 18)} CVY`}>
      {formatAmount(wei, language.value, digits)}
    </span>
  );
}

/** The first and last digits of an address. */
export function short(address: string): string {
  return `${address.slice(0, 6)}…${address.slice(-4)}`;
}

/** An address in checksum form, shortened for the eye; a link when `to` is given, and a button that copies it all. */
export function Account({ address, to, full = false }: { address: string; to?: string; full?: boolean }): JSX.Element {
  const text = <span aria-label={address}>{full ? address : short(address)}</span>;
  return (
    <span class="address">
      {to ? (
        <a href={to} title={address}>
          {text}
        </a>
      ) : (
        <span title={address}>{text}</span>
      )}
      <CopyButton text={address} />
    </span>
  );
}

function CopyButton({ text }: { text: string }): JSX.Element {
  const [copied, setCopied] = useState(false);
  const copy = (): void => {
    void navigator.clipboard.writeText(text).then(() => {
      setCopied(true);
      setTimeout(() => setCopied(false), 1_500);
    });
  };
  return (
    <button type="button" class="copy" onClick={copy} aria-label={`${t("copy")} ${text}`} title={t("copy")}>
      <svg viewBox="0 0 16 16" width="14" height="14" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.5">
        {copied ? <path d="M3 8.5l3.5 3.5L13 4.5" /> : <path d="M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3" />}
      </svg>
    </button>
  );
}

/** The checksummed address that a person typed, or null. An address in one case only has no checksum to check. */
export function typedAddress(text: string): `0x${string}` | null {
  const trimmed = text.trim();
  if (!isAddress(trimmed, { strict: false })) return null;
  const digits = trimmed.slice(2);
  if (digits !== digits.toLowerCase() && digits !== digits.toUpperCase() && !isAddress(trimmed)) return null;
  return getAddress(trimmed);
}

/** A span of time in the largest fitting unit. */
export function span(seconds: number, future: boolean): string {
  const n = Math.max(0, Math.round(seconds));
  if (n < 120) return t(future ? "inSeconds" : "ageSeconds", { n });
  if (n < 7_200) return t(future ? "inMinutes" : "ageMinutes", { n: Math.round(n / 60) });
  if (n < 172_800) return t(future ? "inHours" : "ageHours", { n: Math.round(n / 3_600) });
  return t(future ? "inDays" : "ageDays", { n: Math.round(n / 86_400) });
}

/** A time of the chain, in the reader's zone. */
export function dateOf(time: number): string {
  return new Intl.DateTimeFormat(language.value, { dateStyle: "medium", timeStyle: "short" }).format(time * 1000);
}

/** A time of the chain as a countdown or an age; the date is in its title. */
export function When({ time }: { time: number }): JSX.Element {
  const now = head.value?.time ?? time;
  return (
    <time dateTime={new Date(time * 1000).toISOString()} title={dateOf(time)}>
      {span(Math.abs(time - now), time > now)}
    </time>
  );
}

/** What was loaded, or that it is being loaded, or why it was not. */
export function Show<T>({ of, children }: { of: Loaded<T>; children: (value: T) => ComponentChildren }): JSX.Element {
  return (
    <>
      {of.error !== "" && (
        <p class="problem" role="alert">
          {of.error}{" "}
          <button type="button" onClick={of.reload}>
            {t("retry")}
          </button>
        </p>
      )}
      {of.value === null ? of.error === "" && !problem.value && <p aria-busy="true">{t("loading")}</p> : children(of.value.of)}
    </>
  );
}

/** One figure with its name. */
export function Fact({ name, children }: { name: string; children: ComponentChildren }): JSX.Element {
  return (
    <div class="fact">
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

/** A button that saves a table as CSV. Amounts are in wei there, so that nothing is rounded. */
export function CsvButton({ name, header, rows }: { name: string; header: readonly string[]; rows: () => (string | number | bigint)[][] }): JSX.Element {
  const save = (): void => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([toCsv(header, rows())], { type: "text/csv" }));
    link.download = `${name}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1_000);
  };
  return (
    <button type="button" onClick={save}>
      {t("csv")}
    </button>
  );
}
