"""How a node is doing: its process, its operator on chain, its part in each task."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from covey.cli.errors import CliError, InputError
from covey.cli.output import console, moment, table, tokens

if TYPE_CHECKING:
    from covey.audit.record import TaskRecord
    from covey.cli.access import Network
    from covey.cli.settings import Settings

_TIMEOUT_S = 3.0


def gather_standing(settings: Settings) -> dict[str, Any]:
    """Everything `covey status` shows. Raises InputError if nothing at all is configured."""
    standing: dict[str, Any] = {"node": _health(settings.health_listen)}
    if settings.deployment is None or not settings.rpc_urls:
        if standing["node"] is None:
            raise InputError(
                "nothing to show: no node answers, and there is no chain (give --rpc-urls and --deployment)"
            )
        return standing
    from covey.cli.access import connect

    network = connect(settings)
    operator = network.operator(settings)
    return {**standing, **_on_chain(network, operator), "tasks": _tasks(network, operator)}


def _health(listen: str | None) -> dict[str, Any] | None:
    """What the node's health port says; None if nobody answers there."""
    import urllib3

    if listen is None:
        return None
    http = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(_TIMEOUT_S))
    try:
        reply = http.request("GET", f"http://{listen}/health")
        answer: dict[str, Any] = json.loads(reply.data)
    except (urllib3.exceptions.HTTPError, ValueError):
        return None
    return answer


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
        "owed": contracts.rewards.owed_to(pool.reward_address),
        "chain_time": network.now(),
    }


def _tasks(network: Network, operator: str) -> list[dict[str, Any]]:
    from covey.audit.record import gather

    return [
        facts for task in gather(network.events()).values() if (facts := _part(network, task, operator)) is not None
    ]


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
    paid = sum(
        int(args["amount"]) for args, _ in [*task.entry_claims, *task.scoring_claims] if args["operator"] == operator
    )
    view = network.task(task.id)
    return {
        "task": task.id,
        "phase": view.phase.value,
        "until": view.deadline,
        "did": done,
        "outcome": view.state.outcome.name.lower(),
        "paid": paid,
    }


def show_standing(standing: dict[str, Any]) -> None:
    """Print a standing for people."""
    out = console()
    node = standing["node"]
    if node is None:
        out.print("[yellow]node[/]      not running here (nobody answers at the health port)")
    elif node.get("status") == "ok":
        out.print(f"[green]node[/]      earning; block {node['head_block']}, {len(node['due'])} duties due")
    else:
        out.print(f"[red]node[/]      not earning: {'; '.join(node.get('problems', [])) or 'no reason given'}")
    if "operator" not in standing:
        return
    s = standing
    out.print(f"operator  {s['operator']} ({'eligible' if s['eligible'] else '[red]not eligible[/]'})")
    out.print(f"signer    {s['signer']}: {tokens(s['signer_coin'])} coin for gas, {tokens(s['signer_cvy'])} CVY")
    out.print(
        f"stake     {tokens(s['stake'])} CVY, own bond {tokens(s['self_bond'])}, earmarked {tokens(s['earmarked'])}, "
        f"unbonding {tokens(s['unbonding'])}"
    )
    dripping = (
        f", {tokens(s['rewards_dripping'])} still dripping until {moment(s['drip_end'])}"
        if s["rewards_dripping"]
        else ""
    )
    out.print(f"earnings  {tokens(s['owed'])} CVY to withdraw{dripping}")
    if s["jailed_until"]:
        out.print(f"[red]jailed[/]    until {moment(s['jailed_until'])} UTC")
    rows = [
        [str(t["task"]), t["phase"], moment(t["until"] or 0), ", ".join(t["did"]), t["outcome"], tokens(t["paid"])]
        for t in reversed(standing["tasks"])
    ]
    if rows:
        out.print(table("", ["task>", "waits for", "until (UTC)", "this operator", "outcome", "paid, CVY>"], rows))
