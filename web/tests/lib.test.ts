// The page's arithmetic, against cases of covey.protocol.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { cidOf, matches, parseDagPb, RAW, unixFsData } from "../src/lib/cid";
import { toCsv } from "../src/lib/csv";
import { entryReward, gainOf, scoringReward, split } from "../src/lib/payouts";
import { type PhaseFacts, phaseAt } from "../src/lib/phase";
import { pack, unpack } from "../src/lib/scores";
import { seats } from "../src/lib/seats";
import { settle } from "../src/lib/settlement";
import { toShares, toTokens } from "../src/lib/shares";
import { formatAmount, parseAmount, percent, toDecimal } from "../src/lib/units";
import { en } from "../src/words/en";
import { zh } from "../src/words/zh";
import { parseDeployment, CONTRACTS } from "../src/web3/deployment";

const vectors = JSON.parse(readFileSync(new URL("vectors.json", import.meta.url), "utf8"));

describe("settlement", () => {
  it("equals the protocol's on random cases", () => {
    expect(vectors.settlements.length).toBeGreaterThan(50);
    for (const one of vectors.settlements) {
      const rows = one.rows.map((row: { operator: string; seats: number; words: string[] }) => ({ operator: row.operator, seats: row.seats, scores: unpack(row.words.map(BigInt), one.entries) }));
      const result = settle(rows, one.rules, one.committed, (spread, loss) => gainOf(spread, loss, one.round, one.sealed));
      expect(result.medians).toEqual(one.medians);
      expect(result.losses).toEqual(one.losses);
      expect(result.gains).toEqual(one.gains);
      expect(result.spread).toBe(one.spread);
      expect(result.totalWeights).toBe(BigInt(one.totalWeights));
      expect(result.gainSeats).toBe(BigInt(one.gainSeats));
      expect(pack(unpack(one.rows[0].words.map(BigInt), one.entries)).map((word) => `0x${word.toString(16)}`)).toEqual(one.rows[0].words);
    }
  });
  it("has the protocol's gains at the edges", () => {
    for (const [spread, loss, round, sealed, gain] of vectors.gains) expect(gainOf(spread, loss, round, sealed)).toBe(gain);
  });
  it("refuses rows that no contract accepts", () => {
    expect(() => unpack([1n << 255n], 16)).toThrow(RangeError);
    expect(() => unpack([1n], 15)).toThrow(RangeError);
    expect(() => unpack([], 1)).toThrow(RangeError);
    expect(() => pack([32_768])).toThrow(RangeError);
    expect(() => settle([], { h: 1, tau: 1, floor: 1, power: 1 }, 1, () => 0)).toThrow(RangeError);
  });
});

describe("payouts", () => {
  it("equal the protocol's on random cases", () => {
    for (const one of vectors.payouts) {
      const { validatorBps, ...amounts } = one.escrow;
      const escrow = Object.fromEntries(Object.entries(amounts).map(([key, value]) => [key, BigInt(value as string)]));
      const pools = split({ ...escrow, validatorBps, outcome: one.outcome, hasVoidRound: one.hasVoidRound, isWithheld: one.isWithheld } as Parameters<typeof split>[0]);
      expect({ ...pools, trainers: String(pools.trainers), validators: String(pools.validators), toCreator: String(pools.toCreator), toTreasury: String(pools.toTreasury) }).toEqual(one.pools);
      if (one.outcome !== "paid") continue;
      expect(String(entryReward(pools.trainers, BigInt(one.weight), escrow.totalWeights ?? 0n))).toBe(one.entryReward);
      expect(String(scoringReward(pools, one.seats, one.gain, escrow.gainSeats ?? 0n, one.revealedSeats))).toBe(one.scoringReward);
    }
  });
});

describe("seats", () => {
  it("equal the protocol's on random draws", () => {
    for (const one of vectors.seats) {
      expect(seats({ ...one, task: BigInt(one.task), earmark: BigInt(one.earmark), total: BigInt(one.total) })).toBe(one.seats);
    }
  });
});

describe("amounts", () => {
  it("parse to the wei and back", () => {
    const cases: [string, bigint][] = [
      ["1.5", 1_500_000_000_000_000_000n],
      ["1,234.000000000000000001", 1_234_000_000_000_000_000_001n],
      [".5", 500_000_000_000_000_000n],
      ["0", 0n],
      ["309485009.821345068724781055", (1n << 88n) - 1n],
    ];
    for (const [text, wei] of cases) {
      expect(parseAmount(text)).toEqual({ wei });
      expect(parseAmount(toDecimal(wei))).toEqual({ wei });
    }
  });
  it.each([
    ["", "empty"],
    ["  ", "empty"],
    ["-1", "negative"],
    ["1e3", "notANumber"],
    ["1,2", "notANumber"],
    [".", "notANumber"],
    ["0x10", "notANumber"],
    ["1.0000000000000000001", "tooPrecise"],
    ["309485009.821345068724781056", "tooLarge"],
  ])("refuses %j", (text, error) => {
    expect(parseAmount(text)).toEqual({ error });
  });
  it("formats without floating point and never rounds up", () => {
    expect(formatAmount(9_007_199_254_740_993_999_999_999_999_999_999n, "en", 18)).toBe("9,007,199,254,740,993.999999999999999999");
    expect(formatAmount(1_999_999_999_999_999_999n, "en")).toBe("1.9999");
    expect(formatAmount(-1_046_850_000_000_000_000n, "en")).toBe("−1.0468");
    expect(formatAmount(1n, "en")).toBe("< 0.0001");
    expect(formatAmount(0n, "en")).toBe("0");
    expect(percent(1n, 3n)).toBe("33.33 %");
    expect(percent(1n, 0n)).toBe("–");
  });
});

