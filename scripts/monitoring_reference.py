"""Writes the tables of metrics and alerts in docs/reference/monitoring.md, or checks that they are current.

python scripts/monitoring_reference.py [--check]
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import yaml
from prometheus_client.metrics import MetricWrapperBase

from covey import ops
from covey.daemon.monitoring.metrics import Metrics

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "monitoring.md"


def metrics_table() -> str:
    """All metrics of a node as a Markdown table, in the order of their definition."""
    lines = ["| metric | type | labels | meaning |", "|---|---|---|---|"]
    metrics = Metrics()
    labels_of = {
        metric._name: metric._labelnames for metric in vars(metrics).values() if isinstance(metric, MetricWrapperBase)
    }
    for family in metrics.registry.collect():
        if not family.name.startswith("covey_"):
            continue
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = ", ".join(f"`{label}`" for label in labels_of.get(family.name, ())) or "–"
        lines.append(f"| `{name}` | {family.type} | {labels} | {family.documentation} |")
    return "\n".join(lines)


def alerts_table() -> str:
    """All alert rules as a Markdown table."""
    rules = yaml.safe_load((ops.folder() / "alerts.yml").read_text(encoding="utf-8"))
    lines = ["| alert | severity | condition | what to do |", "|---|---|---|---|"]
    for group in rules["groups"]:
        for rule in group["rules"]:
            condition = " ".join(rule["expr"].split()).replace("|", "\\|")
            period = f" for {rule['for']}" if "for" in rule else ""
            action = rule["annotations"]["action"]
            lines.append(f"| `{rule['alert']}` | {rule['labels']['severity']} | `{condition}`{period} | {action} |")
    return "\n".join(lines)


TABLES: dict[str, Callable[[], str]] = {"metrics": metrics_table, "alerts": alerts_table}


def updated(page: str) -> str:
    """The page with both tables as they should be."""
    for name, table in TABLES.items():
        start = page.index("-->\n", page.index(f"<!-- {name}:begin")) + len("-->\n")
        end = page.index(f"<!-- {name}:end -->")
        page = page[:start] + "\n" + table() + "\n\n" + page[end:]
    return page


def main(arguments: list[str]) -> int:
    text = PAGE.read_text(encoding="utf-8")
    wanted = updated(text)
    if arguments == ["--check"]:
        if wanted != text:
            print(f"error: {PAGE} is out of date: run `make reference`", file=sys.stderr)
        return int(wanted != text)
    if arguments:
        print(__doc__, file=sys.stderr)
        return 2
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
