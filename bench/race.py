"""Simulates the race for a step that anybody may take: how many transactions are sent, and how soon the first.

Usage: python bench/race.py [--steps 2000] [--seed 7] [--show-pending 0.5]

The turns are those of the daemon (`covey.daemon.planning.turns`), with the default settings. Blocks come every 12 s, 1%
of the slots are empty. Blocks and transactions reach a node after a random time (log-normal, median 0.7 s, 95% within
2.5 s). A node looks at the chain every 2 s and needs up to 1 s to act. A tenth of the nodes is down. Half of the
endpoints show pending transactions, the others only blocks. A transaction is in the first block that is built 2 s after
it was sent. For comparison: the same nodes without turns, spread over 12 s whatever their number.

Prints a table and, as the last line, one JSON object. `late_fraction` is the largest share of steps, over all sizes,
whose first transaction is sent more than four blocks after the earliest moment, the block that makes the step due.
"""

from __future__ import annotations

import argparse
import bisect
import json
import random
from collections.abc import Callable
from dataclasses import dataclass

from covey.config.node import CycleSettings
from covey.daemon.planning.duty import NO_DEADLINE, Duty, DutyKind
from covey.daemon.planning.turns import turn_fraction, wait_in_turn

BLOCK_S = 12.0
EMPTY_SLOTS = 0.01
DOWN = 0.1
SHOW_PENDING = 0.5
BUILD_S = 2.0
"""Time before a block in which a transaction is too late for it."""
LATE_BLOCKS = 4
FORMER_SPREAD_S = 12.0
SIZES = (4, 100, 1000)

Wait = Callable[[str, Duty], float]
"""Seconds that an operator leaves a step to others."""


@dataclass(frozen=True, slots=True)
class Race:
    """One step: how many transactions were sent, and when the first was, in seconds after the step became due."""

    sends: int
    first: float


def propagation(rng: random.Random) -> float:
    return 0.7 * rng.lognormvariate(0.0, 0.77)


def run(names: list[str], duty: Duty, wait: Wait, rng: random.Random, show_pending: float) -> Race:
    """Simulate one step, due in the block at time 0."""
    poll = CycleSettings().poll_interval_seconds
    looks = []
    for name in names:
        if rng.random() < DOWN:
            continue
        due_seen = propagation(rng)
        first_look = due_seen + rng.random() * poll  # the turn counts from here
        cycles = -(-wait(name, duty) // poll)  # looks until the turn has come
        looks.append(first_look + cycles * poll)
    looks.sort()
    blocks = [slot * BLOCK_S for slot in range(1, 4000) if rng.random() >= EMPTY_SLOTS]
    sent: list[float] = []
    mined = float("inf")
    for look in looks:
        if look > mined + 60.0:  # everybody has seen it
            break
        if look >= mined + propagation(rng):
            continue
        shows_pending = rng.random() < show_pending
        if shows_pending and any(look >= at + propagation(rng) for at in sent):
            continue
        at = look + rng.random()
        sent.append(at)
        mined = min(mined, blocks[bisect.bisect_left(blocks, at + BUILD_S)])
    return Race(len(sent), min(sent, default=float("inf")))


def measure(
    size: int, steps: int, seed: int, wait_of: Callable[[frozenset[str]], Wait], show_pending: float
) -> tuple[float, float, float]:
    """Mean transactions a step, the share of late steps, and the mean time of the first transaction."""
    rng = random.Random(f"{seed}/{size}")
    names = [f"0x{rng.getrandbits(160):040x}" for _ in range(size)]
    wait = wait_of(frozenset(names))
    duties = [Duty(NO_DEADLINE, DutyKind.SETTLE_PAGE, step) for step in range(1, steps + 1)]
    races = [run(names, duty, wait, rng, show_pending) for duty in duties]
    late = sum(race.first > LATE_BLOCKS * BLOCK_S for race in races) / steps
    acted = [race.first for race in races if race.sends]
    return sum(race.sends for race in races) / steps, late, sum(acted) / len(acted)


def in_turn(participants: frozenset[str]) -> Wait:
    unit = CycleSettings().stagger_seconds
    return lambda name, duty: unit * wait_in_turn(name, duty, participants, len(participants))


def fixed_spread(participants: frozenset[str]) -> Wait:
    return lambda name, duty: FORMER_SPREAD_S * turn_fraction(name, duty)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2000, help="simulated steps; with 1,000 nodes a quarter of them")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--show-pending", type=float, default=SHOW_PENDING, help="share of endpoints that do")
    arguments = parser.parse_args()
    print("| nodes | sends a step | late | first after | sends a step, spread over 12 s |")
    print("|---:|---:|---:|---:|---:|")
    result: dict[str, float] = {}
    latest = 0.0
    for size in SIZES:
        steps = max(1, arguments.steps // (4 if size >= 1000 else 1))
        sends, late, first = measure(size, steps, arguments.seed, in_turn, arguments.show_pending)
        former, _, _ = measure(size, max(1, steps // 20), arguments.seed, fixed_spread, arguments.show_pending)
        print(f"| {size:,} | {sends:.2f} | {late:.1%} | {first:.1f} s | {former:.1f} |")
        result[f"sends_per_step_{size}"] = round(sends, 3)
        latest = max(latest, late)
    result["late_fraction"] = round(latest, 4)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
