"""Write web/tests/vectors.json: random cases of `covey.protocol` that the page's arithmetic must reproduce.

Usage: scripts/web_vectors.py [--check]
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

from covey.protocol.payouts import entry_reward, scoring_reward, split
from covey.protocol.scores import pack, page_words
from covey.protocol.seats import seats
from covey.protocol.settlement import RevealedRow, Rules, gain_of, settle
from covey.protocol.types import Outcome

TARGET = Path(__file__).resolve().parents[1] / "web" / "tests" / "vectors.json"
CASES = 60
ENTRIES = (*(1, 2, 15, 16, 17, 40) * 10, 1100)
"""Numbers of entries of the settlements; the last has two pages."""


def settlement_case(random_: random.Random, entries: int) -> dict[str, Any]:
    """One random settlement. Integers above 2^53 are decimal texts."""
    rows = random_.randint(1, 9)
    number, sealed = random_.randint(0, 1), random_.random() < 0.5
    rules = Rules(
        random_.choice([0, 8, 300]), random_.choice([1, 655, 1200]), random_.choice([1, 655]), random_.randint(1, 3)
    )
    truth = [random_.choice([0, 1, random_.randint(2, 0x7FFF)]) for _ in range(entries)]
    scores = [
        [
            min(0x7FFF, max(0, x + random_.randint(-400, 400)))
            if random_.random() < 0.9
            else random_.randint(0, 0x7FFF)
            for x in truth
        ]
        for _ in range(rows)
    ]
    revealed = [RevealedRow(f"0x{i:040x}", random_.randint(1, 12), row) for i, row in enumerate(scores)]
    committed = rows + random_.randint(0, 3)
    result = settle(revealed, rules, page_words(committed), number, sealed)
    return {
        "rules": {"h": rules.h, "tau": rules.tau, "floor": rules.floor, "power": rules.power},
        "committed": committed,
        "round": number,
        "sealed": sealed,
        "rows": [
            {"operator": row.operator, "seats": row.seats, "words": [hex(word) for word in pack(row.scores)]}
            for row in revealed
        ],
        "entries": entries,
        "medians": result.medians,
        "losses": result.losses,
        "gains": result.gains,
        "spread": result.spread,
        "totalWeights": str(result.total_weights),
        "gainSeats": str(result.gain_seats),
    }


def _noisy(random_: random.Random, score: int) -> int:
    if random_.random() < 0.1:
        return random_.randint(0, 0x7FFF)
    return min(0x7FFF, max(0, score + random_.randint(-400, 400)))


def payout_case(random_: random.Random) -> dict[str, Any]:
    """One random split of a paid escrow, with one entry's and one validator's reward."""
    bounty, bond, fees = (random_.randint(0, 10**24) for _ in range(3))
    bps = random_.randint(500, 9_999)
    weights = [random_.choice([0, random_.randint(1, 2**44)]) for _ in range(3)]
    gains = [(random_.randint(1, 20), random_.choice([0, random_.randint(1, 5000)])) for _ in range(3)]
    gain_seats = sum(s * g for s, g in gains)
    extra = random_.choice([0, random_.randint(0, 10**24)])
    appeal_cost = random_.choice([0, random_.randint(0, bounty * bps // 10_000)])
    outcome = random_.choice([Outcome.PAID, Outcome.PAID, Outcome.REFUNDED, Outcome.FAILED])
    void, withheld = random_.random() < 0.3, random_.random() < 0.3
    pools = split(outcome, bounty, bond, fees, bps, sum(weights), gain_seats, extra, appeal_cost, void, withheld)
    revealed = sum(s for s, _ in gains)
    paid = outcome == Outcome.PAID
    return {
        "outcome": outcome.name.lower(),
        "hasVoidRound": void,
        "isWithheld": withheld,
        "escrow": {
            "bounty": str(bounty),
            "bond": str(bond),
            "fees": str(fees),
            "validatorBps": bps,
            "totalWeights": str(sum(weights)),
            "gainSeats": str(gain_seats),
            "extra": str(extra),
            "appealCost": str(appeal_cost),
        },
        "pools": {
            "trainers": str(pools.trainers),
            "validators": str(pools.validators),
            "toCreator": str(pools.to_creator),
            "toTreasury": str(pools.to_treasury),
            "flat": pools.flat,
        },
        "weight": str(weights[0]),
        "entryReward": str(entry_reward(pools.trainers, weights[0], sum(weights))) if paid else "",
        "seats": gains[0][0],
        "gain": gains[0][1],
        "revealedSeats": revealed,
        "scoringReward": str(scoring_reward(pools, *gains[0], gain_seats, revealed)) if paid else "",
    }


def seat_case(random_: random.Random) -> dict[str, Any]:
    """One random draw."""
    total = random_.randint(1, 2**87)
    earmark = random_.randint(0, total)
    seed, operator = random_.randbytes(32), "0x" + random_.randbytes(20).hex()
    scoring, chain, task = "0x" + random_.randbytes(20).hex(), random_.randint(1, 2**40), random_.randint(1, 2**60)
    target, number = random_.randint(1, 1023), random_.randint(0, 1)
    return {
        "chainId": chain,
        "scoring": scoring,
        "task": str(task),
        "round": number,
        "seed": "0x" + seed.hex(),
        "operator": operator,
        "earmark": str(earmark),
        "total": str(total),
        "targetSeats": target,
        "seats": seats(chain, scoring, task, number, seed, operator, earmark, total, target),
    }


def vectors() -> dict[str, Any]:
    """All cases, the same in every run."""
    random_ = random.Random(2026)
    gains = [
        (spread, loss, number, sealed)
        for spread in (0, 5, 100)
        for loss in (0, 2, 50, 60)
        for number in (0, 1)
        for sealed in (False, True)
    ]
    return {
        "settlements": [settlement_case(random_, entries) for entries in ENTRIES],
        "payouts": [payout_case(random_) for _ in range(CASES)],
        "seats": [seat_case(random_) for _ in range(CASES)],
        "gains": [[*case, gain_of(*case)] for case in gains],
    }


def main(arguments: list[str]) -> int:
    """Write the vectors, or with --check compare them. Returns the exit code."""
    text = json.dumps(vectors(), separators=(",", ":")) + "\n"
    if "--check" in arguments:
        if not TARGET.exists() or TARGET.read_text() != text:
            print("web/tests/vectors.json is stale: run scripts/web_vectors.py", file=sys.stderr)
            return 1
        return 0
    TARGET.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
