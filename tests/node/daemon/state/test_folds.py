"""Events that do not follow from those before them raise EventMissing, also under `python -O`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.support.daemon.scenario import OPERATOR, SEED, FakeEvent, Scenario, address

from covey.daemon.state.events import EventMissing
from covey.daemon.state.folds import apply_event

ROOT = Path(__file__).resolve().parents[4]
SEED_FIXED = {"round": 0, "seed": "0x" + SEED.hex(), "scoreCommitEnd": 1, "scoreRevealEnd": 2}
MEDIAN = {"round": 0, "word": 0, "previous": 0, "replacement": 1, "root": "0x", "weights": 1}

IMPOSSIBLE: list[tuple[str, str, dict[str, Any]]] = [
    ("TaskRegistry", "EntryRevealed", {"operator": address(9), "lane": 0, "digest": "0x"}),
    ("TaskRegistry", "TaskEnded", {"taskId": 7, "outcome": 1, "reason": "0x"}),
    ("Scoring", "SeedFixed", SEED_FIXED),
    ("Scoring", "ScoresCommitted", {"round": 0, "operator": OPERATOR, "seats": 1, "commitment": "0x"}),
    ("Scoring", "Reseated", {"round": 1}),
    ("Scoring", "MedianReplaced", MEDIAN),
    ("Appeals", "AppealSettled", {"paidSeats": 1, "reportEnd": 5}),
    ("AppealCommittee", "AppealEnrolled", {"operator": OPERATOR, "amount": 1}),
    ("AppealCommittee", "SeedFixed", SEED_FIXED),
    ("AppealCommittee", "ContestsSettled", {"page": 0, "found": [1]}),
]
"""Events that a new task cannot have, because the event that they require was omitted."""


@pytest.mark.parametrize(("contract", "name", "args"), IMPOSSIBLE, ids=[f"{c}.{n}" for c, n, _ in IMPOSSIBLE])
def test_an_event_without_its_predecessor_is_detected(contract: str, name: str, args: dict[str, Any]) -> None:
    scenario = Scenario()
    with pytest.raises(EventMissing, match=f"{name} of task"):
        apply_event(scenario.state, FakeEvent(contract, name, {"taskId": 1, **args}))


_CHECK = """
import json, sys
from types import SimpleNamespace
from covey.daemon.state.events import EventMissing
from covey.daemon.state.folds import apply_event
from covey.daemon.state.world import ChainState
assert False, "assertions are on"
created, *impossible = [SimpleNamespace(contract=c, name=n, args=a) for c, n, a in json.loads(sys.argv[1])]
for event in impossible:
    state = ChainState()
    apply_event(state, created)
    try: apply_event(state, event)
    except EventMissing: print("detected")
"""


@pytest.mark.parametrize("flag", ["-O", "-OO"])
def test_omissions_are_detected_without_assertions(flag: str) -> None:
    """`python -O` removes `assert` statements, so none of them may guard the detection."""
    [created] = Scenario().events
    events = [(created.contract, created.name, created.args)]
    events += [(contract, name, {"taskId": 1, **args}) for contract, name, args in IMPOSSIBLE]
    command = [sys.executable, flag, "-c", _CHECK, json.dumps(events)]
    output = subprocess.check_output(command, env={"PYTHONPATH": str(ROOT / "node")}, text=True)
    assert output.split() == ["detected"] * len(IMPOSSIBLE)


def test_the_daemon_has_no_assertions() -> None:
    sources = (ROOT / "node" / "covey" / "daemon").rglob("*.py")
    found = [str(path) for path in sources if any(line.strip().startswith("assert ") for line in path.open())]
    assert found == []
