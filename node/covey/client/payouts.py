"""Recomputes a task's payout from its events and compares every figure with the chain's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from covey.audit.chain import Chain
from covey.audit.evidence import Reader, check_content, check_seeds
from covey.audit.explain import Explanation, explain
from covey.audit.record import AuditError, gather
from covey.audit.replay import Difference, replay
from covey.chain.errors import ChainError
from covey.client.errors import IncompleteEvents, UnknownTask


@dataclass(frozen=True, slots=True)
class PayoutReport:
    """The result of verifying one task.

    `explanation` has the figures behind each payment, wei of CVY. `checked` counts the figures compared;
    `differences` are those in which chain and rules disagree. `unclaimed` lists rewards not claimed yet,
    `unavailable` content that no source could provide. `documents` counts the manifests and score sheets looked for,
    `fetched` those read; `documents` is None if the evidence was not checked.
    """

    explanation: Explanation
    checked: int
    differences: tuple[Difference, ...]
    unclaimed: tuple[str, ...]
    unavailable: tuple[str, ...]
    documents: int | None = None
    fetched: int = 0

    @property
    def evidence(self) -> str:
        """In words, how much of the evidence was checked."""
        if self.documents is None:
            return "evidence not checked (no gateway and no store)"
        return f"evidence: {self.fetched} of {self.documents} documents fetched"

    @property
    def matches(self) -> bool:
        """True if no figure on chain differs from the rules."""
        return not self.differences

    def as_dict(self) -> dict[str, Any]:
        """For JSON: the explanation's fields, and the counts and lists of this report beside them."""
        return {
            **self.explanation.as_dict(),
            "checked": self.checked,
            "differences": [str(difference) for difference in self.differences],
            "unclaimed": list(self.unclaimed),
            "unavailable": list(self.unavailable),
            "documents": self.documents,
            "fetched": self.fetched,
        }


def verify_payout(chain: Chain, task_id: int, *, reader: Reader | None = None) -> PayoutReport:
    """Recompute a task's seats, medians, gains and payments, and compare them with what the contracts did.

    Args:
        reader: reads manifests and score sheets, see `client.open_reader`; None compares the chain's figures only.

    Raises:
        UnknownTask: there is no task of this id.
        IncompleteEvents: the endpoint did not return the task's whole history.
    """
    events = chain.events()
    try:
        tasks = gather(events)
        if task_id not in tasks:
            raise UnknownTask(f"there is no task {task_id} (tasks: {f'1 to {max(tasks)}' if tasks else 'none yet'})")
        explanation = explain(events, chain.domain, task_id)
        audit = replay(events, chain.domain, [task_id])
        try:
            check_seeds(audit, tasks[task_id], chain.rpc)
        except ChainError as error:
            audit.unavailable.append(f"task {task_id}: the seed's block: {error}")
        if reader is not None:
            check_content(audit, tasks[task_id], chain.domain, reader)
    except AuditError as error:
        raise IncompleteEvents(str(error)) from None
    return PayoutReport(
        explanation,
        audit.checked,
        tuple(audit.differences),
        tuple(audit.unclaimed),
        tuple(audit.unavailable),
        None if reader is None else audit.documents,
        audit.fetched,
    )
