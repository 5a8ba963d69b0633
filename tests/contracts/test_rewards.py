"""Rewards: the tokens of a task from posting to the last claim, for every ending, and every revert."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import ape
import pytest
from tests.support.contracts.system import CVY, TIP, System, contract_named
from tests.support.contracts.task_steps import LOCAL, STAKE, People, Task, sealed

from covey.protocol.merkle import proof
from covey.protocol.payouts import entry_fee, payouts, split
from covey.protocol.settlement import RevealedRow, Rules, Settlement, settle
from covey.protocol.types import Outcome, TaskParams

ZERO = "0x" + "00" * 20
NO_PROOF = [bytes(32)] * 6
FEES = [entry_fee(LOCAL.entry_fee, n, LOCAL.max_entries) for n in range(3)]


@pytest.fixture
def trainers(people: People) -> list[Any]:
    return people.operators[:3]


@pytest.fixture
def validators(people: People) -> list[Any]:
    return people.operators[3:5]


def logs(receipt: Any, kind: Any) -> list[dict[str, Any]]:
    return [dict(log.event_arguments) for log in receipt.decode_logs(kind)]


def name(text: str) -> bytes:
    """Return a bytes32 of left-aligned ASCII."""
    return text.encode().ljust(32, b"\0")


def held(system: System, task: Task, accounts: Any) -> int:
    """Return the balance that Rewards must hold: the escrow of the task and all credits."""
    escrow = system.rewards.escrowOf(task.id)
    owed = sum(system.rewards.owedTo(account) for account in accounts)
    return int(owed + (escrow.remaining if escrow.closed else escrow.bounty + escrow.bond + escrow.fees))


@dataclass(frozen=True)
class Paid:
    task: Task
    entrants: list[Any]
    rows: dict[Any, list[int]]
    expected: Settlement
    finalised: Any


@pytest.fixture
def pay(system: System, chain: Any, people: People, trainers: list[Any], validators: list[Any]) -> Any:
    """pay(scores): run a task to its end. `scores` has a row per validator, unused for those without a seat."""

    def run(*scores: list[int], **fields: Any) -> Paid:
        params: TaskParams = replace(LOCAL, **fields)
        task = Task(system, chain, people, params)
        task.fill(trainers, validators)
        task.draw_seed()
        rows = dict(zip(validators, scores, strict=True))
        task.score(rows)
        task.settle(rows)
        finalised = task.finalise()
        revealed = [RevealedRow(str(v), system.scoring.rowOf(task.id, v).seats, row) for v, row in rows.items()]
        rules = Rules(params.h, params.tau, params.floor_score, params.power)
        return Paid(task, trainers, rows, settle(revealed, rules), finalised)

    return run


# ---------------------------------------------------------------------- paid


def test_paid_task_until_its_last_claim(
    system: System, people: People, trainers: list[Any], validators: list[Any], pay: Any, accounts: Any
) -> None:
    rewards, staking = system.rewards, system.staking
    paid = pay([5000, 1, 9000], [5100, 1, 8800])
    task, params, expected = paid.task, paid.task.params, paid.expected
    assert logs(task.receipt, rewards.TaskFunded) == [
        {"taskId": task.id, "creator": system.creator, "bounty": params.bounty, "bond": params.bond}
    ]

    # What everyone is due, from what the chain says about tips and from the rules.
    tips = sum(rewards.owedTo(account) for account in accounts if account != system.creator)
    assert tips % TIP == 0
    assert tips >= 4 * TIP
    pools = split(
        Outcome.PAID,
        params.bounty,
        params.bond - tips,
        sum(FEES),
        params.validator_bps,
        expected.total_weights,
        expected.gain_seats,
    )
    assert logs(paid.finalised, rewards.EscrowClosed) == [
        {
            "taskId": task.id,
            "outcome": Outcome.PAID,
            "trainersPool": pools.trainers,
            "validatorsPool": pools.validators,
            "toCreator": pools.to_creator,
            "toTreasury": 0,
        }
    ]
    assert logs(paid.finalised, rewards.Credited) == [
        {"account": system.creator, "amount": pools.to_creator, "reason": name("creator")}
    ]
    assert logs(paid.finalised, rewards.TipPaid)[-1] == {"taskId": task.id, "to": people.keeper, "amount": TIP}
    escrow = rewards.escrowOf(task.id)
    assert (escrow.trainersPool, escrow.validatorsPool) == (pools.trainers, pools.validators)
    assert (escrow.weights, escrow.scoringUnits) == (expected.total_weights, expected.gain_seats)
    assert (escrow.closed, escrow.flat, escrow.outcome) == (True, False, Outcome.PAID)
    assert system.token.balanceOf(rewards) == held(system, task, accounts)

    seats = {
        str(v): (system.scoring.rowOf(task.id, v).seats, g) for v, g in zip(validators, expected.gains, strict=True)
    }
    due = payouts(pools, [str(t) for t in trainers], expected.weights, seats)
    word, siblings = expected.median_words[0], proof(expected.median_words, 0)
    for lane, trainer in enumerate(trainers):
        amount = due.entries[str(trainer)]
        assert rewards.entryReward(task.id, expected.medians[lane]) == amount
        if amount == 0:
            inputs = {"taskId": task.id, "operator": trainer.address}
            with ape.reverts(rewards.RewardsNothingToClaim, error_inputs=inputs):
                rewards.claimEntry(task.id, lane, word, siblings, sender=people.keeper)
            continue
        receipt = rewards.claimEntry(task.id, lane, word, siblings, sender=people.keeper)
        assert logs(receipt, rewards.EntryRewardClaimed) == [
            {
                "taskId": task.id,
                "operator": trainer,
                "lane": lane,
                "median": expected.medians[lane],
                "amount": amount,
            }
        ]
        assert logs(receipt, staking.RewardAdded)[0]["amount"] == amount
        assert rewards.entryClaimed(task.id, lane)
        with ape.reverts(rewards.RewardsAlreadyClaimed, error_inputs={"taskId": task.id, "id": lane}):
            rewards.claimEntry(task.id, lane, word, siblings, sender=people.keeper)
    assert due.entries[str(trainers[1])] == 0
    for validator in validators:
        amount, (own, gain) = due.scoring[str(validator)], seats[str(validator)]
        assert rewards.scoringReward(task.id, validator) == amount > 0
        receipt = rewards.claimScoring(task.id, validator, sender=people.keeper)
        assert logs(receipt, rewards.ScoringRewardClaimed) == [
            {"taskId": task.id, "operator": validator, "seats": own, "gain": gain, "amount": amount}
        ]
        assert rewards.scoringClaimed(task.id, validator)
        inputs = {"taskId": task.id, "id": int(validator.address, 16)}
        with ape.reverts(rewards.RewardsAlreadyClaimed, error_inputs=inputs):
            rewards.claimScoring(task.id, validator, sender=people.keeper)

    receipt = rewards.withdraw(system.creator, sender=people.keeper)
    assert logs(receipt, rewards.CreditWithdrawn) == [{"account": system.creator, "amount": pools.to_creator}]
    assert system.token.balanceOf(system.creator) == pools.to_creator
    with ape.reverts(rewards.RewardsNothingOwed, error_inputs={"account": system.creator.address}):
        rewards.withdraw(system.creator, sender=people.keeper)
    rewards.withdraw(people.keeper, sender=people.keeper)
    # What rounding left, at most a wei a claim.
    left = pools.trainers + pools.validators - sum(due.entries.values()) - sum(due.scoring.values())
    assert system.token.balanceOf(rewards) == rewards.escrowOf(task.id).remaining == left <= 5
    assert system.token.allowance(rewards, staking) == 2**256 - 1, "Staking takes only what it is given"


def test_task_without_weight_or_gain(
    system: System, validators: list[Any], people: People, pay: Any, accounts: Any
) -> None:
    rewards = system.rewards
    paid = pay([600, 1, 0], [600, 1, 0])  # nothing above the floor, no two useful entries to tell apart
    task, params = paid.task, paid.task.params
    pool = params.bounty * params.validator_bps // 10_000 + sum(FEES)
    (closed,) = logs(paid.finalised, rewards.EscrowClosed)
    assert (closed["trainersPool"], closed["validatorsPool"]) == (0, pool // 4)
    half = params.bounty * 7 // 20
    assert closed["toTreasury"] == half + pool - pool // 4 == rewards.owedTo(system.treasury)
    assert closed["toCreator"] == half + rewards.escrowOf(task.id).bond + params.bond - sum(
        rewards.owedTo(account) for account in accounts if account not in (system.creator, system.treasury)
    )
    assert rewards.escrowOf(task.id).flat
    revealed = task.round().revealedSeats
    for validator in validators:
        seats = system.scoring.rowOf(task.id, validator).seats
        receipt = rewards.claimScoring(task.id, validator, sender=people.keeper)
        (claimed,) = logs(receipt, rewards.ScoringRewardClaimed)
        assert (claimed["gain"], claimed["amount"]) == (0, pool // 4 * seats // revealed)
    word, siblings = paid.expected.median_words[0], proof(paid.expected.median_words, 0)
    with ape.reverts(rewards.RewardsNothingToClaim):
        rewards.claimEntry(task.id, 0, word, siblings, sender=people.keeper)
    assert system.token.balanceOf(rewards) == held(system, task, accounts)


def test_invalid_claims_on_a_paid_task_revert(system: System, people: People, trainers: list[Any], pay: Any) -> None:
    rewards, keeper = system.rewards, people.keeper
    paid = pay([5000, 1, 9000], [5100, 1, 8800])
    task = paid.task.id
    word, siblings = paid.expected.median_words[0], proof(paid.expected.median_words, 0)
    with ape.reverts(rewards.RewardsBadProof, error_inputs={"taskId": task, "lane": 0}):
        rewards.claimEntry(task, 0, word + 2**240, siblings, sender=keeper)
    with ape.reverts(rewards.RewardsBadProof, error_inputs={"taskId": task, "lane": 0}):
        rewards.claimEntry(task, 0, word, siblings[::-1], sender=keeper)
    with ape.reverts(rewards.RewardsUnknownLane, error_inputs={"taskId": task, "lane": 3}):
        rewards.claimEntry(task, 3, word, siblings, sender=keeper)
    for nobody in (trainers[0], keeper):  # a trainer, a stranger
        inputs = {"taskId": task, "operator": nobody.address}
        with ape.reverts(rewards.RewardsNothingToClaim, error_inputs=inputs):
            rewards.claimScoring(task, nobody, sender=keeper)
    with ape.reverts(rewards.RewardsNotRefunded, error_inputs={"taskId": task}):
        rewards.claimFee(task, trainers[0], sender=keeper)


# ---------------------------------------------------------------------- refunded and failed


def test_cancelled_task_is_refunded(system: System, chain: Any, people: People, accounts: Any) -> None:
    task = Task(system, chain, people)
    receipt = system.registry.cancelTask(task.id, sender=system.creator)
    (closed,) = logs(receipt, system.rewards.EscrowClosed)
    assert (closed["outcome"], closed["toTreasury"]) == (Outcome.REFUNDED, 0)
    assert closed["toCreator"] == system.rewards.owedTo(system.creator) == LOCAL.bounty + LOCAL.bond
    assert system.token.balanceOf(system.rewards) == held(system, task, accounts)


def test_fees_of_a_refunded_task_are_returned(
    system: System, chain: Any, people: People, trainers: list[Any], validators: list[Any], accounts: Any
) -> None:
    rewards = system.rewards
    task = Task(system, chain, people)
    for trainer, fee in zip(trainers, FEES, strict=True):
        paid = {"taskId": task.id, "operator": trainer, "payer": people.signer(trainer), "amount": fee}
        assert logs(task.commit_entry(trainer), rewards.FeePaid) == [paid]
    assert rewards.escrowOf(task.id).fees == sum(FEES)
    for claim in (
        lambda: rewards.claimEntry(task.id, 0, 0, NO_PROOF, sender=people.keeper),
        lambda: rewards.claimScoring(task.id, validators[0], sender=people.keeper),
    ):
        with ape.reverts(rewards.RewardsNotPaid, error_inputs={"taskId": task.id}):
            claim()
    with ape.reverts(rewards.RewardsNotRefunded, error_inputs={"taskId": task.id}):
        rewards.claimFee(task.id, trainers[0], sender=people.keeper)

    task.warp(task.schedule.enrolEnd)  # nobody enrolled
    receipt = system.registry.closeTask(task.id, sender=people.keeper)
    (closed,) = logs(receipt, rewards.EscrowClosed)
    assert (closed["outcome"], closed["toCreator"]) == (Outcome.REFUNDED, LOCAL.bounty + LOCAL.bond - TIP)
    assert rewards.owedTo(people.keeper) == TIP
    refund_fees(system, people, task, trainers, accounts)


def refund_fees(system: System, people: People, task: Task, trainers: list[Any], accounts: Any) -> None:
    rewards = system.rewards
    assert system.token.balanceOf(rewards) == held(system, task, accounts)
    for trainer, fee in zip(trainers, FEES, strict=True):
        before = rewards.owedTo(trainer)
        receipt = rewards.claimFee(task.id, trainer, sender=people.keeper)
        back = {"taskId": task.id, "operator": trainer, "to": trainer, "amount": fee}
        assert logs(receipt, rewards.FeeRefunded) == [back]
        assert logs(receipt, rewards.Credited) == [{"account": trainer, "amount": fee, "reason": name("fee")}]
        assert rewards.owedTo(trainer) == before + fee
        assert rewards.feeClaimed(task.id, trainer)
        inputs = {"taskId": task.id, "id": int(trainer.address, 16)}
        with ape.reverts(rewards.RewardsAlreadyClaimed, error_inputs=inputs):
            rewards.claimFee(task.id, trainer, sender=people.keeper)
    inputs = {"taskId": task.id, "operator": people.keeper.address}
    with ape.reverts(rewards.RewardsNothingToClaim, error_inputs=inputs):
        rewards.claimFee(task.id, people.keeper, sender=people.keeper)
    assert rewards.escrowOf(task.id).remaining == 0
    for account in accounts:
        if rewards.owedTo(account):
            rewards.withdraw(account, sender=people.keeper)
    assert system.token.balanceOf(rewards) == 0


def test_task_with_unopened_sealed_set_fails(
    system: System, chain: Any, people: People, trainers: list[Any], validators: list[Any], accounts: Any
) -> None:
    rewards = system.rewards
    params = replace(sealed(system, chain.chain_id), bounty=LOCAL.bounty - 1)  # odd
    task = Task(system, chain, people, params)
    for trainer in trainers:
        task.commit_entry(trainer)
    task.warp(task.schedule.entryCommitEnd)
    for validator in validators:
        task.enrol(validator, STAKE)
    task.warp(task.schedule.enrolEnd)
    for trainer in trainers:
        task.reveal_entry(trainer)
    task.warp(task.schedule.openEnd)
    receipt = system.registry.closeTask(task.id, sender=people.keeper)
    (closed,) = logs(receipt, rewards.EscrowClosed)
    tips = rewards.owedTo(people.keeper)
    assert closed["outcome"] == Outcome.FAILED
    assert closed["toCreator"] == params.bounty // 2 == rewards.owedTo(system.creator)
    assert closed["toTreasury"] == params.bounty - params.bounty // 2 + params.bond - tips
    assert logs(receipt, rewards.Credited)[-1] == {
        "account": system.treasury,
        "amount": closed["toTreasury"],
        "reason": name("treasury"),
    }
    refund_fees(system, people, task, trainers, accounts)


# ---------------------------------------------------------------------- who may call


@pytest.fixture
def registry(system: System, accounts: Any, chain: Any) -> Any:
    """An account with the address of the registry, which anvil impersonates."""
    chain.provider.set_balance(system.registry.address, 10**18)
    return accounts[system.registry.address]


def test_escrow_calls_revert_for_other_callers(system: System, people: People) -> None:
    rewards, keeper = system.rewards, people.keeper
    calls: list[tuple[Any, tuple[Any, ...]]] = [
        (rewards.fund, (1, keeper, 1, 1)),
        (rewards.payFee, (1, keeper, keeper, 1)),
        (rewards.close, (1, Outcome.REFUNDED)),
    ]
    for call, arguments in calls:
        with ape.reverts(rewards.RewardsNotRegistry, error_inputs={"caller": keeper.address}):
            call(*arguments, sender=keeper)
    with ape.reverts(rewards.RewardsNotDuty, error_inputs={"caller": keeper.address}):
        rewards.tip(1, keeper, sender=keeper)


def test_close_reverts_if_repeated_or_without_an_outcome(
    system: System, chain: Any, people: People, registry: Any
) -> None:
    rewards = system.rewards
    task = Task(system, chain, people)
    with ape.reverts(rewards.RewardsBadOutcome, error_inputs={"taskId": task.id}):
        rewards.close(task.id, Outcome.RUNNING, sender=registry)
    rewards.close(task.id, Outcome.REFUNDED, sender=registry)
    with ape.reverts(rewards.RewardsAlreadyClosed, error_inputs={"taskId": task.id}):
        rewards.close(task.id, Outcome.FAILED, sender=registry)
    before = rewards.owedTo(people.keeper)
    rewards.tip(task.id, people.keeper, sender=registry)  # the bond is gone: no tip, and no error
    assert rewards.owedTo(people.keeper) == before


def test_tip_is_limited_by_the_bond(system: System, people: People, registry: Any) -> None:
    rewards = system.rewards
    system.give(system.creator, TIP + 7, rewards)
    rewards.fund(99, system.creator, 0, TIP + 7, sender=registry)
    for expected in (TIP, 7, 0):
        before = rewards.owedTo(people.keeper)
        receipt = rewards.tip(99, people.keeper, sender=registry)
        assert rewards.owedTo(people.keeper) == before + expected
        assert len(logs(receipt, rewards.TipPaid)) == (expected > 0)
    assert rewards.escrowOf(99).bond == 0
    assert system.token.balanceOf(rewards) == rewards.owedTo(people.keeper) == TIP + 7


@pytest.mark.parametrize("missing", range(6))
def test_constructor_reverts_with_a_zero_address(system: System, missing: int) -> None:
    parts = (
        system.registry,
        system.scoring,
        system.appeals,
        system.staking,
        system.token,
        system.treasury,
    )
    given = [str(part) for part in parts]
    given[missing] = ZERO
    with ape.reverts(contract_named("Rewards").RewardsZeroAddress):
        system.governor.deploy(contract_named("Rewards"), *given, TIP)


def test_settings_are_readable(system: System) -> None:
    assert (system.rewards.treasury(), system.rewards.tipAmount()) == (system.treasury, TIP)
    assert TIP == CVY
