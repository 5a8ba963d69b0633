"""TaskRegistry: every path and every revert."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, replace
from typing import Any

import ape
import pytest
from eth_utils.crypto import keccak
from tests.support.contracts.system import CVY, DAY, HOUR, LEVERAGE, REGISTRY_CONFIG, SELF_BOND, System
from tests.support.contracts.task_steps import LOCAL, MAX, SET_SALT, STAKE, People, Task, digest_of, salt_of, sealed

from covey.protocol.payouts import entry_fee
from covey.protocol.types import Evaluation, Kind, Outcome, TaskParams

ZERO = "0x" + "00" * 20


def name(text: str) -> bytes:
    """Return a bytes32 of left-aligned ASCII."""
    return text.encode().ljust(32, b"\0")


def plain(value: Any) -> Any:
    """Convert structs to nested tuples."""
    if isinstance(value, (bytes, str, int)):
        return value
    return tuple(plain(item) for item in value)


@pytest.fixture
def post(system: System, chain: Any, people: People) -> Callable[..., Task]:
    def posted(**fields: Any) -> Task:
        return Task(system, chain, people, replace(LOCAL, **fields))

    return posted


@pytest.fixture
def sealed_task(system: System, chain: Any, people: People) -> Task:
    return Task(system, chain, people, sealed(system, chain.chain_id))


# ---------------------------------------------------------------------- createTask


def test_createTask_posts_and_funds(system: System, post: Callable[..., Task]) -> None:
    task = post()
    assert task.id == 1
    (created,) = task.receipt.decode_logs(system.registry.TaskCreated)
    assert created.taskId == 1 and created.creator == system.creator and created.specDigest == LOCAL.spec_digest
    now = task.receipt.timestamp
    ends = [now, now + DAY, now + 2 * DAY, now + 3 * DAY, now + 3 * DAY, now + 6 * DAY]
    assert list(task.schedule) == ends
    assert list(created.schedule) == ends
    assert plain(system.registry.paramsOf(1)) == astuple(LOCAL)
    assert plain(created.params) == astuple(LOCAL)
    state = system.registry.stateOf(1)
    assert list(state) == [system.creator, Outcome.RUNNING, 0, 0, 0, bytes(32), False]
    assert system.token.balanceOf(system.rewards) == LOCAL.bounty + LOCAL.bond
    assert list(system.registry.payTermsOf(1)) == [system.creator, Outcome.RUNNING, 3000, 655, 2, 0, False]
    assert list(system.registry.scoringTermsOf(1)) == [0, ends[-1], DAY, DAY, 0, 21, 655, 300, 1200, 2, 0]
    assert not system.registry.readyForSeed(1)


def test_createTask_stores_the_sealed_commitment(system: System, sealed_task: Task) -> None:
    assert plain(system.registry.paramsOf(sealed_task.id)) == astuple(sealed_task.params)
    assert sealed_task.schedule.openEnd == sealed_task.schedule.entryRevealEnd + HOUR
    assert sealed_task.schedule.expiresAt == sealed_task.schedule.createdAt + 6 * DAY + 3 * HOUR


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("spec_digest", bytes(32)),
        ("kind", Kind.FEDERATED),
        ("sealed_commitment", keccak(text="a set")),  # not of a local task
        ("validator_bps", 499),
        ("validator_bps", 10_000),
        ("target_seats", 8),
        ("target_seats", 202),
        ("floor_score", 0),
        ("floor_score", 6555),
        ("h", 8001),
        ("tau", 0),
        ("tau", 4096),
        ("power", 0),
        ("power", 4),
        ("max_entries", 0),
        ("max_entries", 4097),
        ("min_entries", 0),
        ("min_entries", 65),
        ("bounty", 10 * CVY - 1),
        ("bounty", 2**88),
        ("bond", 5 * CVY - 1),
        ("bond", 2**88),
        ("entry_fee", 2**86),
        ("min_stake", 0),
        ("min_stake", 2**88),
    ],
)
def test_createTask_reverts_with_a_bad_parameter(system: System, field: str, value: Any) -> None:
    named = field.split("_", maxsplit=1)[0] + "".join(part.title() for part in field.split("_")[1:])
    params = replace(LOCAL, **{field: value})
    with ape.reverts(system.registry.RegistryBadParam, error_inputs={"name": name(named)}):
        system.registry.createTask(astuple(params), sender=system.creator)
    assert system.registry.taskCount() == 0


def test_createTask_reverts_for_a_sealed_task_without_commitment(system: System, chain: Any) -> None:
    params = replace(sealed(system, chain.chain_id), sealed_commitment=bytes(32))
    with ape.reverts(system.registry.RegistryBadParam, error_inputs={"name": name("sealedCommitment")}):
        system.registry.createTask(astuple(params), sender=system.creator)


def test_createTask_reverts_with_too_little_stake_for_the_bounty(system: System) -> None:
    params = replace(LOCAL, bounty=1001 * CVY)
    inputs = {"given": 1000 * CVY, "minimum": 1001 * CVY}
    with ape.reverts(system.registry.RegistryStakeMultipleTooLow, error_inputs=inputs):
        system.registry.createTask(astuple(params), sender=system.creator)


def windows(**fields: int) -> TaskParams:
    return replace(LOCAL, windows=replace(LOCAL.windows, **fields))


@pytest.mark.parametrize("window", ["entry_commit", "enrol", "entry_reveal", "score_commit", "score_reveal", "settle"])
def test_createTask_reverts_with_a_short_window(system: System, window: str) -> None:
    head, *tail = window.split("_")
    named = head + "".join(part.title() for part in tail)
    inputs = {"name": name(named), "given": HOUR - 1, "minimum": HOUR}
    with ape.reverts(system.registry.RegistryWindowTooShort, error_inputs=inputs):
        system.registry.createTask(astuple(windows(**{window: HOUR - 1})), sender=system.creator)
    with ape.reverts(system.registry.RegistryBadParam, error_inputs={"name": name(named)}):
        system.registry.createTask(astuple(windows(**{window: 2**24})), sender=system.creator)


@pytest.mark.parametrize("window", ["open", "appeal"])
def test_createTask_checks_the_windows_of_sealed_tasks(system: System, chain: Any, window: str) -> None:
    # A local task has none of them.
    with ape.reverts(system.registry.RegistryBadParam, error_inputs={"name": name(window)}):
        system.registry.createTask(astuple(windows(**{window: HOUR})), sender=system.creator)
    params = sealed(system, chain.chain_id)
    params = replace(params, windows=replace(params.windows, **{window: HOUR - 1}))
    with ape.reverts(system.registry.RegistryWindowTooShort, error_inputs={"name": name(window)}):
        system.registry.createTask(astuple(params), sender=system.creator)


def test_createTask_reverts_with_an_empty_window_at_any_minimum(system: System) -> None:
    system.bounds.setConfig(((0,) * 8, *REGISTRY_CONFIG[1:]), sender=system.governor)
    inputs = {"name": name("enrol"), "given": 0, "minimum": 1}
    with ape.reverts(system.registry.RegistryWindowTooShort, error_inputs=inputs):
        system.registry.createTask(astuple(windows(enrol=0)), sender=system.creator)


def test_createTask_reverts_if_the_task_is_too_long(system: System) -> None:
    # The windows before the seed, and twice those after it: there may be a second committee.
    given = LOCAL.windows
    before = given.entry_commit + given.enrol + given.entry_reveal
    settle = (28 * DAY - before) // 2 - given.score_commit - given.score_reveal
    life = before + 2 * (given.score_commit + given.score_reveal + settle + 1)
    with ape.reverts(system.registry.RegistryTaskTooLong, error_inputs={"life": life, "maximum": 28 * DAY}):
        system.registry.createTask(astuple(windows(settle=settle + 1)), sender=system.creator)
    assert system.bounds.maxTaskLife() == 28 * DAY
    system.give(system.creator, LOCAL.bounty + LOCAL.bond, system.rewards)
    system.registry.createTask(astuple(windows(settle=settle)), sender=system.creator)


def test_createTask_reverts_if_the_sealed_task_is_too_long(system: System, chain: Any) -> None:
    # An appeal takes its window, an enrolment, a third committee, and its window again for reports.
    params = sealed(system, chain.chain_id)
    w = params.windows
    before = w.entry_commit + w.enrol + w.entry_reveal + w.open
    most = (28 * DAY - before - 2 * w.appeal - w.enrol) // 3 - w.score_commit - w.score_reveal
    with ape.reverts(system.registry.RegistryTaskTooLong):
        long = replace(params, windows=replace(w, settle=most + 1))
        system.registry.createTask(astuple(long), sender=system.creator)
    system.give(system.creator, LOCAL.bounty + LOCAL.bond, system.rewards)
    system.registry.createTask(astuple(replace(params, windows=replace(w, settle=most))), sender=system.creator)


def test_createTask_requires_a_minimum_h_for_a_sealed_task(system: System, chain: Any) -> None:
    params = replace(sealed(system, chain.chain_id), h=7)
    with ape.reverts(system.registry.RegistryBadParam, error_inputs={"name": name("h")}):
        system.registry.createTask(astuple(params), sender=system.creator)
    system.give(system.creator, LOCAL.bounty + LOCAL.bond, system.rewards)
    system.registry.createTask(astuple(replace(params, h=8)), sender=system.creator)


@pytest.mark.parametrize(
    ("h", "tau", "field"), [(41, 655, "h"), (76, 1200, "h"), (8, 654, "tau")], ids=["h", "h-of-tau", "tau"]
)
def test_createTask_bounds_h_and_tau_of_a_sealed_task(
    system: System, chain: Any, h: int, tau: int, field: str
) -> None:  # fmt: skip
    params = replace(sealed(system, chain.chain_id), h=h, tau=tau)
    with ape.reverts(system.registry.RegistryBadParam, error_inputs={"name": name(field)}):
        system.registry.createTask(astuple(params), sender=system.creator)


def test_createTask_limits_entries_times_seats(system: System) -> None:
    system.bounds.setConfig((*REGISTRY_CONFIG[:4], 32_768, 1023, *REGISTRY_CONFIG[6:]), sender=system.governor)
    params = replace(LOCAL, max_entries=8192, target_seats=513)
    with ape.reverts(system.registry.RegistryBadParam, error_inputs={"name": name("maxEntries")}):
        system.registry.createTask(astuple(params), sender=system.creator)
    system.give(system.creator, LOCAL.bounty + LOCAL.bond, system.rewards)
    system.registry.createTask(astuple(replace(params, target_seats=512)), sender=system.creator)


def test_createTask_requires_an_allowance(system: System) -> None:
    with ape.reverts(system.token.ERC20InsufficientAllowance):
        system.registry.createTask(astuple(LOCAL), sender=system.creator)


# ---------------------------------------------------------------------- cancelTask, openSealed


def test_cancelTask_before_the_first_entry(system: System, post: Callable[..., Task], people: People) -> None:
    task = post()
    with ape.reverts(system.registry.RegistryNotCreator):
        system.registry.cancelTask(task.id, sender=people.keeper)
    receipt = system.registry.cancelTask(task.id, sender=system.creator)
    (ended,) = receipt.decode_logs(system.registry.TaskEnded)
    assert (ended.outcome, ended.reason) == (Outcome.REFUNDED, name("cancelled"))
    assert system.rewards.owedTo(system.creator) == LOCAL.bounty + LOCAL.bond
    with ape.reverts(system.registry.RegistryEnded, error_inputs={"taskId": task.id}):
        system.registry.cancelTask(task.id, sender=system.creator)


def test_cancelTask_reverts_after_an_entry(system: System, post: Callable[..., Task], people: People) -> None:
    task = post()
    task.commit_entry(people.operators[0])
    with ape.reverts(system.registry.RegistryHasEntries, error_inputs={"taskId": task.id}):
        system.registry.cancelTask(task.id, sender=system.creator)


def test_openSealed(system: System, sealed_task: Task, people: People) -> None:
    task = sealed_task
    task.warp(task.schedule.entryRevealEnd - 60)
    with ape.reverts(system.registry.RegistryWindowClosed, error_inputs={"window": name("open")}):
        task.open_sealed()
    task.warp(task.schedule.entryRevealEnd)
    with ape.reverts(system.registry.RegistryNotCreator):
        task.open_sealed(sender=people.keeper)
    with ape.reverts(system.registry.RegistryBadReveal):
        task.open_sealed(digest=keccak(text="another set"))
    receipt = task.open_sealed()
    assert [log.digest for log in receipt.decode_logs(system.registry.SealedSetOpened)] == [keccak(text="sealed set")]
    state = system.registry.stateOf(task.id)
    assert state.sealedOpen and state.sealedDigest == keccak(text="sealed set")
    with ape.reverts(system.registry.RegistryWindowClosed):
        task.open_sealed()


def test_openSealed_reverts_after_its_window(system: System, sealed_task: Task) -> None:
    sealed_task.warp(sealed_task.schedule.openEnd)
    with ape.reverts(system.registry.RegistryWindowClosed, error_inputs={"window": name("open")}):
        sealed_task.open_sealed()


def test_openSealed_reverts_for_a_local_task(system: System, post: Callable[..., Task]) -> None:
    task = post()
    with ape.reverts(system.registry.RegistryNotSealed, error_inputs={"taskId": task.id}):
        system.registry.openSealed(task.id, bytes(32), SET_SALT, sender=system.creator)


# ---------------------------------------------------------------------- commitEntry


def test_commitEntry_charges_a_rising_fee(system: System, post: Callable[..., Task], people: People) -> None:
    task = post(max_entries=2)
    for sequence, operator in enumerate(people.operators[:2]):
        fee = entry_fee(LOCAL.entry_fee, sequence, 2)
        assert system.registry.entryFeeAt(task.id, sequence) == fee
        with ape.reverts(system.registry.RegistryFeeAboveMax, error_inputs={"fee": fee, "maxFee": fee - 1}):
            task.commit_entry(operator, max_fee=fee - 1)
        before = system.token.balanceOf(people.signer(operator))
        receipt = task.commit_entry(operator, max_fee=fee)
        assert system.token.balanceOf(people.signer(operator)) == before - fee
        (log,) = receipt.decode_logs(system.registry.EntryCommitted)
        assert (log.sequence, log.fee, log.payer) == (sequence, fee, people.signer(operator))
        assert log.commitment == task.entry_commitment(operator)
        commitment, *rest = system.registry.commitmentOf(task.id, operator)
        assert commitment == task.entry_commitment(operator)[:28].ljust(32, b"\0")
        assert rest == [sequence, False, 0, fee]
    assert fee == 4 * CVY + 6 * CVY
    with ape.reverts(system.registry.RegistryFull, error_inputs={"taskId": task.id}):
        task.commit_entry(people.operators[2])


def test_commitEntry_checks_sender_commitment_and_window(
    system: System, post: Callable[..., Task], people: People
) -> None:
    task = post()
    operator = people.operators[0]
    with ape.reverts(system.registry.RegistryNotSigner):
        task.commit_entry(operator, sender=operator)  # the cold address is not the signer
    with ape.reverts(system.registry.RegistryNotSigner):
        task.commit_entry(operator, sender=people.signer(people.operators[1]))
    with ape.reverts(system.registry.RegistryNoCommitment):
        task.commit_entry(operator, commitment=bytes(28) + b"\1\2\3\4")
    task.commit_entry(operator)
    with ape.reverts(system.registry.RegistryAlreadyCommitted):
        task.commit_entry(operator)
    task.warp(task.schedule.entryCommitEnd)
    with ape.reverts(system.registry.RegistryWindowClosed, error_inputs={"window": name("entryCommit")}):
        task.commit_entry(people.operators[1])


def test_commitEntry_requires_an_eligible_operator(system: System, post: Callable[..., Task], people: People) -> None:
    task = post()
    operator = people.operators[0]
    system.staking.undelegate(operator, system.staking.sharesOf(operator, operator), 0, sender=operator)
    with ape.reverts(system.registry.RegistryNotEligible, error_inputs={"operator": operator.address}):
        task.commit_entry(operator)


def test_commitEntry_requires_the_fee(system: System, post: Callable[..., Task], people: People) -> None:
    task = post()
    operator = people.operators[0]
    system.token.approve(system.rewards, 0, sender=people.signer(operator))
    with ape.reverts(system.token.ERC20InsufficientAllowance):
        task.commit_entry(operator)


# ---------------------------------------------------------------------- enrol


def test_enrol(system: System, post: Callable[..., Task], people: People) -> None:
    task = post()
    entrant, validator, other = people.operators[:3]
    task.commit_entry(entrant)
    with ape.reverts(system.registry.RegistryWindowClosed, error_inputs={"window": name("enrol")}):
        task.enrol(validator)
    task.warp(task.schedule.entryCommitEnd)
    with ape.reverts(system.registry.RegistryIsEntrant):
        task.enrol(entrant)
    with ape.reverts(system.registry.RegistryNotSigner):
        task.enrol(validator, sender=validator)
    least = -(-LOCAL.min_stake // LOCAL.target_seats)
    for amount in (0, least - 1):
        inputs = {"amount": amount, "minimum": least}
        with ape.reverts(system.registry.RegistryStakeBelowSeat, error_inputs=inputs):
            task.enrol(validator, amount)
    with ape.reverts(system.staking.StakingStakeTooLow):
        task.enrol(validator, STAKE + 1)
    receipt = task.enrol(validator, 400 * CVY)
    (log,) = receipt.decode_logs(system.registry.ValidatorEnrolled)
    assert (log.operator, log.amount, log.totalEarmarked) == (validator, 400 * CVY, 400 * CVY)
    with ape.reverts(system.registry.RegistryAlreadyEnrolled):
        task.enrol(validator, 400 * CVY)
    task.enrol(other, 700 * CVY)
    assert system.registry.earmarkOf(task.id, validator) == 400 * CVY
    assert system.registry.stateOf(task.id).totalEarmarked == 1100 * CVY
    assert system.staking.poolOf(validator).earmarked == 400 * CVY
    task.warp(task.schedule.enrolEnd)
    with ape.reverts(system.registry.RegistryWindowClosed, error_inputs={"window": name("enrol")}):
        task.enrol(other)


def test_enrol_needs_the_minimum_of_entries(system: System, post: Callable[..., Task], people: People) -> None:
    task = post(min_entries=2)
    task.commit_entry(people.operators[0])
    task.warp(task.schedule.entryCommitEnd)
    with ape.reverts(system.registry.RegistryTooFewEntries, error_inputs={"committed": 1, "minimum": 2}):
        task.enrol(people.operators[2])
    system.registry.closeTask(task.id, sender=people.keeper)
    assert task.outcome() == Outcome.REFUNDED


def test_enrol_counts_only_stake_from_before_the_task(
    system: System, post: Callable[..., Task], people: People, accounts: Any
) -> None:
    task = post()
    task.commit_entry(people.operators[0])
    task.warp(task.schedule.createdAt + 60)
    late, signer = accounts[10], accounts[18]
    system.join(late, signer)
    task.warp(task.schedule.entryCommitEnd)
    with ape.reverts(system.staking.StakingStakeTooLow, error_inputs={"free": 0, "wanted": SELF_BOND}):
        task.enrol(late, SELF_BOND, sender=signer)


# ---------------------------------------------------------------------- revealEntry


def test_revealEntry_assigns_the_next_lane(system: System, post: Callable[..., Task], people: People) -> None:
    task = post()
    first, second, validator = people.operators[:3]
    task.commit_entry(first)
    task.commit_entry(second)
    task.warp(task.schedule.entryCommitEnd)
    task.enrol(validator)
    with ape.reverts(system.registry.RegistryWindowClosed, error_inputs={"window": name("entryReveal")}):
        task.reveal_entry(first)
    task.warp(task.schedule.enrolEnd)
    with ape.reverts(system.registry.RegistryNoCommitment):
        task.reveal_entry(validator)
    with ape.reverts(system.registry.RegistryBadReveal):
        task.reveal_entry(first, digest_of(second))
    # Lanes go by reveal, precedence by commit; whoever knows the salt may send it.
    receipt = task.reveal_entry(second)
    (log,) = receipt.decode_logs(system.registry.EntryRevealed)
    assert (log.operator, log.lane, log.sequence, log.digest) == (second, 0, 1, digest_of(second))
    with ape.reverts(system.registry.RegistryAlreadyRevealed):
        task.reveal_entry(second)
    task.reveal_entry(first)
    assert [system.registry.entrantOf(task.id, lane) for lane in range(3)] == [second, first, ZERO]
    commitment, *rest = system.registry.commitmentOf(task.id, first)
    assert commitment[:28] == task.entry_commitment(first)[:28]
    assert rest == [0, True, 1, LOCAL.entry_fee]
    assert not system.registry.readyForSeed(task.id)
    task.warp(task.schedule.entryRevealEnd)
    with ape.reverts(system.registry.RegistryWindowClosed, error_inputs={"window": name("entryReveal")}):
        task.reveal_entry(first)
    assert system.registry.readyForSeed(task.id)
    assert system.registry.scoringTermsOf(task.id).entries == 2
    assert system.registry.payTermsOf(task.id).entries == 2


def test_revealEntry_reverts_with_too_little_enrolled_stake(
    system: System, post: Callable[..., Task], people: People
) -> None:
    task = post()
    entrant, validator, _ = people.operators[:3]
    task.commit_entry(entrant)
    task.warp(task.schedule.entryCommitEnd)
    task.enrol(validator, 1000 * CVY - 1)
    task.warp(task.schedule.enrolEnd)
    inputs = {"enrolled": 1000 * CVY - 1, "minimum": 1000 * CVY}
    with ape.reverts(system.registry.RegistryTooLittleStake, error_inputs=inputs):
        task.reveal_entry(entrant)


# ---------------------------------------------------------------------- endings


def test_closeTask_without_entries(system: System, post: Callable[..., Task], people: People) -> None:
    task = post()
    task.warp(task.schedule.entryCommitEnd - 60)
    with ape.reverts(system.registry.RegistryNotClosable, error_inputs={"taskId": task.id}):
        system.registry.closeTask(task.id, sender=people.keeper)
    task.warp(task.schedule.entryCommitEnd)
    receipt = system.registry.closeTask(task.id, sender=people.keeper)
    (ended,) = receipt.decode_logs(system.registry.TaskEnded)
    assert (ended.outcome, ended.reason) == (Outcome.REFUNDED, name("no entry"))
    assert system.rewards.owedTo(people.keeper) == system.rewards.tipAmount()
    with ape.reverts(system.registry.RegistryEnded):
        system.registry.closeTask(task.id, sender=people.keeper)


def test_closeTask_with_too_little_stake(system: System, post: Callable[..., Task], people: People) -> None:
    task = post()
    task.commit_entry(people.operators[0])
    task.warp(task.schedule.entryCommitEnd)
    with ape.reverts(system.registry.RegistryNotClosable):
        system.registry.closeTask(task.id, sender=people.keeper)
    task.warp(task.schedule.enrolEnd)
    receipt = system.registry.closeTask(task.id, sender=people.keeper)
    (ended,) = receipt.decode_logs(system.registry.TaskEnded)
    assert (ended.outcome, ended.reason) == (Outcome.REFUNDED, name("too little stake"))


def test_closeTask_without_a_revealed_entry(system: System, post: Callable[..., Task], people: People) -> None:
    task = post()
    entrant, validator, _ = people.operators[:3]
    task.commit_entry(entrant)
    task.warp(task.schedule.entryCommitEnd)
    task.enrol(validator)
    task.warp(task.schedule.enrolEnd)
    with ape.reverts(system.registry.RegistryNotClosable):
        system.registry.closeTask(task.id, sender=people.keeper)
    task.warp(task.schedule.entryRevealEnd)
    receipt = system.registry.closeTask(task.id, sender=people.keeper)
    (ended,) = receipt.decode_logs(system.registry.TaskEnded)
    assert (ended.outcome, ended.reason) == (Outcome.REFUNDED, name("no entry revealed"))


def test_closeTask_fails_a_task_with_unopened_sealed_set(system: System, sealed_task: Task, people: People) -> None:
    task = sealed_task
    entrant, validator, _ = people.operators[:3]
    task.commit_entry(entrant)
    task.warp(task.schedule.entryCommitEnd)
    task.enrol(validator)
    task.warp(task.schedule.enrolEnd)
    task.reveal_entry(entrant)
    task.warp(task.schedule.entryRevealEnd)
    assert not system.registry.readyForSeed(task.id)
    with ape.reverts(system.registry.RegistryNotClosable):
        system.registry.closeTask(task.id, sender=people.keeper)
    task.warp(task.schedule.openEnd)
    receipt = system.registry.closeTask(task.id, sender=people.keeper)
    (ended,) = receipt.decode_logs(system.registry.TaskEnded)
    assert (ended.outcome, ended.reason) == (Outcome.FAILED, name("not opened"))


def test_closeTask_reverts_for_a_task_that_can_be_scored(system: System, sealed_task: Task, people: People) -> None:
    task = sealed_task
    task.fill(people.operators[:1], people.operators[1:3])
    task.warp(task.schedule.openEnd)
    assert system.registry.readyForSeed(task.id)
    with ape.reverts(system.registry.RegistryNotClosable):
        system.registry.closeTask(task.id, sender=people.keeper)


def test_expire(system: System, post: Callable[..., Task], people: People) -> None:
    task = post()
    task.fill(people.operators[:1], people.operators[1:3])
    task.warp(task.schedule.expiresAt - 60)
    with ape.reverts(system.registry.RegistryNotExpired, error_inputs={"expiresAt": task.schedule.expiresAt}):
        system.registry.expire(task.id, sender=people.keeper)
    task.warp(task.schedule.expiresAt)
    receipt = system.registry.expire(task.id, sender=people.keeper)
    (ended,) = receipt.decode_logs(system.registry.TaskEnded)
    assert (ended.outcome, ended.reason) == (Outcome.FAILED, name("expired"))
    assert system.rewards.owedTo(people.keeper) == system.rewards.tipAmount()
    with ape.reverts(system.registry.RegistryEnded):
        system.registry.expire(task.id, sender=people.keeper)


def test_expire_refunds_a_task_that_could_have_been_closed(
    system: System, post: Callable[..., Task], people: People
) -> None:
    task = post()
    task.warp(task.schedule.expiresAt)
    system.registry.expire(task.id, sender=people.keeper)
    assert task.outcome() == Outcome.REFUNDED


def test_endTask_reverts_unless_called_by_scoring(system: System, post: Callable[..., Task]) -> None:
    task = post()
    with ape.reverts(system.registry.RegistryNotScoring):
        system.registry.endTask(task.id, Outcome.PAID, bytes(32), sender=system.governor)


def test_releaseEarmark(system: System, post: Callable[..., Task], people: People) -> None:
    task = post()
    entrant, validator, _ = people.operators[:3]
    task.commit_entry(entrant)
    task.warp(task.schedule.entryCommitEnd)
    task.enrol(validator, 999 * CVY)
    with ape.reverts(system.registry.RegistryNotEnded):
        system.registry.releaseEarmark(task.id, validator, sender=people.keeper)
    task.warp(task.schedule.enrolEnd)
    system.registry.closeTask(task.id, sender=people.keeper)
    receipt = system.registry.releaseEarmark(task.id, validator, sender=people.keeper)
    (freed,) = receipt.decode_logs(system.registry.EarmarkFreed)
    assert (freed.operator, freed.amount) == (validator, 999 * CVY)
    assert system.staking.poolOf(validator).earmarked == 0
    with ape.reverts(system.registry.RegistryNothingToRelease):
        system.registry.releaseEarmark(task.id, validator, sender=people.keeper)
    with ape.reverts(system.registry.RegistryNothingToRelease):
        system.registry.releaseEarmark(task.id, entrant, sender=people.keeper)


# ---------------------------------------------------------------------- ended and unknown tasks


def test_steps_of_an_ended_task_revert(system: System, sealed_task: Task, people: People) -> None:
    task = sealed_task
    system.registry.cancelTask(task.id, sender=system.creator)
    with ape.reverts(system.registry.RegistryEnded):
        task.commit_entry(people.operators[0])
    task.warp(task.schedule.entryCommitEnd)
    with ape.reverts(system.registry.RegistryEnded):
        task.enrol(people.operators[0])
    task.warp(task.schedule.enrolEnd)
    with ape.reverts(system.registry.RegistryEnded):
        task.reveal_entry(people.operators[0])
    task.warp(task.schedule.entryRevealEnd)
    with ape.reverts(system.registry.RegistryEnded):
        task.open_sealed()
    assert not system.registry.readyForSeed(task.id)


@pytest.mark.parametrize(
    "call",
    [
        lambda registry: registry.paramsOf(7),
        lambda registry: registry.scheduleOf(7),
        lambda registry: registry.stateOf(7),
        lambda registry: registry.outcomeOf(7),
        lambda registry: registry.entryFeeAt(7, 0),
        lambda registry: registry.commitmentOf(7, ZERO),
        lambda registry: registry.readyForSeed(7),
        lambda registry: registry.scoringTermsOf(7),
        lambda registry: registry.payTermsOf(7),
    ],
)
def test_views_of_an_unknown_task_revert(system: System, call: Callable[[Any], Any]) -> None:
    with ape.reverts(system.registry.RegistryUnknownTask, error_inputs={"taskId": 7}):
        call(system.registry)


def test_calls_for_an_unknown_task_revert(system: System, people: People) -> None:
    registry, keeper = system.registry, people.keeper
    operator, signer = people.operators[0], people.signer(people.operators[0])
    for call in (
        lambda: registry.cancelTask(0, sender=system.creator),
        lambda: registry.openSealed(0, bytes(32), SET_SALT, sender=system.creator),
        lambda: registry.commitEntry(0, operator, keccak(text="x"), MAX, sender=signer),
        lambda: registry.revealEntry(0, operator, digest_of(operator), salt_of(operator), sender=keeper),
        lambda: registry.enrol(0, operator, STAKE, sender=signer),
        lambda: registry.closeTask(0, sender=keeper),
        lambda: registry.expire(0, sender=keeper),
        lambda: registry.releaseEarmark(0, operator, sender=keeper),
    ):
        with ape.reverts(registry.RegistryUnknownTask, error_inputs={"taskId": 0}):
            call()


# ---------------------------------------------------------------------- governance


def test_pause_stops_entry_only(system: System, post: Callable[..., Task], people: People) -> None:
    registry = system.registry
    task = post()
    entrant, validator, other = people.operators[:3]
    task.commit_entry(entrant)
    with ape.reverts(registry.AccessManagedUnauthorized):
        registry.setPaused(True, sender=people.keeper)
    receipt = registry.setPaused(True, sender=system.governor)
    assert [log.paused for log in receipt.decode_logs(registry.PausedSet)] == [True]
    assert registry.paused()
    with ape.reverts(registry.RegistryPaused):
        registry.createTask(astuple(LOCAL), sender=system.creator)
    with ape.reverts(registry.RegistryPaused):
        task.commit_entry(other)
    task.warp(task.schedule.entryCommitEnd)
    with ape.reverts(registry.RegistryPaused):
        task.enrol(validator)
    registry.setPaused(False, sender=system.governor)
    task.enrol(validator)
    registry.setPaused(True, sender=system.governor)
    task.warp(task.schedule.enrolEnd)
    task.reveal_entry(entrant)
    task.warp(task.schedule.expiresAt)
    registry.expire(task.id, sender=people.keeper)
    registry.releaseEarmark(task.id, validator, sender=people.keeper)


def test_setConfig(system: System, people: People) -> None:
    bounds = system.bounds
    assert plain(bounds.config()) == REGISTRY_CONFIG
    with ape.reverts(bounds.AccessManagedUnauthorized):
        bounds.setConfig(REGISTRY_CONFIG, sender=people.keeper)
    config = (tuple(range(1, 9)), 1, 2, 60_000, 4, 5, 6, 700, 8, 9, 3, 600)
    receipt = bounds.setConfig(config, sender=system.governor)
    assert plain(bounds.config()) == config
    assert [plain(log.config) for log in receipt.decode_logs(bounds.ConfigSet)] == [config]
    assert bounds.bountyLimit(90) == 90 * 10_000 // 60_000


@pytest.mark.parametrize(
    ("index", "field", "values"),
    [
        (1, "minBounty", (0, 2**88)),
        (2, "minBond", (2**88,)),
        (3, "stakeMultipleBps", (0, 10_000 * LEVERAGE - 1)),
        (4, "maxEntries", (0, 32_769)),
        (5, "maxTargetSeats", (0, 1024)),
        (6, "maxH", (16_384,)),
        (7, "maxTau", (0, 4096)),
        (8, "maxFloor", (0, 0x7FFF)),
        (9, "minValidatorBps", (0, 10_000)),
        (10, "minSeats", (0, 202)),
        (11, "minSealedTau", (127, 4096)),
    ],
)
def test_setConfig_reverts_with_a_bad_value(system: System, index: int, field: str, values: tuple[int, ...]) -> None:
    for value in values:
        config = (*REGISTRY_CONFIG[:index], value, *REGISTRY_CONFIG[index + 1 :])
        with ape.reverts(system.bounds.RegistryBadParam, error_inputs={"name": name(field)}):
            system.bounds.setConfig(config, sender=system.governor)


def test_sealed_task_can_follow_a_local_one(system: System, post: Callable[..., Task], sealed_task: Task) -> None:
    assert sealed_task.params.evaluation == Evaluation.SEALED
    assert post().id == 2
