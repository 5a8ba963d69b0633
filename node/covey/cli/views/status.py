"""Output of `covey status`: one screen."""

from __future__ import annotations

from typing import Any

from covey.chain.units import format_cvy, format_time
from covey.cli.output import console, table
from covey.cli.views.durations import format_duration
from covey.daemon.planning.plan import NO_DEADLINE

_TASKS_SHOWN = 12


def show_status(status: dict[str, Any]) -> None:
    """Print a status of `covey.cli.node_status.gather_status`."""
    out = console()
    node = status["node"]
    _show_node(out, node)
    if "operator" in status:
        _show_operator(out, status)
    if node is not None:
        _show_work(out, node)
    _show_tasks(out, status.get("tasks", []))


def _show_node(out: Any, node: dict[str, Any] | None) -> None:
    if node is None:
        out.print("[yellow]node[/]      not running here (no answer at the health address)")
        return
    where = f"block {node['head_block']}, events read up to block {node['settled_block']}"
    if node["status"] == "ok":
        out.print(f"[green]node[/]      healthy; {where}; {', '.join(node['roles'])}")
    else:
        out.print(f"[red]node[/]      unhealthy; {where}")
    for problem in node["problems"]:
        out.print(f"          [red]{problem}[/]")
    for warning in node.get("warnings", []):
        out.print(f"          [yellow]{warning}[/]")


def _show_operator(out: Any, status: dict[str, Any]) -> None:
    def amount(name: str) -> str:
        return format_cvy(status[name])

    eligible = "eligible" if status["eligible"] else "[red]not eligible[/]"
    out.print(f"operator  {status['operator']} ({eligible})")
    out.print(f"signer    {status['signer']}: {amount('signer_coin')} coin for gas, {amount('signer_cvy')} CVY")
    out.print(
        f"stake     {amount('stake')} CVY, self-bond {amount('self_bond')}, earmarked {amount('earmarked')}, "
        f"unbonding {amount('unbonding')}"
    )
    earnings = {name: format_cvy(value) for name, value in status["earnings"].items()}
    net_fees = format_cvy(status["earnings"]["fees"] - status["earnings"]["fees_back"])
    out.print(
        f"earned    {amount('net')} CVY: entries {earnings['entries']}, scoring {earnings['scoring']}, "
        f"appeals {earnings['appeals']}, tips {earnings['tips']}, reports {earnings['reports']}, "
        f"fees −{net_fees}, slashed −{earnings['slashed']}"
    )
    dripping = (
        f", {amount('rewards_dripping')} dripping until {format_time(status['drip_end'])}"
        if status["rewards_dripping"]
        else ""
    )
    out.print(f"credits   {amount('owed')} CVY to withdraw{dripping}")
    if status["jailed_until"]:
        out.print(f"[red]jailed[/]    until {format_time(status['jailed_until'])} UTC")


def _show_work(out: Any, node: dict[str, Any]) -> None:
    accepted = node["last_accepted"]
    if accepted is None:
        out.print("last tx   none accepted yet")
    else:
        final = "final" if accepted["final"] else "not final"
        out.print(f"last tx   {accepted['call']} in block {accepted['block']} ({final}), {accepted['hash']}")
    jobs = [
        [
            job["key"],
            job["stage"],
            f"{job['done']}/{job['total']}",
            format_duration(int(job["seconds"])),
            str(job["attempt"]),
        ]
        for job in node["running"]
    ]
    if jobs:
        out.print(table("", ["job", "stage", "progress>", "running for>", "attempt>"], jobs))
    if node["queued_jobs"]:
        out.print(f"{node['queued_jobs']} jobs queued for a worker")
    duties = [
        [
            duty["key"],
            "–" if duty["deadline"] >= NO_DEADLINE else format_duration(duty["deadline"] - node["head_time"]),
            duty["waits_for"],
        ]
        for duty in node["due"]
    ]
    if duties:
        out.print(table("", ["due", "time left>", "status"], duties))
    else:
        out.print("due       nothing")


def _show_tasks(out: Any, tasks: list[dict[str, Any]]) -> None:
    rows = [
        [
            str(task["task"]),
            task["phase"],
            format_time(task["until"] or 0),
            "–" if task["seats"] is None else str(task["seats"]),
            ", ".join(task["did"]),
            task["outcome"],
            format_cvy(task["paid"]),
        ]
        for task in reversed(tasks[-_TASKS_SHOWN:])
    ]
    if rows:
        columns = ["task>", "phase", "until (UTC)", "seats>", "this operator", "outcome", "paid, CVY>"]
        out.print(table("", columns, rows))
    if (more := len(tasks) - _TASKS_SHOWN) > 0:
        out.print(f"{more} earlier tasks not shown; see covey status --json")
