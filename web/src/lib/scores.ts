// Packed scores: sixteen 15-bit scores a 256-bit word, entry 0 in the highest lane (covey.protocol.scores).

export const LANES = 16;
const LANE_BITS = 16;
const MAX_SCORE = 0x7fff;
const MAX_PAGE_WORDS = 64;
const CALLDATA_WORDS = (131_072 - 8_192) / 32;

/** The number of words for `entries` scores. */
export function wordCount(entries: number): number {
  return Math.ceil(entries / LANES);
}

/** Packs scores (0 to 32,767), lane 0 first. Throws a RangeError for a score outside that range. */
export function pack(scores: readonly number[]): bigint[] {
  const words = Array.from({ length: wordCount(scores.length) }, () => 0n);
  scores.forEach((score, lane) => {
    if (!Number.isInteger(score) || score < 0 || score > MAX_SCORE) throw new RangeError(`score ${score} of entry ${lane} is outside 0..${MAX_SCORE}`);
    const index = Math.floor(lane / LANES);
    words[index] = (words[index] ?? 0n) | (BigInt(score) << BigInt(LANE_BITS * (LANES - 1 - (lane % LANES))));
  });
  return words;
}

/** The first `entries` scores of a packed row. Throws a RangeError for a row of another length or with bits that no score has. */
export function unpack(words: readonly bigint[], entries: number): number[] {
  if (words.length !== wordCount(entries)) throw new RangeError(`${entries} entries need ${wordCount(entries)} words, not ${words.length}`);
  const lanes = words.flatMap((word) =>
    Array.from({ length: LANES }, (_, lane) => Number((word >> BigInt(LANE_BITS * (LANES - 1 - lane))) & 0xffffn)),
  );
  if (lanes.some((lane, index) => lane > MAX_SCORE || (index >= entries && lane !== 0))) throw new RangeError("a word has bits that no score has");
  return lanes.slice(0, entries);
}

/** Words a page for `committedRows` committed rows. */
export function pageWords(committedRows: number): number {
  return Math.min(MAX_PAGE_WORDS, Math.floor((CALLDATA_WORDS - committedRows) / (committedRows + 1)));
}

/** A score as the relative improvement of the held-out loss over the base, 0 to 1. */
export function improvement(score: number): number {
  return Math.max(0, score - 1) / (MAX_SCORE - 1);
}
