"""From events to the projection: through the journal, across errors and reorganisations."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.daemon.scenario import ME, Scenario, Told, address

from covey.chain.events.decoder import Event
from covey.chain.events.follower import Checkpoint
from covey.daemon.state.projection import ChainLog
from covey.daemon.state.world import EventMissing
from covey.daemon.storage.journal import Journal


def events_of(story: Scenario) -> list[Event]:
    return [_event(told, block) for block, told in enumerate(story.events, 10)]


def _event(told: Told, block: int) -> Event:
    return Event(told.name, told.contract, told.args, block, f"0x{block}", "0x", 0)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.sqlite", None)


def test_a_restart_gives_the_same_world(journal: Journal) -> None:
    story = Scenario().enter(address(1)).enter(address(2)).enrol(ME)
    log = ChainLog(journal)
    log.commit(events_of(story), Checkpoint(13, "0x13"))
    assert log.world.tasks == story.world.tasks
    assert ChainLog(journal).world.tasks == story.world.tasks


def test_a_reorganisation_takes_back_what_it_undid(journal: Journal) -> None:
    story = Scenario().enter(address(1)).enter(address(2))
    log = ChainLog(journal)
    for event in events_of(story):
        log.commit([event], Checkpoint(event.block, event.block_hash))
    log.rewind(11)
    assert set(log.world.tasks[1].entries) == {address(1)}
    assert [one.block for one in log.checkpoints()] == [11, 10]


def test_an_error_on_the_way_loses_no_event(journal: Journal) -> None:
    story = Scenario().enter(address(1)).enter(address(2))
    created, first, second = events_of(story)
    log = ChainLog(journal)
    log.commit([created], Checkpoint(10, "0x10"))
    log.world.apply = _fail  # type: ignore[method-assign]
    with pytest.raises(ZeroDivisionError):
        log.commit([first, second], Checkpoint(12, "0x12"))
    assert log.checkpoints()[0].block == 12
    assert set(log.world.tasks[1].entries) == {address(1), address(2)}


def test_an_event_that_does_not_follow_is_told_until_it_is_read_again(journal: Journal) -> None:
    """A task's creation was left out: what comes after cannot be folded, not even after a restart."""
    created, *after = events_of(Scenario().enter(address(1)).enrol(ME))
    log = ChainLog(journal)
    with pytest.raises(EventMissing, match="EntryCommitted of task 1 does not follow from the events before it"):
        log.commit(after, Checkpoint(12, "0x12"))
    again = ChainLog(journal)
    with pytest.raises(EventMissing):
        again.checkpoints()
    again.reread(Checkpoint(9, "0x9"))
    assert list(again.checkpoints()) == [Checkpoint(9, "0x9")]
    assert again.world.tasks == {}
    again.commit([created, *after], Checkpoint(12, "0x12"))
    assert set(again.world.tasks[1].enrolled) == {ME}


def test_where_a_task_begins(journal: Journal) -> None:
    created, entered = events_of(Scenario(task_id=3).enter(address(1)))
    journal.commit([created, entered], Checkpoint(11, "0x11"))
    assert [journal.created(task) for task in (2, 3, 4)] == [None, 10, 10]
    assert journal.log_indexes(10, "0x") == {0}
    assert journal.log_indexes(10, "0xother") == set()


def _fail(event: object) -> None:
    raise ZeroDivisionError
