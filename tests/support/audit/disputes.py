"""Events of a task whose first committee missed its quorum: one validator revealed, one abstained, one was absent.

The second committee saved the task. The two silent validators are reported for the missed round, the absent one twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.support.audit.chain_scenario import (
    DOMAIN,
    EARMARKS,
    ENTRANTS,
    PARAMS,
    SCORES,
    SEED,
    TIP,
    VALIDATORS,
    Event,
    paid_task_events,
)

from covey.protocol.faults import missed_slash, slash_of
from covey.protocol.payouts import bond_left, entry_fee, payouts, split
from covey.protocol.scores import pack, pack_losses, page_words
from covey.protocol.seats import seats
from covey.protocol.settlement import RevealedRow, Rules, settle
from covey.protocol.types import Fault, Outcome

WINDOWS = {"enrol": 50, "scoreCommit": 100, "scoreReveal": 50, "settle": 500}
SECOND_SEED = bytes(range(100, 132))
EXTRA = 7 * 10**18
UNIT = (PARAMS["bounty"] + EXTRA) // PARAMS["targetSeats"]
"""The bounty with its top-up per seat: the first committee is drawn from all stake."""
REPORTER = "0x" + "d0" * 20


def seats_in(number: int, index: int) -> int:
    """Seats of validator `index` in committee `number`; only the first validator is left for the second committee."""
    seed, total = (SEED, sum(EARMARKS)) if number == 0 else (SECOND_SEED, EARMARKS[0])
    chain, scoring = DOMAIN.chain_id, DOMAIN.scoring
    return seats(chain, scoring, 1, number, seed, VALIDATORS[index], EARMARKS[index], total, PARAMS["targetSeats"])


def action(name: str, number: int, validator: int, **args: Any) -> Event:
    """An event of a validator in committee `number`."""
    fields = {
        "taskId": 1,
        "round": number,
        "operator": VALIDATORS[validator],
        "seats": seats_in(number, validator),
        **args,
    }
    return Event("Scoring", name, fields)


def slashed(index: int, amount: int, tx_hash: str) -> Event:
    """A capped slash of a validator, one wei of it from an entry that unbonds."""
    args = {
        "operator": VALIDATORS[index], "duty": DOMAIN.registry, "fromActive": amount - 1, "fromUnbonding": 1,
        "fromOwn": 0, "ownShares": 0, "reporter": REPORTER, "reporterReward": 0, "toTreasury": amount - 1,
        "capped": True,
    }  # fmt: skip
    return Event("Staking", "Slashed", args, tx_hash)


def silence_reports() -> Iterator[Event]:
    """Reports of the missed first round, whose task was paid."""
    for index in (1, 2):
        seats_drawn, tx_hash = seats_in(0, index), f"0xfb{index}"
        taken = missed_slash(seats_drawn, UNIT, failed=False)
        args = {"taskId": 1, "round": 0, "operator": VALIDATORS[index], "seats": seats_drawn, "failed": False}
        yield slashed(index, taken, tx_hash)
        yield Event("Faults", "MissedReported", {**args, "reporter": REPORTER, "taken": taken}, tx_hash)


def reseated_task_events() -> list[Event]:
    """Events of the whole task: topped up, paid by the second committee, all rewards claimed and earmarks released."""
    paid = paid_task_events()
    events = paid[: next(i for i, event in enumerate(paid) if event.name == "SeedFixed") + 1]
    created = next(event for event in events if event.name == "TaskCreated")
    created.args = {**created.args, "params": {**PARAMS, "windows": WINDOWS}, "schedule": {"expiresAt": 10_000}}
    row = {"index": 0, "words": pack(SCORES[0]), "evidenceDigest": "0x" + "00" * 32}
    taken = slash_of(Fault.ABSENT, seats_in(0, 2), UNIT)
    fault = {"taskId": 1, "round": 0, "operator": VALIDATORS[2], "fault": 0, "reporter": REPORTER, "taken": taken}
    missed = {"revealedSeats": seats_in(0, 0), "committedSeats": seats_in(0, 0)}
    events += [
        Event("Rewards", "ToppedUp", {"taskId": 1, "from": REPORTER, "amount": EXTRA, "extra": EXTRA}),
        action("ScoresCommitted", 0, 0),
        action("Abstained", 0, 1),
        action("ScoresRevealed", 0, 0, **row),
        slashed(2, taken, "0xfa"),
        Event("Scoring", "FaultReported", fault, "0xfa"),
        Event("Scoring", "RoundFailed", {"taskId": 1, "round": 0, **missed}),
        Event("Scoring", "Reseated", {"taskId": 1, "round": 1, "requestFrom": 500}),
        Event("TaskRegistry", "TaskExtended", {"taskId": 1, "expiresAt": 10_650}),
        Event("Scoring", "SeedRequested", {"taskId": 1, "round": 1, "target": 19, "totalEarmarked": EARMARKS[0]}),
        Event("Scoring", "SeedFixed", {"taskId": 1, "round": 1, "seed": "0x" + SECOND_SEED.hex()}),
        action("ScoresCommitted", 1, 0),
        action("ScoresRevealed", 1, 0, **row),
    ]
    return [*events, *_ending(taken)]


def _ending(taken: int) -> list[Event]:
    own = seats_in(1, 0)
    rules = Rules(PARAMS["h"], PARAMS["tau"], PARAMS["floorScore"], PARAMS["power"])
    settled = settle([RevealedRow(VALIDATORS[0], own, SCORES[0])], rules, page_words(1), 1)
    [page] = settled.pages
    totals = {"weights": settled.total_weights, "gainSeats": settled.gain_seats, "spread": settled.spread}
    totals["scored"] = True
    fees = sum(entry_fee(PARAMS["entryFee"], index, PARAMS["maxEntries"]) for index in range(3))
    pools = split(
        Outcome.PAID, PARAMS["bounty"], bond_left(PARAMS["bond"], TIP, 1), fees, PARAMS["validatorBps"],
        settled.total_weights, settled.gain_seats, EXTRA,
    )  # fmt: skip
    due = payouts(pools, ENTRANTS, settled.weights, {VALIDATORS[0]: (own, settled.gains[0])})
    medians = {"medians": page.words, "root": "0x" + page.root.hex(), "weights": page.weights, "spread": page.spread}
    sums = {"totals": totals, "losses": pack_losses(settled.losses), "payableAt": 9_000}
    closed = {"trainersPool": pools.trainers, "validatorsPool": pools.validators}
    ends = {"toCreator": pools.to_creator, "toTreasury": pools.to_treasury}
    events = [
        Event("Scoring", "PageSettled", {"taskId": 1, "round": 1, "page": 0, **medians}),
        Event("Scoring", "RoundSettled", {"taskId": 1, "round": 1, **sums}),
        Event("TaskRegistry", "TaskEnded", {"taskId": 1, "outcome": 1, "reason": "0x" + "00" * 32}),
        Event("Rewards", "EscrowClosed", {"taskId": 1, **closed, **ends}),
    ]
    for lane, operator in enumerate(ENTRANTS):
        if amount := due.entries[operator]:
            claim = {"taskId": 1, "operator": operator, "lane": lane, "median": settled.medians[lane], "amount": amount}
            events.append(Event("Rewards", "EntryRewardClaimed", claim, f"0xe{lane}"))
            events.append(Event("Staking", "RewardAdded", {"operator": operator, "amount": amount}, f"0xe{lane}"))
    amount = due.scoring[VALIDATORS[0]]
    claim = {"taskId": 1, "operator": VALIDATORS[0], "seats": own, "gain": settled.gains[0], "amount": amount}
    events.append(Event("Rewards", "ScoringRewardClaimed", claim, "0xf0"))
    events.append(Event("Staking", "RewardAdded", {"operator": VALIDATORS[0], "amount": amount}, "0xf0"))
    events += silence_reports()
    lost = [0, *(missed_slash(seats_in(0, index), UNIT, failed=False) for index in (1, 2))]
    for index, operator in enumerate(VALIDATORS):
        rest = EARMARKS[index] - lost[index] - (taken if index == 2 else 0)
        events.append(Event("TaskRegistry", "EarmarkFreed", {"taskId": 1, "operator": operator, "amount": rest}))
    return events
