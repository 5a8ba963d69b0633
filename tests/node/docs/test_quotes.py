"""Checks that messages quoted in tables of the documentation occur in the node's source."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGES = (
    ROOT / "docs" / "how-to" / "manage-transactions.md",
    ROOT / "docs" / "how-to" / "troubleshoot.md",
    ROOT / "docs" / "reference" / "monitoring.md",
)
NOT_LITERAL = {"refused: Request denied", "duty declined", "duty done"}
"""A message of Clef, and events whose names are composed."""


@cache
def constants() -> str:
    """All string constants of the package, one per line; parts of one f-string are separate."""
    found: list[str] = []
    for path in (ROOT / "node" / "covey").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found.extend(
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and type(node.value) is str
        )
    return "\n".join(found)


def quoted(page: Path) -> list[str]:
    """Phrases of at least two words in backticks in the first column of the page's tables."""
    phrases = []
    for line in page.read_text(encoding="utf-8").splitlines():
        if not line.startswith("| "):
            continue
        for text in re.findall(r"`([^`]+)`", line.split(" | ")[0]):
            parts = re.split(r"…|<\w+>|\b0x\w*|\b\d+\b|\w+/\d\S*", text)
            phrases += [part.strip(" :,") for part in parts if " " in part.strip(" :,")]
    return phrases


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_quoted_messages_are_in_the_source(page: Path) -> None:
    phrases = quoted(page)
    assert phrases
    assert [phrase for phrase in phrases if phrase not in constants() and phrase not in NOT_LITERAL] == []


LOGGED = re.compile(r"^(?:INFO|WARNING|ERROR) +(.*?)(?:  \w+=.*)?$", re.MULTILINE)


@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/**/*.md")), ids=lambda page: page.name)
def test_quoted_log_events_are_in_the_source(page: Path) -> None:
    events = set(LOGGED.findall(page.read_text(encoding="utf-8"))) - NOT_LITERAL
    assert {event for event in events if event not in constants()} == set()


def test_names_in_the_data_folder_are_in_the_source() -> None:
    text = (ROOT / "docs" / "reference" / "files.md").read_text(encoding="utf-8")
    table = text[text.index("## Data folder") : text.index("## Deployment records")]
    names = {
        part
        for line in table.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`([^`]+)`", line.split(" | ")[0])
        for part in re.split(r"/|<\w+>", name)
        if part
    }
    known = set(constants().splitlines())
    assert {name for name in names if name not in known} == set()
