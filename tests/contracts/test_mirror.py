"""Compares the contracts with `covey.protocol` on random tasks: seats, medians, losses, gains, weights and payouts."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from eth_utils.crypto import keccak
from tests.support.contracts.system import CVY, STAKE_MULTIPLE, TIP, System
from tests.support.contracts.task_steps import LOCAL, STAKE, People, Task

from covey.protocol.merkle import proof
from covey.protocol.payouts import bond_left, entry_fee, payouts, split
from covey.protocol.scores import pack, page_words
from covey.protocol.seats import seats
from covey.protocol.settlement import RevealedRow, Rules, quorum, settle
from covey.protocol.types import Outcome, TaskParams


def draw_params(rng: random.Random) -> TaskParams:
    bounty = rng.randrange(10 * CVY, 1000 * CVY)
    return replace(
        LOCAL,
        validator_bps=rng.randrange(500, 10_000),
        target_seats=rng.choice([9, 10, 21, 101]),
        floor_score=rng.choice([1, 655, 5_000]),
        h=rng.choice([0, 50, 300, 8_000]),
        tau=rng.choice([1, 500, 4_095]),
        power=rng.randrange(1, 4),
        max_entries=rng.randrange(3, 100),
        bounty=bounty,
        min_stake=STAKE_MULTIPLE * bounty // 10_000 + 1,
        entry_fee=rng.randrange(5 * CVY),
    )


def draw_rows(rng: random.Random, validators: list[Any], entries: int) -> dict[Any, list[int]]:
    """Return scores near each entry's true score, with occasional extreme or random ones."""
    centres = [rng.choice([0, 1, rng.randrange(2, 0x8000), rng.randrange(2, 0x8000)]) for _ in range(entries)]

    def draw(centre: int) -> int:
        kind = rng.randrange(8)
        if kind == 0:
            return rng.randrange(0x8000)
        if kind == 1:
            return rng.choice([0, 1, 2, 0x7FFF])
        return centre if centre < 2 else min(0x7FFF, max(0, centre + rng.randrange(-900, 900)))

    return {validator: [draw(centre) for centre in centres] for validator in validators}


