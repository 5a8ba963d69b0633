"""How often a cabal holds half of a committee's seats, exactly and by drawing committees.

Usage: python bench/committee.py [--draws 2000]

Stake lies with 1,000 equal operators, so that each holds a seat with probability K / 1000 and nobody more than one;
fewer and larger operators have seats nearer to their share, so this is the cabal's best case. Half of the seats pulls
a lower median down, more than half moves it anywhere. Exactly: the cabal's and the others' seats are two binomials,
and the cabal decides where its number is at least the others'. Drawn: seats as the contracts give them
(`covey.protocol.seats`), with a seed per committee.

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
    """Probability that the cabal has at least as many seats as everybody else together."""
    bad = round(OPERATORS * share)
    cabal, others = binomial(bad, target / OPERATORS), binomial(OPERATORS - bad, target / OPERATORS)
    at_most = 0.0
    total = 0.0
    for count, chance in enumerate(cabal):
        at_most += others[count]  # the others, who are more, hold at most `count`
        total += chance * at_most
    return total


def drawn(share: float, target: int, draws: int) -> float:
    """The same, counted over committees that the contracts' rule draws."""
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
    parser.add_argument("--draws", type=int, default=300, help="committees drawn for the check of a K")
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
            f"drawn, a third, K = {target}: {counted:.3f} of {draws} (exactly {chance:.3f}, standard error {error:.3f})"
        )
        result[f"drawn_33_k{target}"] = counted
    print(json.dumps(result))


if __name__ == "__main__":
    main()
