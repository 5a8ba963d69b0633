"""JSON documents and tables."""

from __future__ import annotations

import io
import json
import sys

import pytest

from covey.cli.output import console, print_json, table


def test_json_keeps_large_integers_exact(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"wei": 10**21, "small": 5, "digest": b"\x01", "list": (True, None), 7: 2**53 - 1})
    assert json.loads(capsys.readouterr().out) == {
        "wei": str(10**21),
        "small": 5,
        "digest": "0x01",
        "list": [True, None],
        "7": 2**53 - 1,
    }


def test_json_is_flushed_while_the_command_continues(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe is block-buffered: without a flush `covey devnet --json` would print nothing until it ends."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="utf-8"))
    print_json({"chain_id": 31337})
    assert json.loads(raw.getvalue()) == {"chain_id": 31337}


def test_table_aligns_marked_columns_to_the_right(capsys: pytest.CaptureFixture[str]) -> None:
    console().print(table("Tasks", ["name", "size>"], [["a", "1"], ["b", "100"]]))
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == ["Tasks", "name  size", "a        1", "b      100"]
