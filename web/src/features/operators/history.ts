// An operator's history from its events: share price, rewards, commission, seats, faults.
import { type Address, type RpcLog } from "viem";
import { decodeEventLog, pad } from "viem/utils";
import { FaultReportedEvent, AbstainedEvent, ScoresRevealedEvent } from "../../abi/Scoring";
import { MissedReportedEvent } from "../../abi/Faults";
import { CancelledEvent, CommissionAnnouncedEvent, CommissionChangedEvent, DelegatedEvent, DrippedEvent, OperatorRegisteredEvent, RedelegatedEvent, RewardAddedEvent, SlashedEvent, UndelegatedEvent } from "../../abi/Staking";
import { price, type Side } from "../../lib/shares";
import { formatAmount, toDecimal } from "../../lib/units";
import type { Point } from "../../ui/plot";
import { readLogs } from "../../web3/logs";
import { addressOf } from "../../web3/read";
import { timesOf } from "../../web3/times";
import { topicOf } from "../../web3/topics";
import { language } from "../../words";

const POOL = [...OperatorRegisteredEvent, ...CommissionAnnouncedEvent, ...CommissionChangedEvent, ...DelegatedEvent, ...UndelegatedEvent, ...CancelledEvent, ...RedelegatedEvent, ...DrippedEvent, ...RewardAddedEvent, ...SlashedEvent] as const;
const DUTIES = [...ScoresRevealedEvent, ...AbstainedEvent, ...FaultReportedEvent] as const;
const FAULTS = ["–", "absent", "unrevealed", "overturned"] as const;

/** Days of rewards that the estimated yield looks back. */
export const YIELD_DAYS = 30;
export const YEAR_S = 365 * 86_400;

/** One change of an operator's commission. */
export interface Commission {
  kind: "registered" | "commissionAnnounced" | "commissionChanged";
  time: number;
  bps: number;
  from: number;
}

/** One slash: its time, what for, wei, and its transaction. */
export interface Slash {
  time: number;
  reason: string;
  amount: bigint;
  transaction: string;
  logIndex: string;
}

/** What the events of an operator say. Amounts are wei, times seconds of chain time. */
export interface History {
  prices: Point[];
  rewards: Point[];
  recentRewards: bigint;
  commissions: Commission[];
  slashes: Slash[];
  revealed: number;
  abstained: number;
  faults: string[];
  rows: { time: number; event: string; amount: bigint; detail: string; transaction: string }[];
}

/** Reads an operator's events from the deployment's first block on. */
export async function readHistory(operator: Address, from: bigint, to: bigint): Promise<History> {
  const topic = pad(operator);
  const [own, moved, duties, missed] = await Promise.all([
    readLogs({ address: addressOf("Staking"), topics: [POOL.map(topicOf), topic] }, from, to),
    readLogs({ address: addressOf("Staking"), topics: [RedelegatedEvent.map(topicOf), null, topic] }, from, to),
    readLogs({ address: addressOf("Scoring"), topics: [DUTIES.map(topicOf), null, topic] }, from, to),
    readLogs({ address: addressOf("Faults"), topics: [MissedReportedEvent.map(topicOf), null, topic] }, from, to),
  ]);
  const logs = [...own, ...moved].sort(inOrder);
  const times = await timesOf(logs);
  const history = fold(operator, logs, times);
  const reasons = new Map<string, string>();
  for (const log of duties) {
    const event = decodeEventLog({ abi: DUTIES, topics: log.topics as never, data: log.data });
    if (event.eventName === "ScoresRevealed") history.revealed += 1;
    else if (event.eventName === "Abstained") history.abstained += 1;
    else {
      const reason = `${FAULTS[event.args.fault] ?? "?"} (${event.args.taskId})`;
      history.faults.push(reason);
      reasons.set(log.transactionHash ?? "", reason);
    }
  }
  for (const log of missed) {
    const event = decodeEventLog({ abi: MissedReportedEvent, topics: log.topics as never, data: log.data });
    const reason = `missed round (${event.args.taskId})`;
    history.faults.push(reason);
    reasons.set(log.transactionHash ?? "", reason);
  }
  for (const slash of history.slashes) slash.reason = reasons.get(slash.transaction) ?? "overturned";
  return history;
}

function inOrder(a: RpcLog, b: RpcLog): number {
  return Number(BigInt(a.blockNumber ?? 0) - BigInt(b.blockNumber ?? 0)) || Number(BigInt(a.logIndex ?? 0) - BigInt(b.logIndex ?? 0));
}

/** Follows the pool's tokens and shares through its events. */
export function fold(operator: Address, logs: readonly RpcLog[], times: readonly number[]): History {
  const history: History = { prices: [], rewards: [], recentRewards: 0n, commissions: [], slashes: [], revealed: 0, abstained: 0, faults: [], rows: [] };
  const side: Side = { tokens: 0n, shares: 0n };
  const newest = times.at(-1) ?? 0;
  let rewards = 0n;
  logs.forEach((log, i) => {
    const event = decodeEventLog({ abi: POOL, topics: log.topics as never, data: log.data });
    const time = times[i] ?? 0;
    const row = (amount: bigint, detail = ""): void => void history.rows.push({ time, event: event.eventName, amount, detail, transaction: log.transactionHash ?? "" });
    switch (event.eventName) {
      case "OperatorRegistered":
        history.commissions.push({ kind: "registered", time, bps: event.args.commissionBps, from: time });
        row(0n, `commission ${event.args.commissionBps} bps`);
        return;
      case "CommissionAnnounced":
        history.commissions.push({ kind: "commissionAnnounced", time, bps: event.args.commissionBps, from: event.args.from });
        row(0n, `${event.args.commissionBps} bps from ${event.args.from}`);
        return;
      case "CommissionChanged":
        history.commissions.push({ kind: "commissionChanged", time, bps: event.args.commissionBps, from: time });
        row(0n, `${event.args.commissionBps} bps`);
        return;
      case "RewardAdded":
        row(event.args.amount);
        return;
      case "Delegated":
      case "Cancelled":
        side.tokens += event.args.amount;
        side.shares += event.args.shares;
        row(event.args.amount, event.args.delegator);
        break;
      case "Undelegated":
        side.tokens -= event.args.amount;
        side.shares -= event.args.shares;
        row(-event.args.amount, event.args.delegator);
        break;
      case "Redelegated":
        if (event.args.from === operator) {
          side.tokens -= event.args.amount;
          side.shares -= event.args.sharesFrom;
          row(-event.args.amount, event.args.delegator);
        } else {
          side.tokens += event.args.amount;
          side.shares += event.args.sharesTo;
          row(event.args.amount, event.args.delegator);
        }
        break;
      case "Dripped":
        side.tokens += event.args.toActive;
        rewards += event.args.toActive;
        if (time >= newest - YIELD_DAYS * 86_400) history.recentRewards += event.args.toActive;
        history.rewards.push({ time, value: Number(toDecimal(rewards)), text: formatAmount(rewards, language.value, 4) });
        row(event.args.toActive);
        break;
      case "Slashed": {
        const amount = event.args.fromActive + event.args.fromUnbonding;
        side.tokens -= event.args.fromActive;
        side.shares -= event.args.ownShares;
        history.slashes.push({ time, reason: "", amount, transaction: log.transactionHash ?? "", logIndex: log.logIndex ?? "" });
        row(-amount);
        break;
      }
    }
    const worth = price(side);
    history.prices.push({ time, value: Number(toDecimal(worth)), text: formatAmount(worth, language.value, 6) });
  });
  return history;
}
