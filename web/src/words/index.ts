// The chosen language, and the lookup of words.
import { signal } from "@preact/signals";
import { en, type Key } from "./en";

export type { Key } from "./en";
export type Language = "en" | "zh";
type Words = Record<Key, string>;

const words = signal<Words>(en);
/** The chosen language. */
export const language = signal<Language>("en");

/** Loads and uses a language. The one of the browser is the default. */
export async function useLanguage(chosen: Language): Promise<void> {
  words.value = chosen === "zh" ? (await import("./zh")).zh : en;
  language.value = chosen;
  document.documentElement.lang = chosen;
}

/** The words of a key, with its `{name}`s replaced. */
export function t(key: Key, values: Record<string, string | number | bigint> = {}): string {
  return words.value[key].replace(/\{(\w+)\}/g, (all, name: string) => (name in values ? String(values[name]) : all));
}
