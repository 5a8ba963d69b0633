"""The settled state follows the journal, across errors and reorganisations."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.daemon.scenario import OPERATOR, FakeEvent, Scenario, address

from covey.chain.events.decoder import Event
from covey.chain.events.follower import Checkpoint
from covey.daemon.state import projection
from covey.daemon.state.events import EventMissing
from covey.daemon.state.projection import ChainLog
from covey.daemon.storage.journal import Journal


def events_of(scenario: Scenario) -> list[Event]:
    """The scenario's events, one per block from block 10 on."""
    return [_event(event, block) for block, event in enumerate(scenario.events, 10)]


def _event(event: FakeEvent, block: int) -> Event:
    return Event(event.name, event.contract, event.args, block, f"0x{block}", "0x", 0)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.sqlite", None)


def test_a_restart_gives_the_same_state(journal: Journal) -> None:
    scenario = Scenario().enter(address(1)).enter(address(2)).enrol(OPERATOR)
    chain_log = ChainLog(journal)
    chain_log.commit(events_of(scenario), Checkpoint(13, "0x13"))
    assert chain_log.state.tasks == scenario.state.tasks
    assert ChainLog(journal).state.tasks == scenario.state.tasks


def test_a_rewind_removes_the_events_above_the_block(journal: Journal) -> None:
    scenario = Scenario().enter(address(1)).enter(address(2))
    chain_log = ChainLog(journal)
    for event in events_of(scenario):
        chain_log.commit([event], Checkpoint(event.block, event.block_hash))
    chain_log.rewind(11)
    assert set(chain_log.state.tasks[1].entries) == {address(1)}
    assert [checkpoint.block for checkpoint in chain_log.checkpoints()] == [11, 10]


def test_an_error_while_applying_loses_no_event(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = Scenario().enter(address(1)).enter(address(2))
    created, first, second = events_of(scenario)
    chain_log = ChainLog(journal)
    chain_log.commit([created], Checkpoint(10, "0x10"))
    with monkeypatch.context() as patched:
        patched.setattr(projection, "apply_event", _fail)
        with pytest.raises(ZeroDivisionError):
            chain_log.commit([first, second], Checkpoint(12, "0x12"))
    assert chain_log.checkpoints()[0].block == 12
    assert set(chain_log.state.tasks[1].entries) == {address(1), address(2)}


def test_a_gap_is_an_error_until_the_events_are_read_again(journal: Journal) -> None:
    """Without a task's creation, its later events cannot be applied, also after a restart."""
    created, *after = events_of(Scenario().enter(address(1)).enrol(OPERATOR))
    chain_log = ChainLog(journal)
    with pytest.raises(EventMissing, match="EntryCommitted of task 1 does not follow from the events before it"):
        chain_log.commit(after, Checkpoint(12, "0x12"))
    reopened = ChainLog(journal)
    with pytest.raises(EventMissing):
        reopened.checkpoints()
    reopened.reread(Checkpoint(9, "0x9"))
    assert list(reopened.checkpoints()) == [Checkpoint(9, "0x9")]
    assert reopened.state.tasks == {}
    reopened.commit([created, *after], Checkpoint(12, "0x12"))
    assert set(reopened.state.tasks[1].enrolled) == {OPERATOR}


def test_the_creation_block_of_a_task_or_an_earlier_one(journal: Journal) -> None:
    created, entered = events_of(Scenario(task_id=3).enter(address(1)))
    journal.commit([created, entered], Checkpoint(11, "0x11"))
    assert [journal.creation_block(task) for task in (2, 3, 4)] == [None, 10, 10]
    assert journal.log_indexes(10, "0x") == {0}
    assert journal.log_indexes(10, "0xother") == set()


def _fail(state: object, event: object) -> None:
    raise ZeroDivisionError
