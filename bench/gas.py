"""Measures the gas of the contracts, and of a plain implementation of the same work.

Transactions run on a local chain with the Prague rules. Total gas is that of the receipts, execution gas that of the
trace: the receipt hides it where the calldata floor of EIP-7623 is higher. The plain implementation (bench/solidity)
stores every score and sorts on chain, and stakes with rewards per share and OpenZeppelin's checkpoints. Its settlement
fits no block, so it is split into transactions of at most 16.7 million gas, whose gas is added up. Both settle the same
1,024 x 51 scores, and both must give the medians and losses of `covey.protocol`.

    python bench/gas.py
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "node"), str(ROOT / "bench")]

from covey.protocol.scores import pack, row_head, unpack_losses  # noqa: E402
from covey.protocol.settlement import RevealedRow, Rules, Settlement, settle  # noqa: E402
from covey.protocol.types import Evaluation, Kind, TaskParams, Windows  # noqa: E402
from gas_chain import CVY, Account, BenchChain, Contract, Cost  # noqa: E402
from gas_report import report  # noqa: E402
from gas_staking import measure_plain_staking, measure_staking  # noqa: E402

ENTRIES, ROWS, SMALL = 1_024, 51, 256
STAKE, BOND = 10_000 * CVY, 100 * CVY
DIGEST, EVIDENCE = b"\x11" * 32, b"\x22" * 32
HOUR = 3_600
RULES = Rules(h=300, tau=1_200, floor=655, power=3)
WINDOWS = Windows(4 * HOUR, HOUR, 4 * HOUR, 0, HOUR, HOUR, 4 * HOUR, 0)
TASK = TaskParams(
    spec_digest=DIGEST, sealed_commitment=bytes(32), kind=Kind.ARENA, evaluation=Evaluation.LOCAL, validator_bps=3_000,
    target_seats=ROWS, floor_score=RULES.floor, h=RULES.h, tau=RULES.tau, power=RULES.power, max_entries=ENTRIES,
    bounty=1_000 * CVY, bond=100 * CVY, entry_fee=0, min_stake=5_000 * CVY, windows=WINDOWS, min_entries=1,
)  # fmt: skip
PART_GAS = 16_700_000
SendArguments = tuple[Account, Contract, str, tuple[Any, ...]]
"""Sender, contract, function and its arguments."""


def draw_rows(entries: int, rows: int) -> list[list[int]]:
    """Honest scores, (rows, entries): a level per entry, and samples of it by each validator; the same in every run."""
    rng = random.Random("gas")
    levels = [rng.randrange(2_000, 22_000) for _ in range(entries)]
    return [[level + rng.randrange(-600, 600) for level in levels] for _ in range(rows)]


def salt(name: str) -> bytes:
    return name.encode().ljust(32, b"\0")


class Task:
    """A task on our contracts, from posting to settlement."""

    def __init__(self, chain: BenchChain, trainers: Sequence[Account], validators: Sequence[Account]) -> None:
        self.chain, self.trainers, self.validators = chain, trainers, validators
        self.registry, self.scoring = chain.ours["TaskRegistry"], chain.ours["Scoring"]
        self.costs: dict[str, list[Cost]] = {}

    def record(self, name: str, cost: Cost) -> Cost:
        self.costs.setdefault(name, []).append(cost)
        return cost

    def open(self) -> None:
        """Advance the task until scores can be committed."""
        from dataclasses import astuple, replace

        chain, registry = self.chain, self.registry
        params = replace(TASK, target_seats=len(self.validators))
        self.record("createTask", chain.send(chain.deployer, registry, "createTask", astuple(params)))
        self.id = registry.call("taskCount")
        schedule = registry.call("scheduleOf", self.id)
        calls: list[SendArguments] = [
            (trainer, registry, "commitEntry", (self.id, trainer.address, self.entry_commitment(trainer), 0))
            for trainer in self.trainers
        ]
        self.send_some("commitEntry", calls)
        chain.warp(schedule[1])
        self.send_some("enrol", [(v, registry, "enrol", (self.id, v.address, STAKE)) for v in self.validators])
        chain.warp(schedule[2])
        entry = DIGEST, salt("entry")
        calls = [(t, registry, "revealEntry", (self.id, t.address, *entry)) for t in self.trainers]
        self.send_some("revealEntry", calls)
        chain.warp(schedule[3])
        self.record("requestSeed", chain.send(chain.keeper, self.scoring, "requestSeed", self.id))
        target = chain.round_of(self.id)["target"]
        chain.mine_past(target)
        self.record("fixSeed", chain.send(chain.keeper, self.scoring, "fixSeed", self.id, chain.header(target)))

    def send_some(self, name: str, calls: list[SendArguments]) -> None:
        """Send the first two alone and measure them; send the others many per block."""
        for sender, contract, function, arguments in calls[:2]:
            self.record(name, self.chain.send(sender, contract, function, *arguments))
        self.chain.send_many(calls[2:])

    def entry_commitment(self, trainer: Account) -> bytes:
        from covey.protocol.commitments import entry_commitment

        return entry_commitment(
            self.chain.chain_id, self.registry.address, self.id, trainer.address, DIGEST, salt("entry")
        )

    def score(self, rows: Sequence[Sequence[int]]) -> None:
        """Commit and reveal all rows."""
        from covey.protocol.commitments import score_commitment

        chain = self.chain
        for validator, row in zip(self.validators, rows, strict=True):
            commitment = score_commitment(
                chain.chain_id, self.scoring.address, self.id, 0, validator.address, pack(row), EVIDENCE, salt("row")
            )
            cost = chain.send(validator, self.scoring, "commitScores", self.id, validator.address, commitment)
            self.record("commitScores", cost)
        chain.warp(chain.round_of(self.id)["scoreCommitEnd"])
        for validator, row in zip(self.validators, rows, strict=True):
            arguments = (self.id, validator.address, pack(row), EVIDENCE, salt("row"))
            self.record("revealScores", chain.send(validator, self.scoring, "revealScores", *arguments))

    def settle(self, rows: Sequence[Sequence[int]]) -> Cost:
        """Settle in one transaction, and compare the result with the rules in Python."""
        heads = [row_head(validator.address, 1) for validator in self.validators]
        mirror = settle([RevealedRow(v.address, 1, r) for v, r in zip(self.validators, rows, strict=True)], RULES)
        words = [word for row in rows for word in pack(row)]
        arguments = (self.id, 0, heads, mirror.median_words, words)
        cost = self.chain.send(self.chain.keeper, self.scoring, "settlePage", *arguments)
        weights, gain_seats, spread = self.scoring.call("totalsOf", self.id)[:3]
        check([weights, gain_seats, spread] == [mirror.total_weights, mirror.gain_seats, mirror.spread], "our totals")
        check(self.scoring.call("pageRootOf", self.id, 0) == mirror.pages[0].root, "our medians")
        return self.record("settlePage", cost)


def plain_task(chain: BenchChain, staking: Contract, validators: Sequence[Account], rows: Sequence[Sequence[int]],
               mirror: Settlement) -> dict[str, list[Cost]]:  # fmt: skip
    """The same rows in the plain implementation: stored, then settled in parts."""
    terms = (len(rows[0]), RULES.h, RULES.tau, RULES.floor, RULES.power, 300 * CVY)
    contract = chain.deploy("PlainScoring", staking.address, terms, [v.address for v in validators], 1)
    chain.send(chain.deployer, staking, "setDuty", contract.address, True)
    chain.send(chain.deployer, chain.ours["CoveyToken"], "transfer", contract.address, 1_000 * CVY)
    costs: dict[str, list[Cost]] = {"commitScores": [], "revealScores": [], "settle": []}
    for validator, row in zip(validators, rows, strict=True):
        from covey.protocol.abi import hash_of
        from covey.protocol.commitments import words_hash

        commitment = hash_of(validator.address, words_hash(pack(row)), salt("row"))
        costs["commitScores"].append(chain.send(validator, contract, "commitScores", commitment))
    for validator, row in zip(validators, rows, strict=True):
        costs["revealScores"].append(chain.send(validator, contract, "revealScores", pack(row), salt("row")))
    if len(rows) < ROWS:
        return costs
    words = len(pack(rows[0]))
    for start, end in parts(words, lambda end: chain.estimate(chain.keeper, contract, "settle", end) <= PART_GAS):
        check(start < end, "the size of a part")
        costs["settle"].append(chain.send(chain.keeper, contract, "settle", end, trace=False))
    medians = [contract.call("medians", word) for word in range(words)]
    check(medians == mirror.median_words, "the plain medians")
    losses = unpack_losses([contract.call_slot_losses(i) for i in range(-(-len(rows) // 8))], len(rows))
    check(losses == mirror.losses, "the plain losses")
    check(contract.call("totals")[0] == mirror.total_weights, "the plain weights")
    costs["claimScoring"] = [chain.send(chain.keeper, contract, "claim", validators[0].address)]
    costs["claimScoring"].append(chain.send(chain.keeper, contract, "claim", validators[1].address))
    return costs


def parts(words: int, fits: Any) -> Iterator[tuple[int, int]]:
    """Split the words into runs, each the longest that fits."""
    start = 0
    length = 4
    while start < words:
        while length > 1 and not fits(min(words, start + length)):
            length -= 1
        yield start, min(words, start + length)
        start += length


def check(correct: bool, what: str) -> None:
    if not correct:
        sys.exit(f"error: wrong: {what}")


def measure(chain: BenchChain) -> dict[str, dict[str, list[Cost]]]:
    """Costs by side and operation."""
    trainers = chain.operators("trainer", ENTRIES, BOND)
    validators = chain.operators("validator", ROWS, 2 * STAKE)
    rows = draw_rows(ENTRIES, ROWS)
    mirror = settle([RevealedRow(v.address, 1, r) for v, r in zip(validators, rows, strict=True)], RULES)
    ours: dict[str, list[Cost]] = {}
    small = Task(chain, trainers[:SMALL], validators[:3])
    small.open()
    small.score([row[:SMALL] for row in rows[:3]])
    ours |= {f"{name}, 256 entries": costs for name, costs in small.costs.items() if name == "revealScores"}
    large = Task(chain, trainers, validators)
    large.open()
    large.score(rows)
    large.settle(rows)
    chain.send(chain.keeper, large.scoring, "finalise", large.id)
    rewards = chain.ours["Rewards"]
    large.costs["claimScoring"] = [
        chain.send(chain.keeper, rewards, "claimScoring", large.id, v.address) for v in validators[:4]
    ]
    ours |= large.costs
    ours |= measure_staking(chain, validators)
    plain_staking, plain = measure_plain_staking(chain, validators)
    tasks = plain_task(chain, plain_staking, validators[:3], [row[:SMALL] for row in rows[:3]], mirror)
    plain["revealScores, 256 entries"] = tasks["revealScores"]
    plain |= plain_task(chain, plain_staking, validators, rows, mirror)
    return {"ours": ours, "plain": plain}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, BenchChain(Path(folder)) as chain:
        costs = measure(chain)
    print(json.dumps(report(costs["ours"], costs["plain"], ENTRIES * ROWS)))


if __name__ == "__main__":
    main()
