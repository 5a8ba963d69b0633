// The step that a task waits for at a chain time (covey.protocol.windows).
import { quorum } from "./settlement";

export type Phase =
  | "entryCommit" | "enrol" | "entryReveal" | "open" | "seedRequest" | "seedFix" | "scoreCommit" | "scoreReveal" | "settle" | "appeal" | "finalise" | "close" | "fail" | "expire" | "ended";

/** What the phase depends on. Times are seconds of chain time; amounts are wei. */
export interface PhaseFacts {
  running: boolean;
  sealed: boolean;
  sealedOpen: boolean;
  committed: number;
  minEntries: number;
  revealed: number;
  totalEarmarked: bigint;
  minStake: bigint;
  targetSeats: number;
  appeal: number;
  entryCommitEnd: number;
  enrolEnd: number;
  entryRevealEnd: number;
  openEnd: number;
  expiresAt: number;
  target: bigint;
  scoreCommitEnd: number;
  scoreRevealEnd: number;
  committedRows: number;
  revealedRows: number;
  committedSeats: number;
  revealedSeats: number;
  settledAt: number;
}

/** The phase and the time at which its window ends (0: no window). */
export function phaseAt(facts: PhaseFacts, now: number): { phase: Phase; until: number } {
  if (!facts.running) return { phase: "ended", until: 0 };
  if (facts.settledAt) {
    const until = facts.settledAt + facts.appeal;
    return now < until ? { phase: "appeal", until } : { phase: "finalise", until: 0 };
  }
  if (now >= facts.expiresAt) return { phase: "expire", until: 0 };
  if (now < facts.entryCommitEnd) return { phase: "entryCommit", until: facts.entryCommitEnd };
  if (facts.committed < Math.max(facts.minEntries, 1)) return { phase: "close", until: 0 };
  if (now < facts.enrolEnd) return { phase: "enrol", until: facts.enrolEnd };
  if (facts.totalEarmarked < (facts.minStake > 0n ? facts.minStake : 1n)) return { phase: "close", until: 0 };
  if (now < facts.entryRevealEnd) return { phase: "entryReveal", until: facts.entryRevealEnd };
  if (facts.revealed === 0) return { phase: "close", until: 0 };
  if (facts.sealed && !facts.sealedOpen) return now < facts.openEnd ? { phase: "open", until: facts.openEnd } : { phase: "close", until: 0 };
  if (facts.target === 0n) return { phase: "seedRequest", until: facts.expiresAt };
  if (facts.scoreCommitEnd === 0) return { phase: "seedFix", until: facts.expiresAt };
  if (now < facts.scoreCommitEnd) return { phase: "scoreCommit", until: facts.scoreCommitEnd };
  if (now < facts.scoreRevealEnd && facts.revealedRows < facts.committedRows) return { phase: "scoreReveal", until: facts.scoreRevealEnd };
  return quorum(facts.revealedSeats, facts.committedSeats, facts.targetSeats) ? { phase: "settle", until: facts.expiresAt } : { phase: "fail", until: 0 };
}
