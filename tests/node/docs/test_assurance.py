"""Checks that the assurance report lists the accepted findings of slither."""

from __future__ import annotations

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
REPORT = (ROOT / "docs" / "assurance.md").read_text(encoding="utf-8").replace("`", "")
FINDINGS = json.loads((ROOT / "slither.db.json").read_text(encoding="utf-8"))


def test_report_states_the_number_of_findings() -> None:
    assert f"{len(FINDINGS)} findings are accepted" in REPORT


def test_report_states_the_reason_of_each_finding() -> None:
    assert {finding["reason"] for finding in FINDINGS if finding["reason"].replace("`", "") not in REPORT} == set()
