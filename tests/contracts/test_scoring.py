"""Scoring: every path and every revert."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import ape
import pytest
from eth_utils.crypto import keccak
from tests.support.contracts.system import CVY, DAY, HOUR, System
from tests.support.contracts.task_steps import EVIDENCE, LOCAL, STAKE, People, Task, salt_of, sealed

from covey.protocol.scores import fold, page_hash, row_head
from covey.protocol.types import Outcome, RowStatus

TRUTHS = [9000, 0, 12000]
ERRORS = [0, 100, -200]


def name(text: str) -> bytes:
    """Return a bytes32 of left-aligned ASCII."""
    return text.encode().ljust(32, b"\0")


def rows_of(validators: Sequence[Any]) -> dict[Any, list[int]]:
    """Return honest rows: the true scores, each validator with its own error."""
    return {
        validator: [truth if truth < 2 else truth + error for truth in TRUTHS]
        for validator, error in zip(validators, ERRORS, strict=True)
    }


class Stage:
    """A task with three entries and three validators of 7 seats each, which can be advanced to a step."""

    def __init__(self, system: System, chain: Any, people: People, **fields: Any) -> None:
        self.trainers, self.validators = people.operators[:3], people.operators[3:]
        self.task = Task(system, chain, people, replace(LOCAL, **fields))
        self.rows = rows_of(self.validators)

    def filled(self) -> Task:
        self.task.fill(self.trainers, self.validators)
        return self.task

    def seeded(self) -> Task:
        self.filled().draw_seed()
        return self.task

    def committed(self) -> Task:
        task = self.seeded()
        for validator, scores in self.rows.items():
            task.commit_scores(validator, scores)
        task.warp(task.round().scoreCommitEnd)
        return task

    def revealed(self) -> Task:
        task = self.committed()
        for validator, scores in self.rows.items():
            task.reveal_scores(validator, scores)
        return task


@pytest.fixture
def stage(system: System, chain: Any, people: People) -> Stage:
    return Stage(system, chain, people)


# ---------------------------------------------------------------------- seed


def test_requestSeed_fixes_the_terms_and_the_target(system: System, stage: Stage, people: People) -> None:
    task = stage.task
    with ape.reverts(system.scoring.ScoringNotReady, error_inputs={"taskId": task.id}):
        task.request_seed()
    stage.filled()
    receipt = system.scoring.requestSeed(task.id, sender=people.keeper)
    (log,) = receipt.decode_logs(system.scoring.SeedRequested)
    assert (log.round, log.target, log.totalEarmarked) == (0, receipt.block_number + 4, 3 * STAKE)
    assert system.rewards.owedTo(people.keeper) == CVY
    with ape.reverts(system.scoring.ScoringSeedPending, error_inputs={"target": log.target}):
        task.request_seed()
    with ape.reverts(system.registry.RegistryUnknownTask):
        system.scoring.requestSeed(99, sender=people.keeper)


def test_fixSeed_requires_the_header_of_the_target(system: System, stage: Stage, people: People, chain: Any) -> None:
    task = stage.filled()
    with ape.reverts(system.scoring.ScoringNoSeed, error_inputs={"taskId": task.id}):
        system.scoring.fixSeed(task.id, b"", sender=people.keeper)
    target = task.request_seed()
    with ape.reverts(system.randomness.RandomnessNotYet):
        system.scoring.fixSeed(task.id, task.header(chain.blocks.head.number), sender=people.keeper)
    chain.mine(6)
    with ape.reverts(system.randomness.RandomnessBadProof, error_inputs={"target": target}):
        system.scoring.fixSeed(task.id, task.header(target - 1), sender=people.keeper)
    receipt = task.fix_seed(target)
    (log,) = receipt.decode_logs(system.scoring.SeedFixed)
    mix = task.chain.provider.make_request("eth_getBlockByNumber", [hex(target), False])["mixHash"]
    assert log.seed.hex() == mix.removeprefix("0x")
    now = receipt.timestamp
    assert (log.round, log.scoreCommitEnd, log.scoreRevealEnd) == (0, now + DAY, now + 2 * DAY)
    round_ = task.round()
    assert (round_.seed, round_.seedAt, round_.target) == (log.seed, now, target)
    assert (round_.pageWords, round_.pages) == (0, 0)
    with ape.reverts(system.scoring.ScoringSeedFixed):
        task.fix_seed(target)
    with ape.reverts(system.scoring.ScoringSeedFixed):
        task.request_seed()


def test_fixSeed_reverts_if_too_late_to_score(system: System, stage: Stage, people: People) -> None:
    task = stage.filled()
    late = task.schedule.expiresAt - 2 * DAY
    task.warp(late - 600)
    target = task.request_seed()
    task.warp(late + 1)
    with ape.reverts(system.scoring.ScoringWindowClosed, error_inputs={"window": name("seed")}):
        task.fix_seed(target)
    task.warp(task.schedule.expiresAt)
    system.registry.expire(task.id, sender=people.keeper)
    with ape.reverts(system.scoring.ScoringEnded):
        task.fix_seed(target)
    with ape.reverts(system.scoring.ScoringEnded):
        task.request_seed()


def test_requestSeed_reverts_if_too_late_to_score(system: System, stage: Stage) -> None:
    task = stage.filled()
    task.warp(task.schedule.expiresAt - 2 * DAY + 1)
    with ape.reverts(system.scoring.ScoringWindowClosed, error_inputs={"window": name("seed")}):
        task.request_seed()


# ---------------------------------------------------------------------- commit and abstain


def test_commitScores(system: System, stage: Stage, people: People) -> None:
    task, (first, second, _) = stage.task, stage.validators
    with ape.reverts(system.scoring.ScoringNoSeed):
        task.commit_scores(first, [1, 2, 3])
    stage.seeded()
    with ape.reverts(system.scoring.ScoringNotSigner):
        task.commit_words(first, [0], sender=first)
    with ape.reverts(system.scoring.ScoringNotSigner):
        task.commit_words(first, [0], sender=people.signer(second))
    with ape.reverts(system.scoring.ScoringNoSeat):
        task.commit_scores(stage.trainers[0], [1, 2, 3])
    receipt = task.commit_scores(first, [1, 2, 3])
    (log,) = receipt.decode_logs(system.scoring.ScoresCommitted)
    assert (log.round, log.operator, log.seats) == (0, first, 7)
    assert system.scoring.seatsOf(task.id, first) == 7
    row = system.scoring.rowOf(task.id, first)
    assert (row.status, row.seats, row.commitment) == (RowStatus.COMMITTED, 7, log.commitment[:28].ljust(32, b"\0"))
    with ape.reverts(system.scoring.ScoringAlreadyCommitted):
        task.commit_scores(first, [1, 2, 3])
    with ape.reverts(system.scoring.ScoringAlreadyCommitted):
        task.abstain(first)
    task.warp(task.round().scoreCommitEnd)
    with ape.reverts(system.scoring.ScoringWindowClosed, error_inputs={"window": name("scoreCommit")}):
        task.commit_scores(second, [1, 2, 3])
    with ape.reverts(system.scoring.ScoringWindowClosed, error_inputs={"window": name("scoreCommit")}):
        task.abstain(second)


def test_abstain(system: System, stage: Stage) -> None:
    task, (first, _, _) = stage.seeded(), stage.validators
    with ape.reverts(system.scoring.ScoringNotSigner):
        task.abstain(first, sender=first)
    with ape.reverts(system.scoring.ScoringNoSeat):
        task.abstain(stage.trainers[0])
    receipt = task.abstain(first)
    (log,) = receipt.decode_logs(system.scoring.Abstained)
    assert (log.round, log.operator, log.seats) == (0, first, 7)
    row = system.scoring.rowOf(task.id, first)
    assert (row.status, row.seats, row.commitment) == (RowStatus.ABSTAINED, 7, bytes(32))
    with ape.reverts(system.scoring.ScoringAlreadyCommitted):
        task.commit_scores(first, [1, 2, 3])
    assert task.round().committedRows == 0
    task.warp(task.round().scoreCommitEnd)
    with ape.reverts(system.scoring.ScoringNotCommitted):
        task.reveal_scores(first, [1, 2, 3])


def test_commitScores_reverts_without_a_seat(system: System, chain: Any, people: People) -> None:
    stage = Stage(system, chain, people, target_seats=9)
    task = stage.task
    task.fill(stage.trainers, stage.validators, [STAKE, STAKE, 600 * CVY])
    task.draw_seed()
    seats = {validator: system.scoring.seatsOf(task.id, validator) for validator in stage.validators}
    for validator, own in seats.items():
        if own == 0:
            with ape.reverts(system.scoring.ScoringNoSeat, error_inputs={"operator": validator.address}):
                task.commit_scores(validator, [1, 2, 3])
        else:
            task.commit_scores(validator, [1, 2, 3])


def test_seatsOf_reverts_without_a_seed(system: System, stage: Stage) -> None:
    task = stage.filled()
    with ape.reverts(system.scoring.ScoringNoSeed):
        system.scoring.seatsOf(task.id, stage.validators[0])


# ---------------------------------------------------------------------- reveal


def test_revealScores_folds_and_emits(system: System, stage: Stage) -> None:
    task = stage.committed()
    accumulator = bytes(32)
    for index, (validator, scores) in enumerate(stage.rows.items()):
        receipt = task.reveal_scores(validator, scores)
        (log,) = receipt.decode_logs(system.scoring.ScoresRevealed)
        assert (log.round, log.operator, log.seats, log.index) == (0, validator, 7, index)
        assert log.evidenceDigest == EVIDENCE
        accumulator = fold(accumulator, str(validator), 7, page_hash(log.words))
        assert system.scoring.accumulatorOf(task.id, 0) == accumulator
        row = system.scoring.rowOf(task.id, validator)
        assert (row.status, row.seats, row.index) == (RowStatus.REVEALED, 7, index)
    round_ = task.round()
    assert (round_.committedRows, round_.committedSeats, round_.revealedRows, round_.revealedSeats) == (3, 21, 3, 21)
    assert (round_.pageWords, round_.pages, round_.settledPages) == (64, 1, 0)
    with ape.reverts(system.scoring.ScoringNotCommitted):
        task.reveal_scores(validator, scores)


def test_revealScores_reverts_outside_its_window(system: System, stage: Stage) -> None:
    task = stage.seeded()
    (first, scores), *_ = stage.rows.items()
    task.warp(task.round().scoreCommitEnd)
    with ape.reverts(system.scoring.ScoringNotCommitted):
        task.reveal_scores(first, scores)
    task.warp(task.round().scoreRevealEnd)
    with ape.reverts(system.scoring.ScoringWindowClosed, error_inputs={"window": name("scoreReveal")}):
        task.reveal_scores(first, scores)


def test_revealScores_reverts_before_commits_close(system: System, stage: Stage) -> None:
    task = stage.seeded()
    (first, scores), *_ = stage.rows.items()
    task.commit_scores(first, scores)
    with ape.reverts(system.scoring.ScoringWindowClosed, error_inputs={"window": name("scoreReveal")}):
        task.reveal_scores(first, scores)


def test_revealScores_requires_the_committed_row(system: System, stage: Stage, people: People) -> None:
    task = stage.committed()
    (first, _), (second, other), *_ = stage.rows.items()
    with ape.reverts(system.scoring.ScoringBadReveal):
        task.reveal_scores(first, other)
    with ape.reverts(system.scoring.ScoringBadReveal):
        words = [0]
        system.scoring.revealScores(task.id, first, words, EVIDENCE, salt_of(second), sender=people.keeper)
    with ape.reverts(system.scoring.ScoringBadLength, error_inputs={"given": 0, "wanted": 1}):
        task.reveal_words(first, [])
    with ape.reverts(system.scoring.ScoringBadLength, error_inputs={"given": 2, "wanted": 1}):
        task.reveal_words(first, [0, 0])


@pytest.mark.parametrize(
    "word",
    [
        1 << 255,  # high bit of the first lane
        0x8000 << 208,  # high bit of the third
        1 << 192,  # a score past the last entry
        1,  # in the lowest lane
    ],
)
def test_revealScores_reverts_with_a_malformed_row(system: System, stage: Stage, word: int) -> None:
    task, first = stage.seeded(), stage.validators[0]
    task.commit_words(first, [word])
    task.warp(task.round().scoreCommitEnd)
    with ape.reverts(system.scoring.ScoringBadWord, error_inputs={"index": 0}):
        task.reveal_words(first, [word])


# ---------------------------------------------------------------------- settle


def test_settlePage(system: System, stage: Stage, people: People) -> None:
    task = stage.revealed()
    heads, medians, words = task.page_call(0, stage.rows)
    # All committed rows are revealed, so nobody waits for the end of the window.
    assert task.chain.blocks.head.timestamp < task.round().scoreRevealEnd
    receipt = task.settle_page(0, heads, medians, words)
    (page,) = receipt.decode_logs(system.scoring.PageSettled)
    (settled,) = receipt.decode_logs(system.scoring.RoundSettled)
    assert list(page.medians) == medians
    assert settled.payableAt == receipt.timestamp == task.round().settledAt
    assert system.scoring.isSettled(task.id)
    assert system.scoring.pageRootOf(task.id, 0) == page.root
    assert system.scoring.accumulatorOf(task.id, 0) == bytes(32)
    # Medians are the first validator's: 9000, 0, 12000. The others are 100 and 200 off, less than h.
    totals = system.scoring.totalsOf(task.id)
    assert list(totals) == [8345**2 + 11345**2, 21 * 2400, 2400, True]
    assert [system.scoring.lossOf(task.id, i) for i in range(3)] == [0, 0, 0]
    assert [system.scoring.gainOf(task.id, v) for v in stage.validators] == [2400] * 3
    assert system.scoring.gainOf(task.id, stage.trainers[0]) == 0
    with ape.reverts(system.scoring.ScoringPageSettled, error_inputs={"page": 0}):
        task.settle_page(0, heads, medians, words)
    with ape.reverts(system.scoring.ScoringBadPage, error_inputs={"page": 1}):
        task.settle_page(1, heads, medians, words)


def test_settlePage_checks_rows_and_medians(system: System, stage: Stage) -> None:
    task = stage.revealed()
    scoring = system.scoring
    heads, medians, words = task.page_call(0, stage.rows)
    with ape.reverts(scoring.ScoringBadPage, error_inputs={"page": 1}):
        task.settle_page(1, heads, medians, words)
    with ape.reverts(scoring.ScoringBadLength, error_inputs={"given": 2, "wanted": 1}):
        task.settle_page(0, heads, medians * 2, words)
    with ape.reverts(scoring.ScoringBadLength, error_inputs={"given": 2, "wanted": 3}):
        task.settle_page(0, heads[:2], medians, words[:2])
    with ape.reverts(scoring.ScoringBadLength, error_inputs={"given": 2, "wanted": 3}):
        task.settle_page(0, heads, medians, words[:2])
    bad_rows = {"taskId": task.id, "page": 0}
    with ape.reverts(scoring.ScoringBadRows, error_inputs=bad_rows):
        task.settle_page(0, heads[::-1], medians, words[::-1])  # another order
    with ape.reverts(scoring.ScoringBadRows, error_inputs=bad_rows):
        task.settle_page(0, heads, medians, [words[0] ^ 1, *words[1:]])
    with ape.reverts(scoring.ScoringBadRows, error_inputs=bad_rows):
        task.settle_page(0, [heads[0] + (1 << 160), *heads[1:]], medians, words)  # a seat more
    with ape.reverts(scoring.ScoringBadRows, error_inputs=bad_rows):
        task.settle_page(0, [heads[0] | 1 << 255, *heads[1:]], medians, words)
    lane = 1 << 240
    for wrong in (medians[0] + lane, medians[0] - lane, medians[0] | 1 << 255, medians[0] | 1, 0):
        with ape.reverts(scoring.ScoringBadMedian, error_inputs={"taskId": task.id, "word": 0}):
            task.settle_page(0, heads, [wrong], words)
    task.settle_page(0, heads, medians, words)


def test_verifyMedianWord(system: System, stage: Stage) -> None:
    task = stage.revealed()
    heads, medians, words = task.page_call(0, stage.rows)
    task.settle_page(0, heads, medians, words)
    assert system.scoring.verifyMedianWord(task.id, 0, medians[0], zero_proof())
    assert not system.scoring.verifyMedianWord(task.id, 0, medians[0] ^ 1, zero_proof())
    assert not system.scoring.verifyMedianWord(task.id, 1, medians[0], zero_proof())
    assert not system.scoring.verifyMedianWord(task.id, 64, medians[0], zero_proof())  # a page that is not there


def zero_proof() -> list[bytes]:
    """Return the siblings of the only word of a page."""
    siblings = [bytes(32)]
    while len(siblings) < 6:
        siblings.append(keccak(siblings[-1] * 2))
    return siblings


def test_settlePage_reverts_before_reveals_are_over(system: System, stage: Stage) -> None:
    task = stage.task
    call: tuple[int, list[int], list[int], list[int]] = (0, [], [], [])
    with ape.reverts(system.scoring.ScoringNoSeed):
        task.settle_page(*call)
    stage.committed()
    rows = dict(list(stage.rows.items())[:2])
    for validator, scores in rows.items():
        task.reveal_scores(validator, scores)
    until = task.round().scoreRevealEnd
    with ape.reverts(system.scoring.ScoringWindowOpen, error_inputs={"until": until}):
        task.settle_page(*call)
    with ape.reverts(system.scoring.ScoringWindowOpen, error_inputs={"until": until}):
        system.scoring.failRound(task.id, sender=task.people.keeper)
    # 14 of 21 seats are more than half: the third is not waited for.
    task.warp(until)
    task.settle(rows)
    assert system.scoring.isSettled(task.id)
    assert system.scoring.gainOf(task.id, stage.validators[2]) == 0


def test_quorum_requires_half_of_the_target_seats(system: System, stage: Stage) -> None:
    # One row of 7 committed seats is all of them, and not more than half of 21.
    task = stage.seeded()
    (first, scores), *_ = stage.rows.items()
    task.commit_scores(first, scores)
    task.warp(task.round().scoreCommitEnd)
    task.reveal_scores(first, scores)
    with ape.reverts(system.scoring.ScoringQuorum, error_inputs={"revealed": 7, "committed": 7}):
        task.settle_page(0, [row_head(str(first), 7)], [0], [0])
    receipt = system.scoring.failRound(task.id, sender=task.people.keeper)
    (failed,) = receipt.decode_logs(system.scoring.RoundFailed)
    assert (failed.round, failed.revealedSeats, failed.committedSeats) == (0, 7, 7)
    (again,) = receipt.decode_logs(system.scoring.Reseated)
    assert again.round == system.scoring.roundOf(task.id).number == 1
    assert again.requestFrom == receipt.timestamp + task.params.windows.settle // 4
    (extended,) = receipt.decode_logs(system.registry.TaskExtended)
    windows = task.params.windows
    more = windows.score_commit + windows.score_reveal + windows.settle
    assert extended.expiresAt == task.schedule.expiresAt + more == system.registry.scheduleOf(task.id).expiresAt
    # The second time the task fails.
    task.draw_seed()
    task.warp(task.round().scoreCommitEnd)
    receipt = system.scoring.failRound(task.id, sender=task.people.keeper)
    (failed,) = receipt.decode_logs(system.scoring.RoundFailed)
    assert (failed.round, failed.revealedSeats, failed.committedSeats) == (1, 0, 0)
    (ended,) = receipt.decode_logs(system.registry.TaskEnded)
    assert (ended.outcome, ended.reason) == (Outcome.FAILED, name("quorum"))


def test_quorum_requires_half_of_the_committed_seats(system: System, chain: Any, people: People) -> None:
    stage = Stage(system, chain, people, target_seats=9)
    task = stage.seeded()
    seated = [v for v in stage.validators if system.scoring.seatsOf(task.id, v)]
    for validator in seated:
        task.commit_scores(validator, stage.rows[validator])
    task.warp(task.round().scoreRevealEnd)
    with ape.reverts(system.scoring.ScoringQuorum):
        task.settle_page(0, [], [], [])
    system.scoring.failRound(task.id, sender=people.keeper)
    assert task.outcome() == Outcome.RUNNING
    assert system.scoring.roundOf(task.id).number == 1


def test_failRound_without_any_commitment(system: System, stage: Stage) -> None:
    task = stage.seeded()
    with ape.reverts(system.scoring.ScoringWindowOpen):
        system.scoring.failRound(task.id, sender=task.people.keeper)
    # Nobody committed, so nobody can reveal: no need to wait for the reveals.
    task.warp(task.round().scoreCommitEnd)
    receipt = system.scoring.failRound(task.id, sender=task.people.keeper)
    assert [log.round for log in receipt.decode_logs(system.scoring.Reseated)] == [1]


def test_failRound_ends_the_task_if_all_abstained(system: System, stage: Stage) -> None:
    task = stage.seeded()
    for validator in stage.validators:
        task.abstain(validator)
    task.warp(task.round().scoreCommitEnd)
    receipt = system.scoring.failRound(task.id, sender=task.people.keeper)
    assert list(receipt.decode_logs(system.scoring.Reseated)) == []
    assert task.outcome() == Outcome.FAILED
    for validator in stage.validators:
        with ape.reverts(system.registry.RegistryFaultOpen):
            system.registry.releaseEarmark(task.id, validator, sender=task.people.keeper)
        receipt = system.faults.reportMissed(task.id, 0, validator, sender=task.people.keeper)
        (silent,) = receipt.decode_logs(system.faults.MissedReported)
        assert (silent.seats, silent.failed) == (7, True)
        assert silent.taken == 7 * (LOCAL.bounty // LOCAL.target_seats), "abstaining broke the task"
        system.registry.releaseEarmark(task.id, validator, sender=task.people.keeper)


def test_void_round_is_followed_by_a_second_committee(system: System, stage: Stage) -> None:
    task = stage.seeded()
    zeros = {validator: [0, 0, 0] for validator in stage.validators}
    task.score(zeros)
    receipt = task.settle(zeros)
    assert [log.round for log in receipt.decode_logs(system.scoring.RoundVoid)] == [0]
    (again,) = receipt.decode_logs(system.scoring.Reseated)
    assert again.requestFrom == receipt.timestamp + task.params.windows.settle // 4
    assert system.scoring.roundAt(task.id, 0).isVoid and system.scoring.hasVoidRound(task.id)
    with ape.reverts(system.scoring.ScoringNotReady):
        system.scoring.requestSeed(task.id, sender=task.people.keeper)
    task.draw_seed()
    assert task.round().number == 1
    task.score(stage.rows)
    task.settle(stage.rows)
    task.finalise()
    assert task.outcome() == Outcome.PAID, "a later round with a score is paid as usual"


def test_failRound_reverts_for_a_round_with_quorum(system: System, stage: Stage) -> None:
    task = stage.revealed()
    with ape.reverts(system.scoring.ScoringQuorumReached):
        system.scoring.failRound(task.id, sender=task.people.keeper)


def test_failRound_reverts_without_a_seed(system: System, stage: Stage) -> None:
    task = stage.filled()
    with ape.reverts(system.scoring.ScoringNoSeed):
        system.scoring.failRound(task.id, sender=task.people.keeper)


# ---------------------------------------------------------------------- finalise


def test_finalise(system: System, stage: Stage, people: People) -> None:
    task = stage.revealed()
    with ape.reverts(system.scoring.ScoringNotSettled):
        task.finalise()
    with ape.reverts(system.scoring.ScoringNotSettled):
        system.scoring.gainOf(task.id, stage.validators[0])
    task.settle(stage.rows)
    tips = system.rewards.owedTo(people.keeper)
    receipt = task.finalise()
    (ended,) = receipt.decode_logs(system.registry.TaskEnded)
    assert (ended.outcome, ended.reason) == (Outcome.PAID, name("settled"))
    assert system.rewards.owedTo(people.keeper) == tips + CVY
    for again in (task.finalise, lambda: system.scoring.failRound(task.id, sender=people.keeper)):
        with ape.reverts(system.scoring.ScoringEnded, error_inputs={"taskId": task.id}):
            again()
    with ape.reverts(system.scoring.ScoringEnded):
        task.settle_page(0, [], [], [])


def test_finalise_waits_for_appeals_of_a_sealed_task(system: System, chain: Any, people: People) -> None:
    stage = Stage(system, chain, people)
    stage.task = Task(system, chain, people, sealed(system, chain.chain_id))
    task = stage.revealed()
    receipt = task.settle(stage.rows)
    payable = receipt.timestamp + 2 * HOUR
    with ape.reverts(system.scoring.ScoringAppealOpen, error_inputs={"until": payable}):
        task.finalise()
    # Settled, it does not expire, however late.
    task.warp(task.schedule.expiresAt)
    with ape.reverts(system.registry.RegistrySettled, error_inputs={"taskId": task.id}):
        system.registry.expire(task.id, sender=people.keeper)
    task.finalise()
    assert task.outcome() == Outcome.PAID


def test_views_of_a_task_without_a_round_are_empty(system: System) -> None:
    scoring = system.scoring
    assert not any(any(value) if isinstance(value, bytes) else value for value in scoring.roundOf(7))
    assert list(scoring.totalsOf(7)) == [0, 0, 0, False]
    assert scoring.rowOf(7, system.creator).status == RowStatus.NONE
    assert scoring.accumulatorOf(7, 0) == scoring.pageRootOf(7, 0) == bytes(32)
    assert not scoring.isSettled(7)
    assert not scoring.verifyMedianWord(7, 0, 0, zero_proof())