describe("shares", () => {
  it("round against who converts", () => {
    const side = { tokens: 10n ** 21n + 7n, shares: 10n ** 21n };
    expect(toShares(10n ** 18n, side)).toBeLessThan(10n ** 18n);
    expect(toTokens(toShares(10n ** 18n, side), side)).toBeLessThanOrEqual(10n ** 18n);
    expect(toTokens(5n, { tokens: 0n, shares: 5n })).toBe(0n);
    expect(toShares(3n, { tokens: 0n, shares: 0n })).toBe(3n);
  });
});

describe("CIDs", () => {
  it("of the empty folder and of a raw block", async () => {
    const folder = "0x59948439065f29619ef41280cbb932be52c56d99c5966b65e0111239f098bbef" as const;
    expect(cidOf(folder)).toBe("bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354");
    expect(await matches(new Uint8Array([0x0a, 0x02, 0x08, 0x01]), folder)).toBe(true);
    expect(await matches(new Uint8Array([0x0a, 0x02, 0x08, 0x02]), folder)).toBe(false);
    const empty = "0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" as const;
    expect(cidOf(empty, RAW)).toBe("bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku");
  });
  it("reads a file node, and refuses cut blocks", () => {
    const node = new Uint8Array([0x0a, 0x09, 0x08, 0x02, 0x12, 0x03, 0x61, 0x62, 0x63, 0x18, 0x03]);
    expect(new TextDecoder().decode(unixFsData(parseDagPb(node).data))).toBe("abc");
    for (let length = 1; length < node.length; length++) expect(() => parseDagPb(node.slice(0, length))).toThrow(RangeError);
    expect(() => parseDagPb(new Uint8Array(20).fill(0xff))).toThrow(RangeError);
  });
});

describe("phases", () => {
  const facts: PhaseFacts = {
    running: true, sealed: false, sealedOpen: false, committed: 2, minEntries: 1, revealed: 2, totalEarmarked: 10n, minStake: 5n, targetSeats: 9, appeal: 0, entryCommitEnd: 10, enrolEnd: 20,
    entryRevealEnd: 30, openEnd: 40, expiresAt: 100, target: 0n, scoreCommitEnd: 0, scoreRevealEnd: 0, committedRows: 0, revealedRows: 0, committedSeats: 0, revealedSeats: 0, settledAt: 0,
  };
  it("follow the windows and what is missing", () => {
    const cases: [Partial<PhaseFacts>, number, string, number][] = [
      [{}, 9, "entryCommit", 10],
      [{ committed: 0 }, 10, "close", 0],
      [{ minEntries: 3 }, 10, "close", 0],
      [{}, 10, "enrol", 20],
      [{ totalEarmarked: 4n }, 20, "close", 0],
      [{}, 20, "entryReveal", 30],
      [{ revealed: 0 }, 30, "close", 0],
      [{ sealed: true }, 30, "open", 40],
      [{ sealed: true }, 40, "close", 0],
      [{}, 30, "seedRequest", 100],
      [{ target: 5n }, 30, "seedFix", 100],
      [{ target: 5n, scoreCommitEnd: 50, scoreRevealEnd: 60, committedRows: 2, committedSeats: 9 }, 49, "scoreCommit", 50],
      [{ target: 5n, scoreCommitEnd: 50, scoreRevealEnd: 60, committedRows: 2, committedSeats: 9 }, 50, "scoreReveal", 60],
      [{ target: 5n, scoreCommitEnd: 50, scoreRevealEnd: 60, committedRows: 2, revealedRows: 1, committedSeats: 9, revealedSeats: 4 }, 60, "fail", 0],
      [{ target: 5n, scoreCommitEnd: 50, scoreRevealEnd: 60, committedRows: 2, revealedRows: 2, committedSeats: 9, revealedSeats: 9 }, 50, "settle", 100],
      [{ settledAt: 60, appeal: 30 }, 120, "finalise", 0],
      [{ settledAt: 60, appeal: 30 }, 89, "appeal", 90],
      [{}, 100, "expire", 0],
      [{ running: false }, 5, "ended", 0],
    ];
    for (const [change, now, phase, until] of cases) expect(phaseAt({ ...facts, ...change }, now)).toEqual({ phase, until });
  });
});

describe("words", () => {
  it("use the same arguments in both languages", () => {
    const names = (text: string): string[] => [...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? "").sort();
    for (const key of Object.keys(en) as (keyof typeof en)[]) {
      expect(new Set(names(zh[key])), key).toEqual(new Set(names(en[key])));
      expect(zh[key], key).not.toBe("");
    }
  });
});

describe("tables and deployments", () => {
  it("escape cells, and what a spreadsheet would run", () => {
    expect(toCsv(["a", "b"], [["x,y", 'say "hi"'], ["=1+1", -5n]])).toBe('a,b\r\n"x,y","say ""hi"""\r\n\'=1+1,-5\r\n');
  });
  it("name the missing field", () => {
    const record = { address: "0x5FbDB2315678afecb367f032d93F642f64180aa3", block: 3, codeHash: "0x" };
    const contracts = Object.fromEntries(CONTRACTS.map((name) => [name, record]));
    expect(parseDeployment({ chainId: 1, rpc: "./rpc", contracts }).firstBlock).toBe(3n);
    expect(() => parseDeployment(null)).toThrow("chainId");
    expect(() => parseDeployment({ chainId: 1, contracts: { ...contracts, Staking: { ...record, address: "0x12" } } })).toThrow("address of Staking");
    expect(() => parseDeployment({ chainId: 1, contracts: { ...contracts, Rewards: { ...record, block: "x" } } })).toThrow("block of Rewards");
  });
});
