"""Facts of `covey status`: the running node, its operator on chain, and the operator's part in each task."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from covey.chain.errors import ChainError
from covey.cli.access import connect, operator_address
from covey.cli.errors import CliError, InputError
from covey.client.errors import NetworkError

if TYPE_CHECKING:
    from covey.audit.record import TaskRecord
    from covey.chain.events.decoder import Event
    from covey.cli.settings import Settings
    from covey.client.network import Network

_TIMEOUT_S = 3.0


def gather_status(settings: Settings) -> dict[str, Any]:
    """Collect the status for JSON. Amounts are wei, times are chain time.

    Returns:
        node (the health report, None if no node of the operator answers) and notes (one line each); with a chain also
        the operator's pool, earnings and tasks.

    Raises:
        InputError: no node answers and no chain is configured.
        NetworkError, ChainError: no node answers and the chain cannot be read.
    """
    node = read_health(settings.health_listen)
    if settings.deployment is None or not settings.rpc_urls:
        if node is None:
            raise InputError(
                "nothing to show: no node answers, and no chain is configured (give --rpc-urls and --deployment)"
            )
        return {"node": node, "notes": []}
    try:
        network = connect(settings)
        operator = operator_address(network, settings)
        on_chain = _read_chain(network, operator)
    except (NetworkError, ChainError) as error:
        if node is None:
            raise
        return {"node": node, "notes": [f"stake and tasks could not be read from the chain: {error}"]}
    return {**_nodes_part(node, operator, settings), **on_chain}


def _nodes_part(node: dict[str, Any] | None, operator: str, settings: Settings) -> dict[str, Any]:
    """The report of the node that answers here, if it is the operator's; a note if it is another's."""
    if node is None or node.get("operator") in (None, operator):
        return {"node": node, "notes": []}
    note = f"the node that answers at {settings.health_listen} is another operator's, {node['operator']}: left out"
    return {"node": None, "notes": [note]}


def _read_chain(network: Network, operator: str) -> dict[str, Any]:
    from covey.daemon.state.ledger import Ledger

    pool = _read_pool(network, operator)
    events = network.events()
    ledger = Ledger(operator, (pool["signer"], pool["reward_address"]))
    for event in events:
        ledger.apply(event)
    return {**pool, "earnings": ledger.sums, "net": ledger.net, "tasks": _read_tasks(network, events, operator)}


def read_health(listen: str | None) -> dict[str, Any] | None:
    """The report of a node's health server; None if none answers or another program or version does."""
    import urllib3

    if listen is None:
        return None
    http = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(_TIMEOUT_S))
    try:
        report = json.loads(http.request("GET", f"http://{listen}/health").data)
    except (urllib3.exceptions.HTTPError, ValueError, RecursionError):
        return None
    known = isinstance(report, dict) and {"problems", "running", "last_accepted"} <= report.keys()
    return report if known else None


def _read_pool(network: Network, operator: str) -> dict[str, Any]:
    contracts = network.contracts
    pool = contracts.staking.pool_of(operator)
    if not pool.registered:
        raise CliError(f"{operator} has no pool: open one with `covey stake`")
    return {
        "operator": operator,
        "signer": pool.signer,
        "signer_coin": network.rpc.balance(pool.signer),
        "signer_cvy": contracts.token.balance_of(pool.signer),
        "eligible": contracts.staking.is_eligible(operator),
        "jailed_until": pool.jailed_until,
        "self_bond": pool.self_bond,
        "min_self_bond": contracts.staking.min_self_bond(),
        "stake": pool.active_tokens,
        "earmarked": pool.earmarked,
        "unbonding": pool.unbonding_tokens,
        "rewards_dripping": pool.undripped,
        "drip_end": pool.drip_end,
        "commission_bps": pool.commission_bps,
        "reward_address": pool.reward_address,
        "owed": sum(
            contract.owed_to(account)
            for account in {operator, pool.signer, pool.reward_address}
            for contract in (contracts.rewards, contracts.staking, contracts.appeals)
        ),
        "chain_time": network.now(),
    }


def _read_tasks(network: Network, events: Sequence[Event], operator: str) -> list[dict[str, Any]]:
    from covey.audit.record import gather

    tasks = gather(events).values()
    return [facts for task in tasks if (facts := _participation(network, task, operator)) is not None]


def _participation(network: Network, task: TaskRecord, operator: str) -> dict[str, Any] | None:
    """What the operator did in a task; None if it neither entered nor enrolled."""

    def took_part(events: Sequence[Mapping[str, Any]]) -> bool:
        return any(args["operator"] == operator for args in events)

    entered = took_part(task.committed)
    if not (entered or took_part(task.enrolled)):
        return None
    rounds = list(task.rounds.values())
    steps = {
        "entered" if entered else "enrolled": True,
        "revealed": took_part(task.revealed),
        "scored": any(took_part(round_.committed) for round_ in rounds),
        "abstained": any(took_part(round_.abstained) for round_ in rounds),
        "scores revealed": any(took_part(round_.revealed) for round_ in rounds),
    }
    done = [step for step, happened in steps.items() if happened]
    faults = [fault.args for round_ in rounds for fault in round_.faults if fault.args["operator"] == operator]
    done += [f"reported in round {args['round']}" for args in faults]
    claims = [*task.entry_claims, *task.scoring_claims, *task.appeal.claims]
    paid = sum(int(args["amount"]) for args, _ in claims if args["operator"] == operator)
    view = network.task(task.id)
    return {
        "task": task.id,
        "seats": _read_seats(network, task, operator) if view.running else None,
        "phase": view.phase.value,
        "until": view.deadline,
        "did": done,
        "outcome": view.state.outcome.name.lower(),
        "paid": paid,
    }


def _read_seats(network: Network, task: TaskRecord, operator: str) -> int | None:
    """The operator's seats in the newest committee; None before its seed is fixed, or without an earmark."""
    from covey.audit.rules import earmark_of, seats_of

    round_ = task.last_round
    if round_ is None or round_.fixed is None or not earmark_of(task, operator):
        return None
    return seats_of(task, round_, network.domain, operator)
