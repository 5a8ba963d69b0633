"""JSON documents and tables."""

from __future__ import annotations

import io
import json
import sys

import pytest

from covey.cli.output import console, labelled, marked, print_json, table


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


ADDRESSES = ["0x" + byte * 20 for byte in ("a1", "b2")]
COLUMNS = ["lane>", "operator", "paid>", "validator's\nnote"]
ROWS = [[str(lane), address, "1,234.5000", "[bold]a note of some length[/]"] for lane, address in enumerate(ADDRESSES)]


@pytest.mark.parametrize("width", ["20", "60", "80", "200", None])
def test_a_table_cuts_nothing(
    width: str | None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    if width is not None:
        monkeypatch.setenv("COLUMNS", width)
    console().print(table("Entries: weight = max(0, median)", COLUMNS, ROWS))
    text = capsys.readouterr().out
    assert "…" not in text
    for cell in (*ADDRESSES, "1,234.5000", "a note of some length", "Entries: weight = max(0, median)"):
        assert cell in text
    stacked = "lane" in text and text.count("operator") == len(ROWS)
    assert stacked == (width in ("20", "60", "80"))


def test_a_label_wraps_its_text_on_a_narrow_terminal_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    labelled(console(), "stake", "word " * 30 + "[/end]")
    assert capsys.readouterr().out == f"stake     {'word ' * 30}[/end]\n"
    monkeypatch.setenv("COLUMNS", "60")
    labelled(console(), "stake", "word " * 30 + "[/end]")
    lines = capsys.readouterr().out.splitlines()
    assert [line[:10] for line in lines] == ["stake     "] + [" " * 10] * (len(lines) - 1)
    assert max(map(len, lines)) <= 60
    assert " ".join(line[10:] for line in lines).split() == ["word"] * 30 + ["[/end]"]


STRANGE = [
    "made-up findings [/red]",
    "[link=http://evil.example]see[/link]",
    "[bold]loud[/bold] [fd00::1] :smile:",
    "[/]",
    "trailing \\",
    "[" * 50,
]


@pytest.mark.parametrize("text", STRANGE)
def test_text_of_strangers_is_no_markup(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    console().print(text)
    console().print(marked("[red]{}[/] is {}", text, text))
    console().print(table(text, [text], [[text], [marked("[bold]{}[/]", text)]]))
    labelled(console(), "domain", text)
    shown = capsys.readouterr().out
    assert shown.count(text) == 8
    assert f"{text} is {text}\n" in shown


@pytest.mark.parametrize("control", ["\x1b[2J", "\x07", "\u202e", "\x9b31m", "\r"])
def test_text_of_strangers_cannot_steer_a_terminal(control: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = f"before{control}after"
    console().print(text)
    console().print(marked("{}", text))
    console().print(table("", ["a"], [[text]]))
    labelled(console(), "domain", text)
    shown = capsys.readouterr().out
    assert control[0] not in shown
    assert shown.count("before\ufffd") == 4
