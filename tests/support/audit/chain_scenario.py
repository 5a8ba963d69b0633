"""Events of one paid task, as contracts that follow the rules emit them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from covey.audit.rules import HashDomain
from covey.protocol.payouts import bond_left, entry_fee, payouts, split
from covey.protocol.scores import pack, page_words
from covey.protocol.seats import seats
from covey.protocol.settlement import RevealedRow, Rules, settle
from covey.protocol.types import Outcome

DOMAIN = HashDomain(31337, "0x" + "11" * 20, "0x" + "22" * 20)
ENTRANTS = ["0x" + f"{number:02x}" * 20 for number in (0xA1, 0xA2, 0xA3)]
VALIDATORS = ["0x" + f"{number:02x}" * 20 for number in (0xB1, 0xB2, 0xB3)]
SEED = bytes(range(32))
SCORES = [[9000, 12000, 1], [9100, 12300, 1], [8000, 8000, 8000]]
EARMARKS = [1000 * 10**18, 900 * 10**18, 300 * 10**18]
TIP = 5
PARAMS: dict[str, Any] = {
    "specDigest": "0x" + "00" * 32,
    "validatorBps": 2000,
    "targetSeats": 31,
    "floorScore": 655,
    "h": 100,
    "tau": 1200,
    "power": 2,
    "maxEntries": 8,
    "bounty": 10**21,
    "bond": 10**19,
    "entryFee": 10**18,
}


@dataclass
class Event:
    """A decoded event; see `covey.audit.record.ChainEvent`."""

    contract: str
    name: str
    args: dict[str, Any]
    tx_hash: str = "0x"


def paid_task_events() -> list[Event]:
    """Events of a paid task with three entries and three validators, all rewards claimed."""
    total = sum(EARMARKS)
    events = [
        Event("Rewards", "TaskFunded", {"taskId": 1, "creator": "0x" + "cc" * 20, "bounty": 10**21, "bond": 10**19}),
        Event(
            "TaskRegistry", "TaskCreated", {"taskId": 1, "creator": "0x" + "cc" * 20, "params": PARAMS, "schedule": {}}
        ),
    ]
    for index, operator in enumerate(ENTRANTS):
        fee = entry_fee(PARAMS["entryFee"], index, PARAMS["maxEntries"])
        events += [
            Event("Rewards", "FeePaid", {"taskId": 1, "operator": operator, "payer": operator, "amount": fee}),
            Event("TaskRegistry", "EntryCommitted", {"taskId": 1, "operator": operator, "sequence": index, "fee": fee}),
        ]
    for index, operator in enumerate(VALIDATORS):
        args = {
            "taskId": 1,
            "operator": operator,
            "amount": EARMARKS[index],
            "totalEarmarked": sum(EARMARKS[: index + 1]),
        }
        events.append(Event("TaskRegistry", "ValidatorEnrolled", args))
    for lane, operator in enumerate(ENTRANTS):
        args = {"taskId": 1, "operator": operator, "lane": lane, "sequence": lane, "digest": "0x" + "00" * 32}
        events.append(Event("TaskRegistry", "EntryRevealed", args))
    events += [
        Event("Scoring", "SeedRequested", {"taskId": 1, "round": 0, "target": 9, "totalEarmarked": total}),
        Event("Rewards", "TipPaid", {"taskId": 1, "to": VALIDATORS[0], "amount": TIP}),
        Event("Scoring", "SeedFixed", {"taskId": 1, "round": 0, "seed": "0x" + SEED.hex()}),
    ]
    drawn = [
        seats(DOMAIN.chain_id, DOMAIN.scoring, 1, 0, SEED, operator, earmark, total, PARAMS["targetSeats"])
        for operator, earmark in zip(VALIDATORS, EARMARKS, strict=True)
    ]
    for name in ("ScoresCommitted", "ScoresRevealed"):
        for index, operator in enumerate(VALIDATORS):
            args = {"taskId": 1, "round": 0, "operator": operator, "seats": drawn[index], "index": index}
            events.append(
                Event("Scoring", name, {**args, "words": pack(SCORES[index]), "evidenceDigest": "0x" + "00" * 32})
            )
    return events + _ending(drawn)


def _ending(drawn: list[int]) -> list[Event]:
    rows = [RevealedRow(*row) for row in zip(VALIDATORS, drawn, SCORES, strict=True)]
    settlement = settle(rows, Rules(PARAMS["h"], PARAMS["tau"], PARAMS["floorScore"], PARAMS["power"]), page_words(3))
    page = settlement.pages[0]
    losses = [sum(loss << (32 * index) for index, loss in enumerate(settlement.losses))]
    totals = {"weights": settlement.total_weights, "gainSeats": settlement.gain_seats, "spread": settlement.spread}
    totals["scored"] = True
    fees = sum(entry_fee(PARAMS["entryFee"], index, PARAMS["maxEntries"]) for index in range(3))
    pools = split(
        Outcome.PAID, PARAMS["bounty"], bond_left(PARAMS["bond"], TIP, 1), fees, PARAMS["validatorBps"],
        settlement.total_weights, settlement.gain_seats,
    )  # fmt: skip
    paid = payouts(
        pools,
        ENTRANTS,
        settlement.weights,
        dict(zip(VALIDATORS, zip(drawn, settlement.gains, strict=True), strict=True)),
    )
    medians = {"medians": page.words, "root": "0x" + page.root.hex(), "weights": page.weights, "spread": page.spread}
    closed = {"trainersPool": pools.trainers, "validatorsPool": pools.validators}
    events = [
        Event("Scoring", "PageSettled", {"taskId": 1, "round": 0, "page": 0, **medians}),
        Event("Scoring", "RoundSettled", {"taskId": 1, "round": 0, "totals": totals, "losses": losses}),
        Event("TaskRegistry", "TaskEnded", {"taskId": 1, "outcome": int(Outcome.PAID), "reason": "0x" + "00" * 32}),
        Event(
            "Rewards",
            "EscrowClosed",
            {"taskId": 1, **closed, "toCreator": pools.to_creator, "toTreasury": pools.to_treasury},
        ),
    ]
    for lane, operator in enumerate(ENTRANTS):
        if amount := paid.entries[operator]:
            claim = {
                "taskId": 1,
                "operator": operator,
                "lane": lane,
                "median": settlement.medians[lane],
                "amount": amount,
            }
            events += [
                Event("Rewards", "EntryRewardClaimed", claim, f"0xe{lane}"),
                Event("Staking", "RewardAdded", {"operator": operator, "amount": amount}, f"0xe{lane}"),
            ]
    for index, operator in enumerate(VALIDATORS):
        if amount := paid.scoring[operator]:
            claim = {
                "taskId": 1,
                "operator": operator,
                "seats": drawn[index],
                "gain": settlement.gains[index],
                "amount": amount,
            }
            events += [
                Event("Staking", "RewardAdded", {"operator": operator, "amount": amount}, f"0xf{index}"),
                Event("Rewards", "ScoringRewardClaimed", claim, f"0xf{index}"),
            ]
    return events
