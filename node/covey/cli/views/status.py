"""Output of `covey status`: one screen."""

from __future__ import annotations

from typing import Any

from covey.chain.units import about_cvy, format_cvy, format_time
from covey.cli.output import console, labelled, table
from covey.cli.views.durations import format_duration
from covey.daemon.planning.plan import NO_DEADLINE

_TASKS_SHOWN = 12


def show_status(status: dict[str, Any]) -> None:
    """Print a status of `covey.cli.node_status.gather_status`."""
    out = console()
    node = status["node"]
    _show_node(out, node)
    for note in status.get("notes", []):
        labelled(out, "note", note)
    if "operator" in status:
        _show_operator(out, status)
    if node is not None:
        _show_work(out, node)
    _show_tasks(out, status.get("tasks", []))


def _show_node(out: Any, node: dict[str, Any] | None) -> None:
    if node is None:
        labelled(out, "node", "not running here (no answer at the health address)", style="yellow")
        return
    where = f"block {node['head_block']}, events read up to block {node['settled_block']}"
    if node["status"] == "ok":
        labelled(out, "node", f"healthy; {where}; {', '.join(node['roles'])}", style="green")
    else:
        labelled(out, "node", f"unhealthy; {where}", style="red")
    for problem in node["problems"]:
        labelled(out, "  problem", problem, style="red")
    for warning in node.get("warnings", []):
        labelled(out, "  warning", warning, style="yellow")


def _show_operator(out: Any, status: dict[str, Any]) -> None:
    def amount(name: str) -> str:
        return format_cvy(status[name])

    eligible = "eligible" if status["eligible"] else f"not eligible: {_why_not(status)}"
    labelled(out, "operator", f"{status['operator']} ({eligible})", style="" if status["eligible"] else "red")
    coin = f"{amount('signer_coin')} coin for gas, {amount('signer_cvy')} CVY"
    labelled(out, "signer", f"{status['signer']}: {coin}")
    labelled(
        out,
        "stake",
        f"{amount('stake')} CVY, self-bond {amount('self_bond')}, earmarked {amount('earmarked')}, "
        f"unbonding {amount('unbonding')}",
    )
    sums = status["earnings"]
    earnings = {name: format_cvy(value) for name, value in sums.items()}
    labelled(
        out,
        "earned",
        f"{amount('net')} CVY: entries {earnings['entries']}, scoring {earnings['scoring']}, "
        f"appeals {earnings['appeals']}, tips {earnings['tips']}, reports {earnings['reports']}, "
        f"fees {format_cvy(sums['fees_back'] - sums['fees'])}, slashed {format_cvy(-sums['slashed'])}",
    )
    dripping = (
        f", {amount('rewards_dripping')} dripping until {format_time(status['drip_end'])}"
        if status["rewards_dripping"]
        else ""
    )
    labelled(out, "credits", f"{amount('owed')} CVY to withdraw{dripping}")
    if status["jailed_until"]:
        labelled(out, "jailed", f"until {format_time(status['jailed_until'])} UTC", style="red")


def _why_not(status: dict[str, Any]) -> str:
    """Why an operator is not eligible."""
    reasons = []
    if status["self_bond"] < status["min_self_bond"]:
        reasons.append(f"self-bond below the minimum of {about_cvy(status['min_self_bond'])}")
    if status["jailed_until"]:
        reasons.append("jailed")
    return ", ".join(reasons) or "see covey check"


def _show_work(out: Any, node: dict[str, Any]) -> None:
    accepted = node["last_accepted"]
    if accepted is None:
        labelled(out, "last tx", "none accepted yet")
    else:
        final = "final" if accepted["final"] else "not final"
        labelled(out, "last tx", f"{accepted['call']} in block {accepted['block']} ({final}), {accepted['hash']}")
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
