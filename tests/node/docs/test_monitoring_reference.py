"""Checks that the monitoring reference lists every metric and alert with the texts that the node uses."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from covey.daemon.monitoring.metrics import Metrics

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "reference" / "monitoring.md"


def test_tables_of_metrics_and_alerts_are_current() -> None:
    script = [sys.executable, str(ROOT / "scripts" / "monitoring_reference.py"), "--check"]
    checked = subprocess.run(script, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


def metric_names() -> set[str]:
    return {
        family.name + ("_total" if family.type == "counter" else "")
        for family in Metrics().registry.collect()
        if family.name.startswith("covey_")
    }


def test_every_metric_is_listed() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert {name for name in metric_names() if f"`{name}`" not in text} == set()


def test_every_metric_that_is_named_exists() -> None:
    named = {
        name
        for page in ROOT.glob("docs/**/*.md")
        for name in re.findall(r"`(covey_[a-z_]*[a-z])(?:\{[^`]*)?`", page.read_text(encoding="utf-8"))
    }
    assert named - metric_names() == set()
