"""Checks that the tests that the threat model names exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")


def test_named_forge_tests_exist() -> None:
    named = re.findall(r"`(\w+)\.(test\w+)`", TEXT)
    assert len(named) > 40
    missing = []
    for suite, function in named:
        source = ROOT / "tests" / "solidity" / f"{suite}.t.sol"
        if not source.is_file() or f"function {function}(" not in source.read_text(encoding="utf-8"):
            missing.append(f"{suite}.{function}")
    assert missing == []


def test_named_python_tests_exist() -> None:
    named = re.findall(r"`(tests/[\w/.]+)`(?: \(`(test_\w+)`\))?", TEXT)
    assert len(named) > 10
    missing = []
    for path, function in named:
        found = ROOT / path
        texts = [found.read_text(encoding="utf-8")] if found.is_file() else []
        if not found.exists() or (function and not any(f"def {function}(" in text for text in texts)):
            missing.append(f"{path} {function}".strip())
    assert missing == []
