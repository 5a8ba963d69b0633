"""Payout reports over given events, without a chain."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from tests.support.audit.chain_scenario import DOMAIN, SEED, Event, paid_task_events

from covey.chain.errors import Unreachable
from covey.client.errors import IncompleteEvents, UnknownTask
from covey.client.payouts import verify_payout


def chain_with(events: list[Event], *, pruned: bool = False) -> Any:
    """A chain with the given events whose blocks have the scenario's seed; a pruned one has no old blocks."""

    def block_json(number: int) -> dict[str, str]:
        if pruned:
            raise Unreachable("no RPC endpoint has this block")
        return {"mixHash": "0x" + SEED.hex()}

    return SimpleNamespace(events=lambda: events, domain=DOMAIN, rpc=SimpleNamespace(block_json=block_json))


def test_report_of_a_correct_task_matches() -> None:
    report = verify_payout(chain_with(paid_task_events()), 1)
    assert report.matches
    assert report.checked > 40
    assert (report.differences, report.unclaimed, report.unavailable) == ((), (), ())
    facts = report.as_dict()
    assert facts["outcome"] == "paid"
    assert facts["checked"] == report.checked


def test_altered_payment_is_a_difference() -> None:
    events = paid_task_events()
    claim = next(event for event in events if event.name == "EntryRewardClaimed")
    claim.args = {**claim.args, "amount": claim.args["amount"] + 1}
    report = verify_payout(chain_with(events), 1)
    assert not report.matches
    assert "reward of the entry" in report.as_dict()["differences"][0]


def test_missing_block_is_unavailable_and_no_difference() -> None:
    report = verify_payout(chain_with(paid_task_events(), pruned=True), 1)
    assert report.matches
    assert report.unavailable == ("task 1: the seed's block: no RPC endpoint has this block",)


def test_unknown_task_and_incomplete_events_are_refused() -> None:
    with pytest.raises(UnknownTask, match=r"no task 9 \(tasks: 1 to 1\)"):
        verify_payout(chain_with(paid_task_events()), 9)
    events = [event for event in paid_task_events() if event.name != "TaskCreated"]
    with pytest.raises(IncompleteEvents, match="no creation"):
        verify_payout(chain_with(events), 1)
