"""Rows of scores when a reorganisation changes the entries: the matching row is committed, revealed and published."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from tests.node.protocol.test_documents import SHEET
from tests.support.daemon.context import SPEC, open_context
from tests.support.daemon.results import score_result
from tests.support.daemon.scenario import OPERATOR, REVEAL_END, SEED, Scenario, address

from covey.daemon.context import Context
from covey.daemon.duties import rows
from covey.daemon.duties.fetching import fetch_entries
from covey.daemon.planning.duty import Duty, DutyKind
from covey.daemon.storage.commitments import CommittedRow
from covey.daemon.workers.executor import Executor, Finished
from covey.protocol.sheet import ScoreSheet

DUTY = Duty(REVEAL_END + 100, DutyKind.SCORE, 1)
FIRST, SECOND = "11" * 32, "22" * 32  # digests of entries


class CancelRecorder:
    """An executor that only records what is cancelled."""

    def __init__(self) -> None:
        self.cancelled: list[str] = []

    def cancel(self, key: str) -> None:
        self.cancelled.append(key)


@pytest.fixture
def executor() -> CancelRecorder:
    return CancelRecorder()


@pytest.fixture
def ctx(tmp_path: Path, executor: CancelRecorder) -> Iterator[Context]:
    with open_context(tmp_path, executor=cast(Executor, executor)) as context:
        yield context


def scenario_with(*digests: str) -> Scenario:
    """A task whose entries have these digests, by lane, and in which this node has a seat."""
    scenario = Scenario()
    for number, _ in enumerate(digests):
        scenario.enter(address(50 + number))
    scenario.enrol(OPERATOR)
    for number, digest in enumerate(digests):
        entry = scenario.task.entries[address(50 + number)]
        entry.lane, entry.digest = number, bytes.fromhex(digest)
    scenario.request_seed()
    return scenario.emit("Scoring", "SeedFixed", round=0, seed="0x" + SEED.hex(), scoreCommitEnd=1, scoreRevealEnd=2)


def row_for(*digests: str, salt: str) -> CommittedRow:
    """A row with a sheet for entries of these digests."""
    line = SHEET["entries"][0]
    entries = [{**line, "lane": lane, "digest": digest} for lane, digest in enumerate(digests)]
    sheet = ScoreSheet.parse({**SHEET, "entries": entries}).canonical_bytes()
    return CommittedRow(words=(1,), evidence=bytes.fromhex(salt) * 32, salt=bytes.fromhex(salt) * 32, sheet=sheet)


def test_a_row_is_found_by_the_entries_in_their_lanes(ctx: Context) -> None:
    before, after, fewer = scenario_with(FIRST, SECOND), scenario_with(SECOND, FIRST), scenario_with(FIRST)
    assert rows.for_entries(ctx, before.task, DUTY) is None
    first, second = row_for(FIRST, SECOND, salt="aa"), row_for(SECOND, FIRST, salt="bb")
    rows.save(ctx, DUTY, first)
    assert rows.for_entries(ctx, before.task, DUTY) == first
    assert rows.for_entries(ctx, after.task, DUTY) is None, "the lanes have other entries"
    assert rows.for_entries(ctx, fewer.task, DUTY) is None, "scores past the last lane could not be revealed"
    rows.save(ctx, DUTY, second)
    assert rows.for_entries(ctx, after.task, DUTY) == second
    assert rows.for_entries(ctx, before.task, DUTY) == first


def test_the_committed_row_is_revealed_and_published(ctx: Context) -> None:
    first, second = row_for(FIRST, SECOND, salt="aa"), row_for(SECOND, FIRST, salt="bb")
    for row in (first, second):
        rows.save(ctx, DUTY, row)
    for row in (first, second):
        scenario = scenario_with(SECOND, FIRST)
        commitment = rows.commitment_of(ctx, DUTY, row)
        args = {"round": 0, "operator": OPERATOR, "seats": 8}
        scenario.emit("Scoring", "ScoresCommitted", **args, commitment="0x" + commitment.hex())
        assert rows.committed(ctx, scenario.task, DUTY) == row
        assert rows.revealed(ctx, scenario.task, DUTY) is None
        evidence = "0x" + row.evidence.hex()
        scenario.emit("Scoring", "ScoresRevealed", **args, index=0, evidenceDigest=evidence, words=[1])
        assert rows.revealed(ctx, scenario.task, DUTY) == row
    scenario = scenario_with(SECOND, FIRST).commit_scores(OPERATOR)
    assert rows.committed(ctx, scenario.task, DUTY) is None


def test_a_job_for_other_entries_is_deleted(ctx: Context, executor: CancelRecorder) -> None:
    before, after = scenario_with(FIRST, SECOND), scenario_with(SECOND, FIRST)
    rows.drop_outdated_job(ctx, before.task, DUTY)
    ctx.journal.start_job(DUTY.key, 1)
    ctx.journal.finish_job(DUTY.key, score_result())
    ctx.unrecorded = [Finished(DUTY.key, score_result(), None), Finished("another", score_result(), None)]
    rows.drop_outdated_job(ctx, before.task, DUTY)
    assert ctx.journal.job(DUTY.key) is not None
    rows.drop_outdated_job(ctx, after.task, DUTY)
    assert ctx.journal.job(DUTY.key) is None
    assert executor.cancelled == [DUTY.key]
    assert [finished.key for finished in ctx.unrecorded] == ["another"]


def test_files_fetched_for_a_lane_are_not_used_for_another_entry_in_it(ctx: Context) -> None:
    before, after = scenario_with(FIRST), scenario_with(SECOND)
    pending = fetch_entries(ctx, before.task, SPEC).pending
    assert list(pending) == [0]
    folder = ctx.folder("fetched", ctx.network, "1", f"0-{FIRST[:16]}")
    folder.mkdir(parents=True)
    assert fetch_entries(ctx, before.task, SPEC).folders == {0: folder}
    assert fetch_entries(ctx, after.task, SPEC).folders == {}
