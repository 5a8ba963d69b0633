"""Rows of scores when a reorganisation changes what they are about: the right one is committed, revealed and shown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from tests.node.daemon.retention.test_retention import config_of
from tests.node.protocol.test_documents import SHEET
from tests.support.daemon.scenario import ME, REVEAL_END, SEED, Scenario, address, me

from covey.daemon.context import Context
from covey.daemon.duties import rows
from covey.daemon.duties.fetching import fetch_entries
from covey.daemon.planning.plan import Duty, DutyKind
from covey.daemon.storage.journal import Journal
from covey.daemon.storage.secrets import SecretFile
from covey.daemon.strategy import Strategy
from covey.daemon.workers.background import Background
from covey.daemon.workers.base_digests import BaseDigests
from covey.daemon.workers.executor import Finished
from covey.ipfs import BlockStore, open_fetcher
from covey.ipfs.keeper import Keeper
from covey.protocol.sheet import ScoreSheet

DUTY = Duty(REVEAL_END + 100, DutyKind.SCORE, 1)
ONE, TWO = "11" * 32, "22" * 32


class Executor:
    """Notes what is cancelled."""

    def __init__(self) -> None:
        self.cancelled: list[str] = []

    def cancel(self, key: str) -> None:
        self.cancelled.append(key)


@pytest.fixture
def ctx(tmp_path: Path) -> Iterator[Context]:
    config = config_of(tmp_path / "data")
    config.data_dir.mkdir()
    journal = Journal(config.journal_path, SecretFile(tmp_path / "secrets", bytes(32)))
    background = Background(retry_seconds=0.05)
    store = BlockStore(tmp_path / "blocks")
    none: Any = cast(Any, None)  # neither the chain nor a worker is asked
    with open_fetcher(store) as fetcher:
        yield Context(
            config, me(), none, none, journal, cast(Any, Executor()), store, fetcher,
            Keeper(store, tmp_path / "retained.json"), background, Strategy(), BaseDigests(tmp_path / "bases.json"),
        )  # fmt: skip
    background.close()
    journal.close()


def story_of(*digests: str) -> Scenario:
    """A task whose entries have these digests, by lane, and in which this node has a seat."""
    story = Scenario()
    for number, _ in enumerate(digests):
        story.enter(address(50 + number))
    story.enrol(ME)
    for number, digest in enumerate(digests):
        entry = story.task.entries[address(50 + number)]
        entry.lane, entry.digest = number, bytes.fromhex(digest)
    story.request_seed()
    return story.tell("Scoring", "SeedFixed", round=0, seed="0x" + SEED.hex(), scoreCommitEnd=1, scoreRevealEnd=2)


def row_of(*digests: str, salt: str) -> rows.Row:
    """A row with a sheet for entries of these digests."""
    line = SHEET["entries"][0]
    entries = [{**line, "lane": lane, "digest": digest} for lane, digest in enumerate(digests)]
    sheet = ScoreSheet.parse({**SHEET, "entries": entries}).canonical_bytes().decode()
    return {"words": ["0x1"], "evidence": salt * 32, "salt": salt * 32, "sheet": sheet}


def test_a_row_is_of_the_entries_in_their_lanes(ctx: Context) -> None:
    before, after, fewer = story_of(ONE, TWO), story_of(TWO, ONE), story_of(ONE)
    assert rows.of_entries(ctx, before.task, DUTY) is None
    first, second = row_of(ONE, TWO, salt="aa"), row_of(TWO, ONE, salt="bb")
    rows.keep(ctx, DUTY, first)
    assert rows.of_entries(ctx, before.task, DUTY) == first
    assert rows.of_entries(ctx, after.task, DUTY) is None, "other entries stand in its lanes"
    assert rows.of_entries(ctx, fewer.task, DUTY) is None, "scores past the last lane could not be revealed"
    rows.keep(ctx, DUTY, second)
    assert rows.of_entries(ctx, after.task, DUTY) == second
    assert rows.of_entries(ctx, before.task, DUTY) == first


def test_the_row_of_the_commitment_is_revealed_and_shown(ctx: Context) -> None:
    first, second = row_of(ONE, TWO, salt="aa"), row_of(TWO, ONE, salt="bb")
    for row in (first, second):
        rows.keep(ctx, DUTY, row)
    for row in (first, second):
        story = story_of(TWO, ONE)
        commitment = rows.commitment_of(ctx, DUTY, row)
        told = {"round": 0, "operator": ME, "seats": 8}
        story.tell("Scoring", "ScoresCommitted", **told, commitment="0x" + commitment.hex())
        assert rows.committed(ctx, story.task, DUTY) == row
        assert rows.revealed(ctx, story.task, DUTY) is None
        evidence = "0x" + row["evidence"]
        story.tell("Scoring", "ScoresRevealed", **told, index=0, evidenceDigest=evidence, words=[1])
        assert rows.revealed(ctx, story.task, DUTY) == row
    story = story_of(TWO, ONE).commit_scores(ME)
    assert rows.committed(ctx, story.task, DUTY) is None


def test_a_job_about_other_entries_is_forgotten(ctx: Context) -> None:
    before, after = story_of(ONE, TWO), story_of(TWO, ONE)
    rows.drop_job_of_others(ctx, before.task, DUTY)
    ctx.journal.start_job(DUTY.key, 1)
    ctx.journal.finish_job(DUTY.key, {"entries": []})
    ctx.unrecorded = [Finished(DUTY.key, {}, None), Finished("another", {}, None)]
    rows.drop_job_of_others(ctx, before.task, DUTY)
    assert ctx.journal.job(DUTY.key) is not None
    rows.drop_job_of_others(ctx, after.task, DUTY)
    assert ctx.journal.job(DUTY.key) is None
    assert cast(Executor, ctx.executor).cancelled == [DUTY.key]
    assert [finished.key for finished in ctx.unrecorded] == ["another"]


def test_files_fetched_for_a_lane_are_not_taken_for_those_of_another_entry(ctx: Context) -> None:
    from tests.node.daemon.duties.test_fetching import SPEC

    before, after = story_of(ONE), story_of(TWO)
    coming = fetch_entries(ctx, before.task, SPEC).coming
    assert list(coming) == [0]
    folder = ctx.folder("fetched", ctx.network, "1", f"0-{ONE[:16]}")
    folder.mkdir(parents=True)
    assert fetch_entries(ctx, before.task, SPEC).folders == {0: folder}
    assert fetch_entries(ctx, after.task, SPEC).folders == {}
