"""From events to the projection: through the journal, across errors and reorganisations."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.node.daemon.stories import ME, Story, Told, address

from covey.chain.events import Event
from covey.chain.follower import Checkpoint
from covey.daemon.chainlog import ChainLog
from covey.daemon.journal import Journal


def events_of(story: Story) -> list[Event]:
    return [_event(told, block) for block, told in enumerate(story.events, 10)]


def _event(told: Told, block: int) -> Event:
    return Event(told.name, told.contract, told.args, block, f"0x{block}", "0x", 0)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.sqlite", None)


def test_a_restart_gives_the_same_world(journal: Journal) -> None:
    story = Story().enter(address(1)).enter(address(2)).enrol(ME)
    log = ChainLog(journal)
    log.commit(events_of(story), Checkpoint(13, "0x13"))
    assert log.world.tasks == story.world.tasks
    assert ChainLog(journal).world.tasks == story.world.tasks


def test_a_reorganisation_takes_back_what_it_undid(journal: Journal) -> None:
    story = Story().enter(address(1)).enter(address(2))
    log = ChainLog(journal)
    for event in events_of(story):
        log.commit([event], Checkpoint(event.block, event.block_hash))
    log.rewind(11)
    assert set(log.world.tasks[1].entries) == {address(1)}
    assert [one.block for one in log.checkpoints()] == [11, 10]


def test_an_error_on_the_way_loses_no_event(journal: Journal) -> None:
    story = Story().enter(address(1)).enter(address(2))
    created, first, second = events_of(story)
    log = ChainLog(journal)
    log.commit([created], Checkpoint(10, "0x10"))
    log.world.apply = _fail  # type: ignore[method-assign]
    with pytest.raises(ZeroDivisionError):
        log.commit([first, second], Checkpoint(12, "0x12"))
    assert log.checkpoints()[0].block == 12
    assert set(log.world.tasks[1].entries) == {address(1), address(2)}


def _fail(event: object) -> None:
    raise ZeroDivisionError
