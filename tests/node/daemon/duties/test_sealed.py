"""The row of a seated node in a sealed task whose set is withheld, unreadable, available, or cannot be stored here."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.daemon.context import SPEC, open_context, poll_until
from tests.support.daemon.scenario import REVEAL_END, Scenario, address

from covey.daemon.context import Context
from covey.daemon.duties import sealed
from covey.daemon.duties.outcomes import Ended, Waiting
from covey.daemon.duties.sealed import sheet_of_withheld_set
from covey.daemon.planning.duty import Duty, DutyKind
from covey.daemon.state.task import Task
from covey.ipfs import Limits, StoreFull
from covey.protocol.entry import TaskReference
from covey.protocol.scores import pack
from covey.protocol.sheet import ScoreSheet
from covey.protocol.types import Evaluation

GIVE_UP = REVEAL_END + 50
DUTY = Duty(REVEAL_END + 100, DutyKind.SCORE, 1)


@pytest.fixture
def ctx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Context]:
    with open_context(tmp_path) as context:
        context.now = GIVE_UP
        monkeypatch.setattr(Context, "reference", lambda *_: TaskReference.model_validate(REFERENCE))
        yield context


REFERENCE = {"chain_id": 31337, "registry": "0x" + "11" * 20, "task_id": 1, "spec": "00" * 32}


def opened(digest: bytes) -> Task:
    """A sealed task with two revealed entries, whose set was opened under this digest."""
    scenario = Scenario().enter_and_reveal(address(1), "0x" + "11" * 32)
    task = scenario.enter_and_reveal(address(2), "0x" + "22" * 32).task
    task.params = replace(task.params, evaluation=Evaluation.SEALED)
    task.sealed_digest = digest
    return task


def outcome(ctx: Context, task: Task) -> ScoreSheet | Waiting | Ended:
    return sheet_of_withheld_set(ctx, task, DUTY, SPEC, GIVE_UP)


def is_decided(found: ScoreSheet | Waiting | Ended) -> bool:
    return not isinstance(found, Waiting)


def check_zeros(found: ScoreSheet | Waiting | Ended, verdict: str, reason: str) -> None:
    assert isinstance(found, ScoreSheet)
    assert pack(found.scores()) == [0]
    assert [entry.digest[:2] for entry in found.entries] == ["11", "22"]
    assert {entry.verdict for entry in found.entries} == {verdict}
    assert all(reason in str(entry.reason) for entry in found.entries)
    assert ScoreSheet.from_bytes(found.canonical_bytes()) == found


def test_set_that_no_source_has_scores_zero(ctx: Context) -> None:
    found = poll_until(lambda: outcome(ctx, opened(b"\x33" * 32)), is_decided)
    check_zeros(found, "unavailable", "no source has the sealed set")


def test_set_may_still_come_in_the_first_half_of_the_window(ctx: Context) -> None:
    task = opened(b"\x33" * 32)
    poll_until(lambda: outcome(ctx, task), is_decided)
    ctx.now = GIVE_UP - 1
    assert isinstance(outcome(ctx, task), Waiting)


def test_source_that_never_answers_is_as_good_as_none(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(ctx.fetcher, "get_directory", lambda *_: release.wait(60))
    ctx.config = ctx.config.model_copy(update={"fetch_timeout_seconds": 0.1})
    try:
        check_zeros(poll_until(lambda: outcome(ctx, opened(b"\x33" * 32)), is_decided), "unavailable", "being fetched")
    finally:
        release.set()


def test_unreadable_set_scores_zero_at_once(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed, "SET_LIMITS", Limits(max_bytes=100, max_files=1))
    ctx.now = REVEAL_END
    digest = ctx.store.add_directory({"a": b"1", "b": b"2"}).word
    check_zeros(poll_until(lambda: outcome(ctx, opened(digest)), is_decided), "invalid", "not readable")


def test_available_set_is_declined(ctx: Context) -> None:
    digest = ctx.store.add_directory({"records.jsonl": b"{}"}).word
    found = poll_until(lambda: outcome(ctx, opened(digest)), is_decided)
    assert isinstance(found, Ended) and "sealed evaluation is not supported yet" in found.note


def test_full_disk_is_no_ones_zero(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise StoreFull("no space left")

    monkeypatch.setattr(ctx.fetcher, "get_directory", full)
    ctx.config = ctx.config.model_copy(update={"fetch_timeout_seconds": 0.01})
    task = opened(b"\x33" * 32)
    poll_until(lambda: outcome(ctx, task), lambda found: isinstance(found, Waiting) and "stored here" in found.reason)


def test_sheet_without_strata_needs_a_sealed_task_and_zeros() -> None:
    entry = {"lane": 0, "score": 0, "verdict": "unavailable", "digest": "11" * 32}
    fields = {
        "task": REFERENCE, "operator": "0x" + "11" * 20, "base_digest": "00" * 32, "source": "sealed",
        "profile": {"device": "none", "dtype": "float32"}, "strata": [], "entries": [entry],
    }  # fmt: skip
    assert ScoreSheet.parse(fields).scores() == [0]
    for change in ({"source": "local"}, {"entries": [{**entry, "score": 1, "verdict": "near-copy"}]}):
        with pytest.raises(ValueError, match="strata can be empty only"):
            ScoreSheet.parse({**fields, **change})
