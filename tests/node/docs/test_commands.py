"""Checks that `covey` command lines in the documentation use commands and options that exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
REFERENCE = ROOT / "docs" / "reference"
PAGES = sorted(
    page
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*.md")]
    if page.name not in ("commands.md", "settings.md", "CHANGELOG.md")
)


def commands() -> dict[str, str]:
    """The text about each command in the reference, by the command's words."""
    parts = re.split(r"^## covey ([a-z -]+)$", (REFERENCE / "commands.md").read_text(encoding="utf-8"), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def options() -> set[str]:
    text = (REFERENCE / "commands.md").read_text(encoding="utf-8") + (REFERENCE / "settings.md").read_text("utf-8")
    return set(re.findall(r"--[a-z][a-z-]*", text))


def command_lines(page: Path) -> list[str]:
    """Lines of fenced blocks that run covey, continuation lines joined, and inline `covey …` with a subcommand."""
    text = page.read_text(encoding="utf-8")
    lines = []
    for block in re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for line in re.sub(r"\\\n\s*", " ", block).splitlines():
            found = re.match(r"(?:sudo (?:-u \w+ )?)?(?:/\S*/)?(covey [a-z].*)", line)
            if found:
                lines.append(found[1])
    return lines + re.findall(r"`(covey [a-z][^`]*)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_options_exist(page: Path) -> None:
    known, allowed = commands(), options()
    groups = {name.split()[0] for name in known if " " in name}
    wrong = []
    for line in command_lines(page):
        words = shlex.split(line.replace("'", "").replace("…", ""), comments=True)[1:]
        in_group = words[0] in groups and len(words) > 1 and not (words[0] in known and words[1].startswith("--"))
        name = " ".join(words[:2]) if in_group else words[0]
        if name not in known and words != [name if name in groups else ""]:
            wrong.append(line)
        wrong += [f"{word} in: {line}" for word in words if word.startswith("--") and word.split("=")[0] not in allowed]
    assert wrong == []
