"""Sent transactions of stake commands, as text and as JSON."""

from __future__ import annotations

import json
from typing import Any
from unittest.mock import Mock

import pytest

from covey.cli.commands import stake
from covey.client.wallet import SentTransaction

SENT = [SentTransaction("allow 5 CVY", "0xaa", 7, 50_000), SentTransaction("delegate 5 CVY", "0xbb", 8, 120_000)]


def wallet() -> Any:
    return Mock(send_all=lambda calls: iter(SENT))


def test_transactions_are_printed_as_they_are_mined(capsys: pytest.CaptureFixture[str]) -> None:
    stake.send_calls(wallet(), [], False, {})
    assert capsys.readouterr().out.splitlines() == [
        "allow 5 CVY: block 7, 50,000 gas, 0xaa",
        "delegate 5 CVY: block 8, 120,000 gas, 0xbb",
    ]


def test_json_has_the_facts_and_all_transactions(capsys: pytest.CaptureFixture[str]) -> None:
    stake.send_calls(wallet(), [], True, {"operator": "0x1"})
    assert json.loads(capsys.readouterr().out) == {
        "operator": "0x1",
        "transactions": [
            {"purpose": "allow 5 CVY", "transaction": "0xaa", "block": 7, "gas": 50_000},
            {"purpose": "delegate 5 CVY", "transaction": "0xbb", "block": 8, "gas": 120_000},
        ],
    }
