"""How a node is doing: its process, its operator on chain, its part in each task."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from covey.chain.units import format_cvy, format_time
from covey.cli.errors import CliError, InputError
from covey.cli.output import console, table
from covey.cli.views.dry_run import left_text
from covey.daemon.planning.plan import NO_DEADLINE
from covey.daemon.state.ledger import Ledger

if TYPE_CHECKING:
    from covey.audit.record import TaskRecord
    from covey.chain.events.decoder import Event
    from covey.cli.settings import Settings
    from covey.client.network import Network

_TIMEOUT_S = 3.0
_TASKS_SHOWN = 12


def gather_standing(settings: Settings) -> dict[str, Any]:
    """Everything `covey status` shows. Raises InputError if nothing at all is configured."""
    standing: dict[str, Any] = {"node": _health(settings.health_listen)}
    if settings.deployment is None or not settings.rpc_urls:
        if standing["node"] is None:
            raise InputError(
                "nothing to show: no node answers, and there is no chain (give --rpc-urls and --deployment)"
            )
        return standing
    from covey.cli.access import connect, operator_address

    network = connect(settings)
    operator = operator_address(network, settings)
    facts = _on_chain(network, operator)
    events = network.events()
    ledger = Ledger(operator, (facts["signer"], facts["reward_address"]))
    for event in events:
        ledger.apply(event)
    earnings = {"earnings": ledger.sums, "net": ledger.net}
    return {**standing, **facts, **earnings, "tasks": _tasks(network, events, operator)}


def _health(listen: str | None) -> dict[str, Any] | None:
    """What the node's health port says; None if nobody answers there."""
    import urllib3

    if listen is None:
        return None
    http = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(_TIMEOUT_S))
    try:
        reply = http.request("GET", f"http://{listen}/health")
        answer = json.loads(reply.data)
    except (urllib3.exceptions.HTTPError, ValueError):
        return None
    known = isinstance(answer, dict) and {"problems", "running", "last_accepted"} <= answer.keys()
    return answer if known else None  # not a node, or one of another version


def _on_chain(network: Network, operator: str) -> dict[str, Any]:
    contracts = network.contracts
    pool = contracts.staking.pool_of(operator)
    if not pool.registered:
        raise CliError(f"{operator} has no pool: `covey stake` opens one")
    return {
        "operator": operator,
        "signer": pool.signer,
        "signer_coin": network.rpc.balance(pool.signer),
        "signer_cvy": contracts.token.balance_of(pool.signer),
        "eligible": contracts.staking.is_eligible(operator),
        "jailed_until": pool.jailed_until,
        "self_bond": pool.self_bond,
        "stake": pool.active_tokens,
        "earmarked": pool.earmarked,
        "unbonding": pool.unbonding_tokens,
        "rewards_dripping": pool.undripped,
        "drip_end": pool.drip_end,
        "commission_bps": pool.commission_bps,
        "reward_address": pool.reward_address,
        "owed": sum(
            source.owed_to(one)
            for one in {operator, pool.signer, pool.reward_address}
            for source in (contracts.rewards, contracts.staking, contracts.appeals)
        ),
        "chain_time": network.now(),
    }


def _tasks(network: Network, events: Sequence[Event], operator: str) -> list[dict[str, Any]]:
    from covey.audit.record import gather

    return [facts for task in gather(events).values() if (facts := _part(network, task, operator)) is not None]


def _part(network: Network, task: TaskRecord, operator: str) -> dict[str, Any] | None:
    """What the operator did in a task; None if it had no part in it."""
    entered = any(one["operator"] == operator for one in task.committed)
    enrolled = any(one["operator"] == operator for one in task.enrolled)
    if not (entered or enrolled):
        return None
    rounds = task.rounds.values()
    done = ["entered" if entered else "enrolled"]
    done += ["revealed"] if any(one["operator"] == operator for one in task.revealed) else []
    done += ["scored"] if any(one["operator"] == operator for r in rounds for one in r.committed) else []
    done += ["abstained"] if any(one["operator"] == operator for r in rounds for one in r.abstained) else []
    done += ["scores revealed"] if any(one["operator"] == operator for r in rounds for one in r.revealed) else []
    faults = [fault.args for r in rounds for fault in r.faults if fault.args["operator"] == operator]
    done += [f"reported in round {args['round']}" for args in faults]
    claims = [*task.entry_claims, *task.scoring_claims, *task.appeal.claims]
    paid = sum(int(args["amount"]) for args, _ in claims if args["operator"] == operator)
    view = network.task(task.id)
    seats = _seats(network, task, operator) if view.running else None
    return {
        "task": task.id,
        "seats": seats,
        "phase": view.phase.value,
        "until": view.deadline,
        "did": done,
        "outcome": view.state.outcome.name.lower(),
        "paid": paid,
    }


