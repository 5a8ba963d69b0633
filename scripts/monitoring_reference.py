"""Writes the tables of metrics, alerts and log events in docs/reference/monitoring.md, or checks that they are current.

python scripts/monitoring_reference.py [--check]
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import yaml
from prometheus_client.metrics import MetricWrapperBase

from covey import ops
from covey.daemon.monitoring.metrics import Metrics

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference" / "monitoring.md"
DAEMON = ROOT / "node" / "covey" / "daemon"
LEVELS = ("info", "warning", "error", "exception")


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


def events_table() -> str:
    """All log events of the daemon from level info on as a Markdown table, by name."""
    lines = ["| event | level | fields | logged by |", "|---|---|---|---|"]
    for name, level, fields, module in sorted(set(_log_calls())):
        names = ", ".join("…" if field == "…" else f"`{field}`" for field in fields) or "–"
        lines.append(f"| `{name}` | {level} | {names} | `{module}` |")
    return "\n".join(lines)


def _log_calls() -> Iterator[tuple[str, str, tuple[str, ...], str]]:
    """Event, level, names of literal fields, and module of each log call with a message known from the source."""
    for path in sorted(DAEMON.rglob("*.py")):
        module = f"daemon/{path.relative_to(DAEMON).as_posix()}"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name("log"), attr=attr), args=args, keywords=keywords):
                    message = args[1] if attr == "log" and len(args) > 1 else args[0] if args else None
                    event = _event(message)
                    if event is None or attr not in (*LEVELS, "log"):
                        continue
                    fields = tuple(field for keyword in keywords if keyword.arg == "extra" for field in _keys(keyword))
                    yield event, {"exception": "error", "log": "varies"}.get(attr, attr), fields, module


def _event(message: ast.expr | None) -> str | None:
    """The message of a log call, `…` for its computed parts; None where all of it is computed."""
    match message:
        case ast.Constant(str(text)) if "%" not in text:
            return text
        case ast.JoinedStr(values=values):
            return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in values)
    return None


def _keys(keyword: ast.keyword) -> Iterator[str]:
    """Names of the fields, `…` for those that are not written in the call."""
    if not isinstance(keyword.value, ast.Dict):
        yield "…"
        return
    for key in keyword.value.keys:
        yield str(key.value) if isinstance(key, ast.Constant) else "…"


TABLES: dict[str, Callable[[], str]] = {
    "metrics": metrics_table,
    "alerts": alerts_table,
    "events": events_table,
}


def updated(page: str) -> str:
    """The page with all tables as they should be."""
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
