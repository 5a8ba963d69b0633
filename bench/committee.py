"""Measures how often a cabal gets half of a committee's seats, exactly and by simulation.

Usage: python bench/committee.py [--draws 2000]

The stake is divided between 1,000 equal operators, so that each has one seat with probability K / 1000. This is the
cabal's best case: fewer and larger operators have seats closer to their share. Half of the seats moves a lower median
down, more than half moves it anywhere. Exact: the seats of the cabal and of the others are two binomials, and the cabal
decides if it has at least as many as the others. Simulated: seats by the contracts' rule (`covey.protocol.seats`), with
one seed per committee.

Prints a table for docs/threat-model.md and, as the last line, one JSON object.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math

from covey.protocol.seats import seats

OPERATORS = 1_000
SEATS = (21, 31, 51, 101)
SHARES = (0.2, 0.3, 1 / 3)
SCORING = "0x" + "11" * 20


def binomial(trials: int, chance: float) -> list[float]:
    """Probability of each number of successes."""
    rest = math.log1p(-chance)
    return [
        math.exp(
            math.lgamma(trials + 1)
            - math.lgamma(k + 1)
            - math.lgamma(trials - k + 1)
            + k * math.log(chance)
            + (trials - k) * rest
        )
        for k in range(trials + 1)
    ]


def exact(share: float, target: int) -> float:
    """Probability that the cabal has at least as many seats as all others together."""
    bad = round(OPERATORS * share)
    cabal, others = binomial(bad, target / OPERATORS), binomial(OPERATORS - bad, target / OPERATORS)
    at_most = 0.0
    total = 0.0
    for count, chance in enumerate(cabal):
        at_most += others[count]  # probability that the others have at most `count`
        total += chance * at_most
    return total


def drawn(share: float, target: int, draws: int) -> float:
    """The same probability, counted over `draws` committees."""
    bad = round(OPERATORS * share)
    operators = [f"0x{number + 1:040x}" for number in range(OPERATORS)]
    wins = 0
    for number in range(draws):
        seed = hashlib.sha256(number.to_bytes(8, "big")).digest()
        held = [
            seats(31337, SCORING, 1, 0, seed, operator, 10**18, OPERATORS * 10**18, target) for operator in operators
        ]
        wins += sum(held[:bad]) >= sum(held[bad:])
    return wins / draws


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=300, help="simulated committees per K")
    draws = parser.parse_args().draws
    print("| cabal's stake | " + " | ".join(f"K = {target}" for target in SEATS) + " |")
    print("|---" * (len(SEATS) + 1) + "|")
    result: dict[str, float] = {}
    for share in SHARES:
        row = {target: exact(share, target) for target in SEATS}
        print(f"| {share:.0%} | " + " | ".join(f"{chance:.1e}" for chance in row.values()) + " |")
        result |= {f"half_{round(share * 100)}_k{target}": chance for target, chance in row.items()}
    for target in SEATS[:2]:
        counted, chance = drawn(1 / 3, target, draws), exact(1 / 3, target)
        error = math.sqrt(chance * (1 - chance) / draws)
        print(
            f"simulated, a third, K = {target}: {counted:.3f} of {draws} "
            f"(exact {chance:.3f}, standard error {error:.3f})"
        )
        result[f"drawn_33_k{target}"] = counted
    print(json.dumps(result))


if __name__ == "__main__":
    main()