def _seats(network: Network, task: TaskRecord, operator: str) -> int | None:
    """The operator's seats in the task's newest committee; None before its seed, or without a part in it."""
    from covey.audit.rules import earmark_of, seats_of

    round_ = task.last_round
    if round_ is None or round_.fixed is None or not earmark_of(task, operator):
        return None
    return seats_of(task, round_, network.domain, operator)


def show_standing(standing: dict[str, Any]) -> None:
    """Print a standing for people, on one screen."""
    out = console()
    node = standing["node"]
    _show_node(out, node)
    if "operator" in standing:
        _show_operator(out, standing)
    if node is not None:
        _show_work(out, node)
    rows = [
        [
            str(t["task"]), t["phase"], format_time(t["until"] or 0), "–" if t["seats"] is None else str(t["seats"]),
            ", ".join(t["did"]), t["outcome"], format_cvy(t["paid"]),
        ]
        for t in reversed(standing.get("tasks", [])[-_TASKS_SHOWN:])
    ]  # fmt: skip
    if rows:
        names = ["task>", "waits for", "until (UTC)", "seats>", "this operator", "outcome", "paid, CVY>"]
        out.print(table("", names, rows))
    if (more := len(standing.get("tasks", [])) - _TASKS_SHOWN) > 0:
        out.print(f"and {more} earlier tasks: covey status --json")


def _show_node(out: Any, node: dict[str, Any] | None) -> None:
    if node is None:
        out.print("[yellow]node[/]      not running here (nobody answers at the health port)")
        return
    where = f"block {node['head_block']}, read up to {node['settled_block']}"
    if node["status"] == "ok":
        out.print(f"[green]node[/]      earning; {where}; {', '.join(node['roles'])}")
    else:
        out.print(f"[red]node[/]      not earning; {where}")
    for problem in node["problems"]:
        out.print(f"          [red]{problem}[/]")
    for warning in node.get("warnings", []):
        out.print(f"          [yellow]{warning}[/]")


def _show_operator(out: Any, s: dict[str, Any]) -> None:
    out.print(f"operator  {s['operator']} ({'eligible' if s['eligible'] else '[red]not eligible[/]'})")
    out.print(
        f"signer    {s['signer']}: {format_cvy(s['signer_coin'])} coin for gas, {format_cvy(s['signer_cvy'])} CVY"
    )
    out.print(
        f"stake     {format_cvy(s['stake'])} CVY, own bond {format_cvy(s['self_bond'])}, "
        f"earmarked {format_cvy(s['earmarked'])}, unbonding {format_cvy(s['unbonding'])}"
    )
    e = s["earnings"]
    out.print(
        f"earned    {format_cvy(s['net'])} CVY: entries {format_cvy(e['entries'])}, "
        f"scoring {format_cvy(e['scoring'])}, appeals {format_cvy(e['appeals'])}, "
        f"tips {format_cvy(e['tips'])}, reports {format_cvy(e['reports'])}, "
        f"fees −{format_cvy(e['fees'] - e['fees_back'])}, slashed −{format_cvy(e['slashed'])}"
    )
    dripping = (
        f", {format_cvy(s['rewards_dripping'])} dripping until {format_time(s['drip_end'])}"
        if s["rewards_dripping"]
        else ""
    )
    out.print(f"to claim  {format_cvy(s['owed'])} CVY to withdraw{dripping}")
    if s["jailed_until"]:
        out.print(f"[red]jailed[/]    until {format_time(s['jailed_until'])} UTC")


def _show_work(out: Any, node: dict[str, Any]) -> None:
    accepted = node["last_accepted"]
    if accepted is None:
        out.print("last tx   none accepted yet")
    else:
        final = "final" if accepted["final"] else "not final"
        out.print(f"last tx   {accepted['call']} in block {accepted['block']} ({final}), {accepted['hash']}")
    work = [
        [job["key"], job["stage"], f"{job['done']}/{job['total']}", left_text(int(job["seconds"])), str(job["attempt"])]
        for job in node["running"]
    ]
    if work:
        out.print(table("", ["work", "stage", "progress>", "running for>", "attempt>"], work))
    if node["queued_jobs"]:
        out.print(f"{node['queued_jobs']} jobs wait for a worker")
    due = [
        [
            one["key"],
            "–" if one["deadline"] >= NO_DEADLINE else left_text(one["deadline"] - node["head_time"]),
            one["waits_for"],
        ]
        for one in node["due"]
    ]
    if due:
        out.print(table("", ["due", "time left>", "now"], due))
    else:
        out.print("due       nothing")
