// A task's events, in chain order, grouped for the views and the audit.
import { type Address, type Hex } from "viem";
import { decodeEventLog, hexToString, numberToHex, pad } from "viem/utils";
import * as Appeals from "../../abi/Appeals";
import * as Committee from "../../abi/Scoring";
import * as Faults from "../../abi/Faults";
import * as Registry from "../../abi/TaskRegistry";
import * as Rewards from "../../abi/Rewards";
import { readLogs } from "../../web3/logs";
import { addressOf } from "../../web3/read";
import { topicOf } from "../../web3/topics";

const EVENTS = [
  ...Registry.EntryCommittedEvent,
  ...Registry.EntryRevealedEvent,
  ...Registry.ValidatorEnrolledEvent,
  ...Registry.TaskEndedEvent,
  ...Committee.SeedRequestedEvent,
  ...Committee.SeedFixedEvent,
  ...Committee.ScoresCommittedEvent,
  ...Committee.AbstainedEvent,
  ...Committee.ScoresRevealedEvent,
  ...Committee.PageSettledEvent,
  ...Committee.RoundSettledEvent,
  ...Committee.RoundVoidEvent,
  ...Committee.MedianReplacedEvent,
  ...Committee.FaultReportedEvent,
  ...Faults.MissedReportedEvent,
  ...Rewards.FeePaidEvent,
  ...Rewards.ToppedUpEvent,
  ...Rewards.TipPaidEvent,
  ...Rewards.AppealChargedEvent,
  ...Rewards.EscrowClosedEvent,
  ...Rewards.EntryRewardClaimedEvent,
  ...Rewards.ScoringRewardClaimedEvent,
  ...Appeals.WordContestedEvent,
  ...Appeals.ContestResolvedEvent,
  ...Appeals.RowOverturnedEvent,
] as const;

/** A revealed entry. `reward` is wei, null until claimed. */
export interface Entry {
  operator: Address;
  lane: number;
  digest: Hex;
}

/** One committee. Words are as revealed; pages by number. */
export interface Round {
  number: number;
  total: bigint;
  seed: Hex | null;
  committed: { operator: Address; seats: number }[];
  rows: { operator: Address; seats: number; words: readonly bigint[] }[];
  pages: Map<number, { medians: readonly bigint[]; weights: bigint; spread: bigint }>;
  settled: { weights: bigint; gainSeats: bigint; spread: bigint; losses: readonly bigint[] } | null;
}

/** A task's events. Amounts are wei. */
export interface TaskRecord {
  entries: Entry[];
  committedEntries: number;
  enrolled: { operator: Address; amount: bigint }[];
  rounds: Round[];
  replaced: { word: number; replacement: bigint }[];
  faults: { operator: Address; fault: string; taken: bigint; reporter: Address }[];
  fees: bigint;
  extra: bigint;
  tips: bigint;
  appealCost: bigint;
  appealTips: bigint;
  closed: { outcome: number; trainersPool: bigint; validatorsPool: bigint; toCreator: bigint; toTreasury: bigint } | null;
  hasVoidRound: boolean;
  reason: string;
  entryClaims: Map<number, bigint>;
  scoringClaims: Map<string, bigint>;
}

const FAULTS = ["none", "absent", "unrevealed", "overturned"] as const;

/** Reads a task's events, all in one request: every event of a task has its id as the first topic after the signature. */
export async function readRecord(task: bigint, from: bigint, to: bigint): Promise<TaskRecord> {
  const addresses = (["TaskRegistry", "Scoring", "Rewards", "Appeals", "Faults"] as const).map(addressOf);
  const logs = await readLogs({ address: addresses, topics: [EVENTS.map(topicOf), pad(numberToHex(task))] }, from, to);
  const record: TaskRecord = {
    entries: [], committedEntries: 0, enrolled: [], rounds: [], replaced: [], faults: [], fees: 0n, extra: 0n, tips: 0n, appealCost: 0n, appealTips: 0n, closed: null, hasVoidRound: false, reason: "",
    entryClaims: new Map(), scoringClaims: new Map(),
  };
  const roundOf = (number: number): Round => {
    let round = record.rounds.find((one) => one.number === number);
    if (!round) {
      round = { number, total: 0n, seed: null, committed: [], rows: [], pages: new Map(), settled: null };
      record.rounds.push(round);
    }
    return round;
  };
  const scoring = addressOf("Scoring").toLowerCase();
  for (const log of logs) {
    const event = decodeEventLog({ abi: EVENTS, topics: log.topics as never, data: log.data });
    switch (event.eventName) {
      case "RoundVoid": record.hasVoidRound = true; break;
      case "TaskEnded": record.reason = hexToString(event.args.reason, { size: 32 }); break;
      case "EntryCommitted": record.committedEntries += 1; break;
      case "EntryRevealed": record.entries.push({ operator: event.args.operator, lane: event.args.lane, digest: event.args.digest }); break;
      case "ValidatorEnrolled": record.enrolled.push({ operator: event.args.operator, amount: event.args.amount }); break;
      case "FeePaid": record.fees += event.args.amount; break;
      case "ToppedUp": record.extra += event.args.amount; break;
      case "TipPaid": record.tips += event.args.amount; break;
      case "AppealCharged": record.appealCost += event.args.cost; record.appealTips += event.args.tips; break;
      case "EscrowClosed": record.closed = event.args; break;
      case "EntryRewardClaimed": record.entryClaims.set(event.args.lane, event.args.amount); break;
      case "ScoringRewardClaimed": record.scoringClaims.set(event.args.operator, event.args.amount); break;
      case "MedianReplaced": record.replaced.push({ word: event.args.word, replacement: event.args.replacement }); break;
      case "FaultReported": record.faults.push({ operator: event.args.operator, fault: FAULTS[event.args.fault] ?? "?", taken: event.args.taken, reporter: event.args.reporter }); break;
      case "MissedReported": record.faults.push({ operator: event.args.operator, fault: "missed round", taken: event.args.taken, reporter: event.args.reporter }); break;
      case "RowOverturned": record.faults.push({ operator: event.args.operator, fault: "overturned", taken: event.args.taken, reporter: event.args.reporter }); break;
      case "SeedRequested": if (log.address.toLowerCase() === scoring) roundOf(event.args.round).total = event.args.totalEarmarked; break;
      case "SeedFixed": if (log.address.toLowerCase() === scoring) roundOf(event.args.round).seed = event.args.seed; break;
      case "ScoresCommitted": roundOf(event.args.round).committed.push({ operator: event.args.operator, seats: event.args.seats }); break;
      case "ScoresRevealed": roundOf(event.args.round).rows.push({ operator: event.args.operator, seats: event.args.seats, words: event.args.words }); break;
      case "PageSettled": roundOf(event.args.round).pages.set(event.args.page, { medians: event.args.medians, weights: event.args.weights, spread: event.args.spread }); break;
      case "RoundSettled": roundOf(event.args.round).settled = { ...event.args.totals, losses: event.args.losses }; break;
      default: break;
    }
  }
  return record;
}
