"""Whole tasks on anvil, with final balances that are computed by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import ape
from tests.support.contracts.system import CVY, TIP, System
from tests.support.contracts.task_steps import LOCAL, STAKE, People, Task

from covey.protocol.merkle import proof
from covey.protocol.scores import pack
from covey.protocol.types import Outcome


def test_paid_task_until_the_last_claim(system: System, chain: Any, people: People) -> None:
    trainers, validators = people.operators[:3], people.operators[3:]
    task = Task(system, chain, people, replace(LOCAL, entry_fee=64 * CVY))
    escrow = system.rewards.address
    task.fill(trainers, validators)
    # Fees of 64, 67 and 70.
    assert system.token.balanceOf(escrow) == (1000 + 100 + 64 + 67 + 70) * CVY
    task.draw_seed()
    # Two honest validators; the third gives everyone the same. The third entry is useless.
    rows = {
        validators[0]: [10_655, 5_655, 0],
        validators[1]: [10_755, 5_555, 1],
        validators[2]: [7_000, 7_000, 7_000],
    }
    task.score(rows)
    task.settle(rows)
    task.finalise()
    assert task.outcome() == Outcome.PAID
    medians = [10_655, 5_655, 1]
    words = pack(medians)

    # G: two useful medians, far apart both ways, so 2 tau. The lazy row loses tau on each entry.
    assert list(system.scoring.totalsOf(task.id)) == [10_000**2 + 5_000**2, 2 * 7 * 2400, 2400, True]
    assert [system.scoring.gainOf(task.id, validator) for validator in validators] == [2400, 2400, 0]

    # Five steps were tipped: request, seed, one page, finalise - and nothing else.
    assert system.rewards.owedTo(people.keeper) == 4 * TIP
    assert system.rewards.owedTo(system.creator) == 100 * CVY - 4 * TIP
    assert system.rewards.owedTo(system.treasury) == 0

    # Trainers: 700 by weights 4 to 1. Validators: 300 and the fees, in halves.
    trainers_pool, validators_pool = 700 * CVY, (300 + 64 + 67 + 70) * CVY
    claims = {0: trainers_pool * 4 // 5, 1: trainers_pool // 5}
    for lane, amount in claims.items():
        assert system.rewards.entryReward(task.id, medians[lane]) == amount
        receipt = system.rewards.claimEntry(task.id, lane, words[0], proof(words, 0), sender=people.keeper)
        (claimed,) = receipt.decode_logs(system.rewards.EntryRewardClaimed)
        assert (claimed.operator, claimed.amount, claimed.median) == (trainers[lane], amount, medians[lane])
        with ape.reverts(system.rewards.RewardsAlreadyClaimed):
            system.rewards.claimEntry(task.id, lane, words[0], proof(words, 0), sender=people.keeper)
    with ape.reverts(system.rewards.RewardsNothingToClaim):
        system.rewards.claimEntry(task.id, 2, words[0], proof(words, 0), sender=people.keeper)
    for validator in validators[:2]:
        receipt = system.rewards.claimScoring(task.id, validator, sender=people.keeper)
        (scored,) = receipt.decode_logs(system.rewards.ScoringRewardClaimed)
        assert (scored.seats, scored.gain, scored.amount) == (7, 2400, validators_pool // 2)
    with ape.reverts(system.rewards.RewardsNothingToClaim):
        system.rewards.claimScoring(task.id, validators[2], sender=people.keeper)

    for account in (people.keeper, system.creator):
        system.rewards.withdraw(account, sender=people.keeper)
    assert system.token.balanceOf(escrow) == 0
    for validator in validators:
        assert system.staking.poolOf(validator).earmarked == STAKE
        system.registry.releaseEarmark(task.id, validator, sender=people.keeper)
        assert system.staking.poolOf(validator).earmarked == 0


def test_without_gains_a_quarter_is_paid_by_seats(system: System, chain: Any, people: People) -> None:
    trainers, validators = people.operators[:2], people.operators[3:]
    task = Task(system, chain, people, replace(LOCAL, entry_fee=0))
    task.fill(trainers, validators)
    task.draw_seed()
    rows = {validator: [8_000, 8_100] for validator in validators}
    task.score(rows)
    task.settle(rows)
    task.finalise()
    assert system.scoring.totalsOf(task.id).spread == 0
    for validator in validators:
        receipt = system.rewards.claimScoring(task.id, validator, sender=people.keeper)
        (scored,) = receipt.decode_logs(system.rewards.ScoringRewardClaimed)
        assert (scored.gain, scored.amount) == (0, 25 * CVY)
    assert system.rewards.owedTo(system.treasury) == 225 * CVY


def test_half_of_the_trainers_pool_is_returned_without_weight(system: System, chain: Any, people: People) -> None:
    trainers, validators = people.operators[:2], people.operators[3:]
    task = Task(system, chain, people, replace(LOCAL, entry_fee=0))
    task.fill(trainers, validators)
    task.draw_seed()
    rows = {validator: [655, 1] for validator in validators}
    task.score(rows)
    task.settle(rows)
    task.finalise()
    assert system.scoring.totalsOf(task.id).weights == 0
    assert system.rewards.owedTo(system.creator) == 350 * CVY + 100 * CVY - 4 * TIP
    assert system.rewards.owedTo(system.treasury) == 350 * CVY + 225 * CVY
