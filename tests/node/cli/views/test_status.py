"""The screen of `covey status`."""

from __future__ import annotations

from typing import Any

import pytest

from covey.cli.views.status import show_status
from covey.daemon.planning.plan import NO_DEADLINE

CVY = 10**18
NODE: dict[str, Any] = {
    "status": "ok",
    "head_block": 12,
    "settled_block": 10,
    "head_time": 1_000,
    "roles": ["validator"],
    "problems": [],
    "warnings": ["the clock is ahead"],
    "last_accepted": {"call": "enrol", "block": 9, "final": True, "hash": "0xabc"},
    "running": [{"key": "score/1", "stage": "scoring", "done": 1, "total": 4, "seconds": 61.0, "attempt": 2}],
    "queued_jobs": 3,
    "due": [
        {"key": "reveal/1", "deadline": 1_090, "waits_for": "finality"},
        {"key": "claim/1", "deadline": NO_DEADLINE, "waits_for": ""},
    ],
}
OPERATOR: dict[str, Any] = {
    "operator": "0x" + "11" * 20,
    "signer": "0x" + "22" * 20,
    "signer_coin": CVY,
    "signer_cvy": 2 * CVY,
    "eligible": False,
    "jailed_until": 86_400,
    "self_bond": 3 * CVY,
    "min_self_bond": 100 * CVY,
    "stake": 4 * CVY,
    "earmarked": 0,
    "unbonding": 0,
    "rewards_dripping": CVY,
    "drip_end": 86_400,
    "owed": 5 * CVY,
    "net": 6 * CVY,
    "earnings": {
        "entries": 7 * CVY,
        "scoring": 0,
        "appeals": 0,
        "tips": 0,
        "reports": 0,
        "fees": 3 * CVY,
        "fees_back": CVY,
        "slashed": 0,
    },
}


@pytest.fixture(autouse=True)
def _no_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """Output is as wide as it needs, wherever the tests run: xdist passes on the width of its terminal."""
    monkeypatch.delenv("COLUMNS", raising=False)


def task(number: int) -> dict[str, Any]:
    return {
        "task": number, "phase": "open", "until": None, "seats": None, "did": ["entered"], "outcome": "running",
        "paid": 0,
    }  # fmt: skip


def shown(status: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> list[str]:
    show_status(status)
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


def test_healthy_node(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown({"node": NODE}, capsys)
    assert lines[0] == "node healthy; block 12, events read up to block 10; validator"
    assert "warning the clock is ahead" in lines
    assert "last tx enrol in block 9 (final), 0xabc" in lines
    assert "score/1 scoring 1/4 1m 1s 2" in lines
    assert "3 jobs queued for a worker" in lines
    assert "reveal/1 1m 30s finality" in lines
    assert "claim/1 –" in lines


def test_unhealthy_node_shows_its_problems(capsys: pytest.CaptureFixture[str]) -> None:
    node = NODE | {"status": "problems", "problems": ["disk full"], "due": [], "last_accepted": None, "running": []}
    lines = shown({"node": node}, capsys)
    assert lines[0].startswith("node unhealthy; block 12")
    assert "problem disk full" in lines
    assert "last tx none accepted yet" in lines
    assert "due nothing" in lines


def test_operator_on_chain_without_a_node(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown({"node": None, **OPERATOR, "tasks": [task(1)]}, capsys)
    assert lines[0].startswith("node not running here")
    assert f"operator 0x{'11' * 20} (not eligible: self-bond below the minimum of 100 CVY, jailed)" in lines
    assert "stake 4.0000 CVY, self-bond 3.0000, earmarked 0.0000, unbonding 0.0000" in lines
    assert any(
        line.startswith("earned 6.0000 CVY: entries 7.0000") and "fees −2.0000, slashed 0.0000" in line
        for line in lines
    )
    assert not any("−−" in line or "−0.0000" in line for line in lines)
    assert "credits 5.0000 CVY to withdraw, 1.0000 dripping until 1970-01-02 00:00:00" in lines
    assert "jailed until 1970-01-02 00:00:00 UTC" in lines
    assert "1 open – – entered running 0.0000" in lines


def test_fees_that_came_back_have_no_second_sign(capsys: pytest.CaptureFixture[str]) -> None:
    earnings = OPERATOR["earnings"] | {"fees": CVY, "fees_back": 4 * CVY, "slashed": 1_046_900_000_000_000_000}
    lines = shown({"node": None, **OPERATOR, "net": -1, "earnings": earnings}, capsys)
    assert any("earned >−0.0001 CVY" in line and "fees 3.0000, slashed −1.0469" in line for line in lines)


def test_notes_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown({"node": NODE, "notes": ["no endpoint answered [/prod]"]}, capsys)
    assert "note no endpoint answered [/prod]" in lines


def test_only_the_newest_tasks_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown({"node": None, **OPERATOR, "tasks": [task(number) for number in range(1, 16)]}, capsys)
    assert sum(line.endswith("entered running 0.0000") for line in lines) == 12
    assert "3 earlier tasks not shown; see covey status --json" in lines


def test_nothing_is_cut_at_eighty_columns(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    show_status({"node": NODE, **OPERATOR, "tasks": [task(1)]})
    text = capsys.readouterr().out
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80
    for shown_whole in (OPERATOR["operator"], OPERATOR["signer"], "slashed 0.0000", "entered"):
        assert shown_whole in text