@pytest.mark.parametrize("case", range(8))
def test_random_task_matches_the_protocol(system: System, chain: Any, people: People, case: int) -> None:
    rng = random.Random(f"mirror {case}")
    params = draw_params(rng)
    trainers = people.operators[: rng.randrange(1, 4)]
    validators = people.operators[len(trainers) :]
    stakes = [rng.randrange(2000 * CVY, STAKE) for _ in validators]
    task = Task(system, chain, people, params)
    task.fill(trainers, validators, stakes)
    task.draw_seed()

    # Seats.
    seed = bytes(task.round().seed)
    expected = {
        validator: seats(
            chain.chain_id,
            str(system.scoring),
            task.id,
            0,
            seed,
            str(validator),
            stake,
            sum(stakes),
            params.target_seats,
        )
        for validator, stake in zip(validators, stakes, strict=True)
    }
    assert {validator: system.scoring.seatsOf(task.id, validator) for validator in validators} == expected

    # Scores, of which one row may stay hidden.
    seated = [validator for validator in validators if expected[validator]]
    rows = draw_rows(rng, seated, len(trainers))
    for validator, scores in rows.items():
        task.commit_scores(validator, scores)
    hidden = rng.choice([*seated, None, None])
    task.warp(task.round().scoreCommitEnd)
    order = [validator for validator in seated if validator is not hidden]
    rng.shuffle(order)
    rows = {validator: rows[validator] for validator in order}
    for validator, scores in rows.items():
        task.reveal_scores(validator, scores)
    task.warp(task.round().scoreRevealEnd)
    fees = sum(entry_fee(params.entry_fee, n, params.max_entries) for n in range(len(trainers)))
    revealed_seats = sum(expected[validator] for validator in rows)
    committed_seats = sum(expected[validator] for validator in seated)

    reached = quorum(revealed_seats, committed_seats, params.target_seats)
    assert task.round().missed != reached
    void = False
    if reached:
        mirror = settle(
            [RevealedRow(str(validator), expected[validator], scores) for validator, scores in rows.items()],
            Rules(params.h, params.tau, params.floor_score, params.power),
            page_words(len(seated)),
        )
        task.settle(rows)
        void = mirror.is_void
        assert system.scoring.hasVoidRound(task.id) == system.scoring.roundAt(task.id, 0).isVoid == void
    else:
        system.scoring.failRound(task.id, sender=people.keeper)
    if void or not reached:
        # The second committee does nothing.
        assert system.scoring.roundOf(task.id).number == 1
        task.draw_seed()
        task.warp(task.round().scoreCommitEnd)
        system.scoring.failRound(task.id, sender=people.keeper)
        left = bond_left(params.bond, TIP, 6)
        pools = split(Outcome.FAILED, params.bounty, left, fees, params.validator_bps, has_void_round=void)
        assert system.rewards.owedTo(system.creator) == pools.to_creator
        assert system.rewards.owedTo(system.treasury) == pools.to_treasury
        assert system.rewards.escrowOf(task.id).remaining == (0 if void else fees)
        return

    # Settlement.
    task.finalise()
    totals = system.scoring.totalsOf(task.id)
    assert list(totals) == [mirror.total_weights, mirror.gain_seats, mirror.spread, True]
    assert [system.scoring.pageRootOf(task.id, page) for page in range(len(mirror.pages))] == [
        page.root for page in mirror.pages
    ]
    assert [system.scoring.lossOf(task.id, index) for index in range(len(rows))] == mirror.losses
    assert [system.scoring.gainOf(task.id, validator) for validator in rows] == mirror.gains

    # Payouts.
    pools = split(
        Outcome.PAID,
        params.bounty,
        bond_left(params.bond, TIP, 4),
        fees,
        params.validator_bps,
        mirror.total_weights,
        mirror.gain_seats,
    )
    escrow = system.rewards.escrowOf(task.id)
    assert (escrow.trainersPool, escrow.validatorsPool, escrow.flat) == (pools.trainers, pools.validators, pools.flat)
    assert system.rewards.owedTo(system.creator) == pools.to_creator
    assert system.rewards.owedTo(system.treasury) == pools.to_treasury
    due = payouts(
        pools,
        [str(trainer) for trainer in trainers],
        mirror.weights,
        {str(validator): (expected[validator], gain) for validator, gain in zip(rows, mirror.gains, strict=True)},
    )
    words = pack(mirror.medians)
    for lane, trainer in enumerate(trainers):
        assert system.rewards.entryReward(task.id, mirror.medians[lane]) == due.entries[str(trainer)]
        if due.entries[str(trainer)]:
            receipt = system.rewards.claimEntry(task.id, lane, words[0], proof(words, 0), sender=people.keeper)
            (claimed,) = receipt.decode_logs(system.rewards.EntryRewardClaimed)
            assert (claimed.operator, claimed.amount) == (trainer, due.entries[str(trainer)])
    for validator in rows:
        assert system.rewards.scoringReward(task.id, validator) == due.scoring[str(validator)]
        if due.scoring[str(validator)]:
            system.rewards.claimScoring(task.id, validator, sender=people.keeper)
    left = system.rewards.escrowOf(task.id).remaining
    assert left == pools.trainers + pools.validators - sum(due.entries.values()) - sum(due.scoring.values())
    assert left <= len(trainers) + len(rows)


def test_task_with_two_pages_matches_the_protocol(system: System, chain: Any, people: People) -> None:
    """A task of 1,100 entries. The number of entries that Scoring copied is overwritten before the seed is fixed."""
    rng = random.Random("wide")
    params = replace(LOCAL, power=3, tau=4_095)
    trainers, validators = people.operators[:1], people.operators[1:]
    task = Task(system, chain, people, params)
    task.fill(trainers, validators)
    target = task.request_seed()
    # Rounds are the first mapping of Scoring; `entries` lies in a round's first slot, above 40 + 40 + 8 bits.
    slot = keccak(task.id.to_bytes(32, "big") + bytes(32))
    stored = int.from_bytes(chain.provider.get_storage(system.scoring.address, int.from_bytes(slot, "big")), "big")
    assert stored >> 88 & 0xFFFF == 1
    stored += 1_099 << 88
    chain.provider.set_storage(system.scoring.address, int.from_bytes(slot, "big"), stored.to_bytes(32, "big"))
    task.fix_seed(target)

    rows = draw_rows(rng, validators, 1_100)
    task.score(rows)
    assert (task.round().pageWords, task.round().pages) == (64, 2)
    task.settle(rows)
    mirror = settle(
        [RevealedRow(str(v), system.scoring.seatsOf(task.id, v), scores) for v, scores in rows.items()],
        Rules(params.h, params.tau, params.floor_score, params.power),
    )
    assert list(system.scoring.totalsOf(task.id)) == [mirror.total_weights, mirror.gain_seats, mirror.spread, True]
    assert [system.scoring.pageRootOf(task.id, page) for page in (0, 1)] == [page.root for page in mirror.pages]
    assert [system.scoring.lossOf(task.id, index) for index in range(len(rows))] == mirror.losses
    words = mirror.median_words
    for index in (0, 63, 64, 68):
        page, place = divmod(index, 64)
        siblings = proof(words[64 * page :][:64], place)
        assert system.scoring.verifyMedianWord(task.id, index, words[index], siblings)
        assert not system.scoring.verifyMedianWord(task.id, index ^ 1, words[index], siblings)
