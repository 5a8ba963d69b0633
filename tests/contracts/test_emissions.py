"""Compares Emissions with `covey.protocol.emissions` after every call of random walks of votes, pushes and endings."""

from __future__ import annotations

import random
from copy import deepcopy
from dataclasses import astuple, replace
from typing import Any

import pytest
from ape.exceptions import ContractLogicError
from eth_utils.crypto import keccak
from tests.support.contracts.system import CVY, DAY, System, contract_named
from tests.support.contracts.task_steps import LOCAL, STAKE, People, Task

from covey.protocol.emissions import ONE, EmissionsConfig, Share, Stream

MINTER_ROLE = 2
STEPS = 40


@pytest.fixture
def emissions(system: System) -> Any:
    governor = system.governor
    parts = (system.manager, system.token, system.staking, system.registry, system.scoring, system.rewards)
    made = governor.deploy(contract_named("Emissions"), *parts)
    mint = keccak(text="mint(address,uint256)")[:4]
    system.manager.setTargetFunctionRole(system.token, [mint], MINTER_ROLE, sender=governor)
    system.manager.grantRole(MINTER_ROLE, made, 0, sender=governor)
    return made


def draw_config(rng: random.Random, allotted: int) -> EmissionsConfig:
    return EmissionsConfig(
        per_day=rng.choice([0, rng.randrange(50_000 * CVY), rng.randrange(10**6)]),
        decay=rng.choice([ONE, ONE * 9 // 10, rng.randrange(ONE * 9 // 10, ONE)]),
        cap=allotted + rng.choice([rng.randrange(1000 * CVY), 10**6 * CVY]),
        task_cap=rng.choice([rng.randrange(3000 * CVY), 10**6 * CVY]),
        quorum=rng.choice([0, rng.randrange(50_000)]) * CVY,
    )


class Walk:
    """A random walk. Every call goes to the contract, and to the model with the timestamp of the block."""

    def __init__(self, rng: random.Random, system: System, chain: Any, people: People, emissions: Any) -> None:
        self.rng, self.system, self.chain, self.people, self.emissions = rng, system, chain, people, emissions
        self.tasks = []
        for _ in range(3):
            room = rng.randrange(20_000 * CVY)
            self.tasks.append(Task(system, chain, people, replace(LOCAL, min_stake=5 * (LOCAL.bounty + room))).id)
        self.voters = people.operators[:3]
        self.mirror = Stream(now=chain.blocks.head.timestamp)
        self.done: dict[str, int] = {}

    def step(self) -> None:
        self.chain.mine(
            timestamp=self.chain.blocks.head.timestamp + self.rng.choice([1, 100, 3600, self.rng.randrange(DAY)])
        )
        kinds = ["configure"] + ["vote"] * 6 + ["push"] * 4 + ["poke"] * 3 + ["drop"] * 2 + ["accrue", "end", "leave"]
        kind = self.rng.choice(kinds)
        try:
            getattr(self, kind)(self.rng.choice(self.voters), self.rng.choice(self.tasks))
        except ContractLogicError:
            return  # refused, and the mirror did not move: the comparison below sees whether that was right
        self.done[kind] = self.done.get(kind, 0) + 1

    def configure(self, _voter: Any, _task: int) -> None:
        config = draw_config(self.rng, self.emissions.streamOf().allotted + 10**6 * CVY // 10)
        receipt = self.emissions.configure(astuple(config), sender=self.system.governor)
        self.mirror.configure(receipt.timestamp, config)

    def vote(self, voter: Any, task: int) -> None:
        weight = self.rng.choice([0, self.rng.randrange(STAKE), self.rng.randrange(3 * STAKE // 2)])
        receipt = self.emissions.vote(voter, task, weight, sender=self.rng.choice([voter, self.people.signer(voter)]))
        self.mirror.vote(receipt.timestamp, str(voter), task, weight)

    def poke(self, voter: Any, task: int) -> None:
        receipt = self.emissions.poke(voter, task, sender=self.people.keeper)
        over = self.system.registry.outcomeOf(task) != 0
        over |= receipt.timestamp >= self.system.registry.scheduleOf(task).expiresAt
        self.mirror.poke(receipt.timestamp, str(voter), task, self.emissions.votingPower(voter), over=over)

    def push(self, _voter: Any, task: int) -> None:
        room = self.system.registry.bountyLimitOf(task)
        escrow = self.system.rewards.escrowOf(task)
        left = self.system.token.MAX_SUPPLY() - self.system.token.totalSupply()
        receipt = self.emissions.push(task, sender=self.people.keeper)
        amount = self.mirror.push(receipt.timestamp, task, room - escrow.bounty - escrow.extra, left)
        assert self.system.rewards.escrowOf(task).extra == escrow.extra + amount

    def drop(self, _voter: Any, task: int) -> None:
        self.mirror.drop(self.emissions.drop(task, sender=self.people.keeper).timestamp, task)

    def accrue(self, _voter: Any, _task: int) -> None:
        self.mirror.accrue(self.emissions.accrue(sender=self.people.keeper).timestamp)

    def end(self, _voter: Any, task: int) -> None:
        if self.rng.randrange(2):
            self.system.registry.cancelTask(task, sender=self.system.creator)

    def leave(self, voter: Any, _task: int) -> None:
        shares = self.system.staking.sharesOf(voter, voter) // 4
        self.system.staking.undelegate(voter, shares, 0, sender=voter)

    def compare(self) -> None:
        """Compare the current state of contract and model. Views accrue up to the timestamp of the head."""
        mirror = deepcopy(self.mirror)
        mirror.accrue(self.chain.blocks.head.timestamp)
        there = self.emissions.streamOf()
        assert (there.totalWeight, there.daily) == (mirror.total_weight, mirror.daily)
        assert (there.allotted, there.minted) == (mirror.allotted, mirror.minted)
        for task in self.tasks:
            share, meant = self.emissions.shareOf(task), mirror.shares.get(task, Share())
            pending = meant.pending + (meant.weight * (mirror.per_weight - meant.seen) >> 72)
            assert (share.weight, share.pending, share.minted, share.generation) == (
                meant.weight,
                pending,
                meant.minted,
                meant.generation,
            )
        for voter in self.voters:
            assert self.emissions.votedOf(voter) == mirror.voted.get(str(voter), 0)


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", [0, *(pytest.param(case, marks=[pytest.mark.long, pytest.mark.ci]) for case in range(1, 4))]
)
def test_random_walk_matches_the_model(system: System, chain: Any, people: People, emissions: Any, case: int) -> None:
    rng = random.Random(f"emissions {case}")
    walk = Walk(rng, system, chain, people, emissions)
    first = EmissionsConfig(10_000 * CVY, ONE * 99 // 100, 10**6 * CVY, 10**6 * CVY)
    walk.mirror.configure(emissions.configure(astuple(first), sender=system.governor).timestamp, first)
    for _ in range(STEPS):
        walk.step()
        walk.compare()
    assert {"vote", "push"} <= walk.done.keys(), "the walk has seen what it is about"
