"""What commands print: amounts, times, JSON; explanations for people."""

from __future__ import annotations

import io
import json
import sys

import pytest
from tests.support.audit.chain_scenario import DOMAIN, VALIDATORS, paid_task_events

from covey.audit.explain import explain
from covey.chain.units import format_cvy, format_time
from covey.cli.errors import InputError
from covey.cli.output import console, print_json
from covey.cli.parse import address, wei
from covey.cli.views.explanation import show_explanation


@pytest.mark.parametrize(
    ("amount", "places", "text"),
    [(0, 4, "0.0000"), (10**18, 0, "1"), (1234567 * 10**15, 2, "1,234.56"), (10**14 - 1, 4, "0.0000")],
)
def test_tokens_round_down(amount: int, places: int, text: str) -> None:
    assert format_cvy(amount, places) == text


def test_moment_is_utc() -> None:
    assert format_time(0) == "–"
    assert format_time(86_400) == "1970-01-02 00:00:00"


def test_json_keeps_large_numbers_exact(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"wei": 10**21, "small": 5, "digest": b"\x01", "list": (True, None)})
    assert json.loads(capsys.readouterr().out) == {
        "wei": str(10**21),
        "small": 5,
        "digest": "0x01",
        "list": [True, None],
    }


def test_json_arrives_while_the_command_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe or a journal is block-buffered: `covey devnet --json` would say nothing until it ends."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="utf-8"))
    print_json({"chain_id": 31337})
    assert json.loads(raw.getvalue()) == {"chain_id": 31337}


@pytest.mark.parametrize(("text", "amount"), [("5CVY", 5 * 10**18), ("5 wei", 5), ("0.5 CVY", 5 * 10**17)])
def test_amounts_carry_their_unit(text: str, amount: int) -> None:
    assert wei(text) == amount


@pytest.mark.parametrize("text", ["5", "CVY", "-1CVY", "1e3CVY", "0wei"])
def test_other_amounts_are_refused(text: str) -> None:
    with pytest.raises(InputError):
        wei(text)


def test_addresses_come_out_in_checksum_form() -> None:
    assert address(address("0x" + "ab" * 20)) == address("0x" + "AB" * 20)


def test_explanation_shows_every_operator_and_its_figures(capsys: pytest.CaptureFixture[str]) -> None:
    why = explain(paid_task_events(), DOMAIN, 1)
    show_explanation(console(), why)
    shown = " ".join(capsys.readouterr().out.split())
    for entry in why.entries:
        assert f"{entry.median:,}" in shown
        assert format_cvy(entry.reward) in shown
    for row in why.rows:
        assert f"{row.loss:,}" in shown
        assert f"{row.gain:,}" in shown
    assert f"G = {why.spread:,}" in shown
    assert VALIDATORS[0][:6] in shown
