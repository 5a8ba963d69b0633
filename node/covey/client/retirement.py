"""Leaving a network as an operator, in steps: what is in the way now, and the calls that can be sent now."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from covey.audit.chain import Chain
from covey.chain.contracts.base import Call
from covey.client.claims import claim_calls
from covey.client.errors import NothingToDo
from covey.client.staking import (
    OwnedEntry,
    entries_of,
    registered_pool,
    undelegate_calls,
    withdraw_calls,
)
from covey.protocol.types import Outcome


@dataclass(frozen=True, slots=True)
class Duty:
    """A task that holds stake of the operator. `latest` is the latest end of the task, chain time."""

    task: int
    held: int
    latest: int


@dataclass(frozen=True, slots=True)
class Retirement:
    """Where an operator stands on its way out. Amounts are wei."""

    operator: str
    duties: list[Duty]
    """Running tasks with its stake: they must end first."""
    earmarked: int
    """Stake that tasks hold, with that of ended ones that is not released yet."""
    own_stake: int
    """What the operator still holds in its pool."""
    others_stake: int
    """What delegators hold in its pool; it stays theirs and can be undelegated at any time."""
    entries: list[OwnedEntry]
    """The operator's own stake that unbonds."""

    @property
    def done(self) -> bool:
        """True once nothing of the operator's own is left in its pool."""
        return not (self.duties or self.own_stake or self.entries)


def read_retirement(chain: Chain, operator: str) -> Retirement:
    """Read where an operator stands.

    Raises:
        InvalidInput: the address is no operator.
    """
    pool = registered_pool(chain, operator)
    staking = chain.contracts.staking
    shares = staking.shares_of(operator, operator)
    own = staking.tokens_for(operator, shares) if shares else 0
    duties = _duties(chain, operator) if pool.earmarked else []
    others = max(0, pool.active_tokens - own)
    return Retirement(operator, duties, pool.earmarked, own, others, entries_of(chain, operator, [operator]))


def retirement_calls(chain: Chain, state: Retirement) -> list[Call]:
    """What can be sent now: claims and releases of ended tasks; then undelegating; then withdrawing what is unbonded.

    The owner's key must send the call that undelegates; any key may send the others. Empty while tasks must end first.
    """
    calls = claim_calls(chain, state.operator)
    if state.own_stake and not state.earmarked:
        calls += undelegate_calls(chain, state.operator, state.operator)
    with suppress(NothingToDo):
        calls += withdraw_calls(chain, state.operator)
    return calls


def _duties(chain: Chain, operator: str) -> list[Duty]:
    """Running tasks in which the operator enrolled, by id."""
    registry = chain.contracts.registry
    enrolled = {
        event.args["taskId"]
        for event in chain.events()
        if (event.contract, event.name) == ("TaskRegistry", "ValidatorEnrolled") and event.args["operator"] == operator
    }
    found = []
    for task in sorted(enrolled):
        held = registry.held_of(task, operator)
        if held and registry.outcome_of(task) == Outcome.RUNNING:
            found.append(Duty(task, held, registry.schedule_of(task).expires_at))
    return found
