// Amounts of CVY: exact conversions between wei (bigint) and decimal text. No floating point.

const DECIMALS = 18;
const WEI = 10n ** BigInt(DECIMALS);

/** The decimal text of an amount in wei, exact, without trailing zeros: 1500000000000000000n is "1.5". */
export function toDecimal(wei: bigint): string {
  const sign = wei < 0n ? "-" : "";
  const size = wei < 0n ? -wei : wei;
  const fraction = (size % WEI).toString().padStart(DECIMALS, "0").replace(/0+$/, "");
  return `${sign}${size / WEI}${fraction ? `.${fraction}` : ""}`;
}

/** Why a text is no amount. */
export type AmountError = "empty" | "notANumber" | "negative" | "tooPrecise" | "tooLarge";

/** Parses an amount of CVY as a person writes it ("1,234.5" or "1234.5") into wei, or says why it cannot. */
export function parseAmount(text: string): { wei: bigint } | { error: AmountError } {
  const trimmed = text.trim();
  if (trimmed === "") return { error: "empty" };
  if (/^-/.test(trimmed)) return { error: "negative" };
  if (!/^(\d{1,3}(,\d{3})+|\d+)?(\.\d*)?$/.test(trimmed) || trimmed === ".") return { error: "notANumber" };
  const [whole = "", fraction = ""] = trimmed.replaceAll(",", "").split(".");
  if (fraction.replace(/0+$/, "").length > DECIMALS) return { error: "tooPrecise" };
  const wei = BigInt(whole || "0") * WEI + BigInt(fraction.slice(0, DECIMALS).padEnd(DECIMALS, "0") || "0");
  return wei > (1n << 88n) - 1n ? { error: "tooLarge" } : { wei };
}

/** An amount for reading: grouped digits, `digits` decimals, rounded towards zero, so a balance never reads too high. */
export function formatAmount(wei: bigint, locale: string, digits = 4): string {
  const format = new Intl.NumberFormat(locale, { maximumFractionDigits: digits, roundingMode: "trunc" } as Intl.NumberFormatOptions);
  const small = wei !== 0n && (wei < 0n ? -wei : wei) < 10n ** BigInt(DECIMALS - digits);
  if (small) return wei < 0n ? `> −${smallest(digits)}` : `< ${smallest(digits)}`;
  return format.format(toDecimal(wei) as unknown as number).replace("-", "−");
}

function smallest(digits: number): string {
  return `0.${"0".repeat(digits - 1)}1`;
}

/** A ratio of two amounts in percent with two decimals, rounded towards zero; "–" where the whole is 0. */
export function percent(part: bigint, whole: bigint): string {
  if (whole === 0n) return "–";
  const hundredths = (part * 10_000n) / whole;
  const size = hundredths < 0n ? -hundredths : hundredths;
  return `${hundredths < 0n ? "−" : ""}${size / 100n}.${(size % 100n).toString().padStart(2, "0")} %`;
}
