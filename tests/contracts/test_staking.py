"""Staking: every call with its events, and every revert. The forge tests cover amounts in random sequences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ape
import pytest
from tests.support.contracts.system import (
    ABSENCE_CAP,
    COMMISSION,
    CVY,
    DAY,
    DRIP,
    MAX_COMMISSION,
    MAX_TASK_LIFE,
    MIN_SELF_BOND,
    NOTICE,
    SELF_BOND,
    STAKING_CONFIG,
    UNBONDING,
    System,
    contract_named,
)

ZERO = "0x0000000000000000000000000000000000000000"
Later = Callable[[int], int]


# Accounts that no other test registers.
OPERATOR, SIGNER, REWARD_ADDRESS, ALICE, STRANGER, DUTY, OTHER = range(20, 27)


@pytest.fixture
def operator(system: System, accounts: Any) -> Any:
    return system.join(accounts[OPERATOR], signer=accounts[SIGNER], reward_address=accounts[REWARD_ADDRESS])


@pytest.fixture
def signer(accounts: Any) -> Any:
    return accounts[SIGNER]


@pytest.fixture
def reward_address(accounts: Any) -> Any:
    return accounts[REWARD_ADDRESS]


@pytest.fixture
def alice(accounts: Any) -> Any:
    return accounts[ALICE]


@pytest.fixture
def stranger(accounts: Any) -> Any:
    return accounts[STRANGER]


@pytest.fixture
def duty(system: System, accounts: Any) -> Any:
    """An account in the role of a duty contract, with tokens to pay rewards."""
    system.staking.setDuty(accounts[DUTY], True, sender=system.governor)
    system.give(accounts[DUTY], 100_000 * CVY, system.staking)
    return accounts[DUTY]


def event(receipt: Any, kind: Any) -> dict[str, Any]:
    """Return the only event of a kind in a receipt."""
    (log,) = receipt.decode_logs(kind)
    return dict(log.event_arguments)


def reward(system: System, operator: Any, duty: Any, amount: int) -> Any:
    return system.staking.addReward(operator, amount, 0, sender=duty)


def slash(
    system: System, operator: Any, duty: Any, earmarked: int, amount: int, reporter: Any = ZERO, capped: bool = False,
    mark: tuple[int, int] | None = None,
) -> Any:  # fmt: skip
    """Slash for an earmark, given by its cohort and net (None: nobody left since)."""
    pool = system.staking.poolOf(operator)
    gen, net = mark or (pool.gen, pool.net)
    order = (operator, earmarked, amount, gen, net, reporter, capped, False, False)
    return system.staking.slash(order, sender=duty)


def earmark(system: System, operator: Any, duty: Any, amount: int, chain: Any) -> Any:
    return system.staking.earmark(operator, amount, chain.blocks.head.timestamp - 1, sender=duty)


# ---------------------------------------------------------------------- deployment and governance


@pytest.mark.parametrize(
    ("field", "value", "name"),
    [
        (0, 10**12 - 1, "minSelfBond"),
        (0, 2**88, "minSelfBond"),
        (1, 28 * DAY - 1, "unbondingPeriod"),
        (1, 3651 * DAY, "unbondingPeriod"),
        (2, 0, "maxTaskLife"),
        (3, 0, "dripPeriod"),
        (3, 3651 * DAY, "dripPeriod"),
        (4, 0, "commissionNotice"),
        (4, 3651 * DAY, "commissionNotice"),
        (5, 10_001, "maxCommissionBps"),
        (6, 0, "absenceCapBps"),
        (6, 10_001, "absenceCapBps"),
        (7, 3651 * DAY, "jailPeriod"),
        (8, 0, "leverage"),
    ],
)
def test_constructor_reverts_with_the_name_of_a_bad_setting(system: System, field: int, value: int, name: str) -> None:
    config = list(STAKING_CONFIG)
    config[field] = value
    with ape.reverts(contract_named("Staking").StakingBadConfig, error_inputs={"name": name.encode().ljust(32, b"\0")}):
        system.governor.deploy(contract_named("Staking"), system.manager, system.token, system.treasury, tuple(config))


@pytest.mark.parametrize("missing", ["token", "treasury"])
def test_constructor_reverts_with_a_zero_address(system: System, missing: str) -> None:
    given = [ZERO if missing == name else str(getattr(system, name)) for name in ("token", "treasury")]
    with ape.reverts(contract_named("Staking").StakingZeroAddress):
        system.governor.deploy(contract_named("Staking"), system.manager, *given, STAKING_CONFIG)


def test_settings_are_readable(system: System) -> None:
    staking = system.staking
    assert staking.token() == system.token
    assert staking.treasury() == system.treasury
    assert (
        staking.minSelfBond(),
        staking.unbondingPeriod(),
        staking.maxTaskLife(),
        staking.dripPeriod(),
        staking.commissionNotice(),
        staking.maxCommissionBps(),
        staking.absenceCapBps(),
        staking.jailPeriod(),
        staking.leverage(),
    ) == STAKING_CONFIG
    assert staking.CLOCK_MODE() == "mode=timestamp"


def test_clock_is_the_block_timestamp(system: System, later: Later) -> None:
    assert later(100) == system.staking.clock()


def test_setDuty_is_restricted_to_governance(system: System, stranger: Any) -> None:
    receipt = system.staking.setDuty(stranger, True, sender=system.governor)
    assert event(receipt, system.staking.DutySet) == {"duty": stranger, "until": 2**40 - 1}
    assert system.staking.isDuty(stranger)
    receipt = system.staking.setDuty(stranger, False, sender=system.governor)
    until = receipt.timestamp + MAX_TASK_LIFE
    assert event(receipt, system.staking.DutySet) == {"duty": stranger, "until": until}
    assert system.staking.dutyUntil(stranger) == until
    assert not system.staking.isDuty(stranger)
    with ape.reverts(system.staking.StakingZeroAddress):
        system.staking.setDuty(ZERO, True, sender=system.governor)
    with ape.reverts(system.staking.AccessManagedUnauthorized, error_inputs={"caller": stranger.address}):
        system.staking.setDuty(stranger, True, sender=stranger)


def test_pause_stops_delegation_and_earmarks_only(
    system: System, operator: Any, duty: Any, chain: Any, stranger: Any, later: Later
) -> None:
    staking = system.staking
    later(1)
    earmark(system, operator, duty, 100 * CVY, chain)
    receipt = staking.setPaused(True, sender=system.governor)
    assert event(receipt, staking.PausedSet) == {"paused": True}
    assert staking.paused()
    system.give(operator, CVY, staking)
    with ape.reverts(staking.StakingPaused):
        system.delegate_own(operator, CVY, 0, sender=operator)
    with ape.reverts(staking.StakingPaused):
        earmark(system, operator, duty, CVY, chain)
    # Ways out, duties and rewards go on.
    slash(system, operator, duty, 10 * CVY, CVY, ZERO, False)
    staking.releaseEarmark(operator, 99 * CVY, sender=duty)
    reward(system, operator, duty, CVY)
    staking.payOwed(system.treasury, sender=stranger)
    entry = event(staking.undelegate(operator, CVY, 0, sender=operator), staking.Undelegated)["index"]
    with ape.reverts(staking.StakingPaused):
        staking.cancel(operator, entry, sender=operator)
    later(UNBONDING)
    staking.withdraw(operator, operator, entry, sender=stranger)
    staking.setPaused(False, sender=system.governor)
    system.delegate_own(operator, CVY, 0, sender=operator)
    with ape.reverts(staking.AccessManagedUnauthorized, error_inputs={"caller": stranger.address}):
        staking.setPaused(True, sender=stranger)


# ---------------------------------------------------------------------- operators


def test_operator_registers(system: System, accounts: Any) -> None:
    staking = system.staking
    operator, signer, rewards = accounts[OPERATOR], accounts[SIGNER], accounts[REWARD_ADDRESS]
    consent = system.consent(operator, signer)
    receipt = staking.registerOperator(signer, rewards, COMMISSION, consent, sender=operator)
    assert event(receipt, staking.OperatorRegistered) == {
        "operator": operator,
        "signer": signer,
        "rewardAddress": rewards,
        "commissionBps": COMMISSION,
    }
    assert staking.signerOf(operator) == signer
    assert staking.operatorOf(signer) == operator
    assert staking.rewardAddressOf(operator) == rewards
    assert not staking.isEligible(operator)  # no stake yet
    with ape.reverts(staking.StakingAlreadyRegistered, error_inputs={"operator": operator.address}):
        staking.registerOperator(accounts[OTHER], rewards, COMMISSION, consent, sender=operator)
    with ape.reverts(staking.StakingSignerTaken, error_inputs={"signer": signer.address}):
        staking.registerOperator(signer, rewards, COMMISSION, consent, sender=accounts[OTHER])
    assert staking.operatorAt(staking.operatorCount() - 1) == operator


def test_registerOperator_reverts_with_bad_arguments(system: System, accounts: Any) -> None:
    register, operator = system.staking.registerOperator, accounts[OPERATOR]
    with ape.reverts(system.staking.StakingZeroAddress):
        register(ZERO, operator, COMMISSION, b"", sender=operator)
    with ape.reverts(system.staking.StakingZeroAddress):
        register(operator, ZERO, COMMISSION, b"", sender=operator)
    inputs = {"bps": MAX_COMMISSION + 1, "max": MAX_COMMISSION}
    with ape.reverts(system.staking.StakingCommissionTooHigh, error_inputs=inputs):
        register(operator, operator, MAX_COMMISSION + 1, b"", sender=operator)
    # The consent of another key, or to another operator.
    for consent in (system.consent(operator, accounts[OTHER]), system.consent(accounts[OTHER], operator), b"\1" * 65):
        inputs = {"signer": operator.address, "operator": operator.address}
        with ape.reverts(system.staking.StakingNoConsent, error_inputs=inputs):
            register(operator, operator, COMMISSION, consent, sender=operator)


def test_signer_is_replaced_at_once(system: System, operator: Any, signer: Any, stranger: Any, accounts: Any) -> None:
    staking = system.staking
    receipt = staking.setSigner(stranger, system.consent(operator, stranger), sender=operator)
    assert event(receipt, staking.SignerChanged) == {
        "operator": operator,
        "previousSigner": signer,
        "newSigner": stranger,
    }
    assert staking.signerOf(operator) == stranger
    assert (staking.operatorOf(signer), staking.operatorOf(stranger)) == (ZERO, operator)
    # The old key is free again.
    staking.registerOperator(signer, signer, 0, system.consent(accounts[OTHER], signer), sender=accounts[OTHER])
    with ape.reverts(staking.StakingSignerTaken, error_inputs={"signer": signer.address}):
        staking.setSigner(signer, b"", sender=operator)
    with ape.reverts(staking.StakingZeroAddress):
        staking.setSigner(ZERO, b"", sender=operator)


def test_reward_address_is_replaced(system: System, operator: Any, stranger: Any) -> None:
    receipt = system.staking.setRewardAddress(stranger, sender=operator)
    assert event(receipt, system.staking.RewardAddressChanged) == {"operator": operator, "rewardAddress": stranger}
    assert system.staking.rewardAddressOf(operator) == stranger
    with ape.reverts(system.staking.StakingZeroAddress):
        system.staking.setRewardAddress(ZERO, sender=operator)


def test_commission_falls_at_once_and_rises_after_notice(
    system: System, operator: Any, stranger: Any, later: Later
) -> None:
    staking = system.staking
    receipt = staking.setCommission(500, sender=operator)
    assert event(receipt, staking.CommissionChanged) == {"operator": operator, "commissionBps": 500}
    announced = staking.setCommission(MAX_COMMISSION, sender=operator)
    start = announced.timestamp + NOTICE
    assert event(announced, staking.CommissionAnnounced) == {
        "operator": operator,
        "commissionBps": MAX_COMMISSION,
        "from": start,
    }
    pool = staking.poolOf(operator)
    assert (pool.commissionBps, pool.pendingCommissionBps, pool.commissionFrom) == (500, MAX_COMMISSION, start)
    with ape.reverts(staking.StakingCommissionNotDue, error_inputs={"from": start}):
        staking.applyCommission(operator, sender=stranger)
    later(NOTICE)
    receipt = staking.applyCommission(operator, sender=stranger)
    assert event(receipt, staking.CommissionChanged) == {"operator": operator, "commissionBps": MAX_COMMISSION}
    pool = staking.poolOf(operator)
    assert (pool.commissionBps, pool.pendingCommissionBps, pool.commissionFrom) == (MAX_COMMISSION, 0, 0)
    with ape.reverts(staking.StakingCommissionNotDue, error_inputs={"from": 0}):
        staking.applyCommission(operator, sender=stranger)
    inputs = {"bps": MAX_COMMISSION + 1, "max": MAX_COMMISSION}
    with ape.reverts(staking.StakingCommissionTooHigh, error_inputs=inputs):
        staking.setCommission(MAX_COMMISSION + 1, sender=operator)


def test_announced_commission_lapses(system: System, operator: Any, stranger: Any, later: Later) -> None:
    staking = system.staking
    announced = staking.setCommission(COMMISSION + 1, sender=operator)
    later(2 * NOTICE)
    inputs = {"lapsedAt": announced.timestamp + 2 * NOTICE}
    with ape.reverts(staking.StakingCommissionLapsed, error_inputs=inputs):
        staking.applyCommission(operator, sender=stranger)
    assert staking.poolOf(operator).commissionBps == COMMISSION


def test_lowering_commission_cancels_an_announcement(system: System, operator: Any, later: Later) -> None:
    system.staking.setCommission(COMMISSION + 1, sender=operator)
    system.staking.setCommission(COMMISSION, sender=operator)
    later(NOTICE)
    with ape.reverts(system.staking.StakingCommissionNotDue):
        system.staking.applyCommission(operator, sender=operator)
    assert system.staking.poolOf(operator).commissionBps == COMMISSION


def test_unknown_operator_has_no_pool(system: System, stranger: Any, duty: Any, chain: Any, later: Later) -> None:
    staking = system.staking
    later(1)
    system.give(stranger, CVY, staking)
    calls = [
        (staking.setSigner, (stranger, b""), stranger),
        (staking.setRewardAddress, (stranger,), stranger),
        (staking.setCommission, (1,), stranger),
        (staking.applyCommission, (stranger,), stranger),
        (staking.unjail, (), stranger),
        (system.delegate_own, (stranger, CVY, 0), stranger),
        (staking.accrue, (stranger,), stranger),
        (staking.earmark, (stranger, 1, chain.blocks.head.timestamp - 1), duty),
        (staking.slash, ((stranger, 0, 0, 0, 0, ZERO, False, False, False),), duty),
        (staking.addReward, (stranger, 1, 0), duty),
    ]
    for call, arguments, sender in calls:
        with ape.reverts(staking.StakingUnknownOperator, error_inputs={"operator": stranger.address}):
            call(*arguments, sender=sender)
    assert staking.signerOf(stranger) == staking.operatorOf(stranger) == ZERO
    assert staking.eligibleStake(stranger) == 0
    assert not staking.isEligible(stranger)


# ---------------------------------------------------------------------- delegating


def test_delegate_buys_shares(system: System, operator: Any, alice: Any) -> None:
    staking = system.staking
    held = system.token.balanceOf(staking)
    receipt = system.delegate(operator, alice, 50 * CVY)
    assert event(receipt, staking.Delegated) == {
        "operator": operator,
        "delegator": alice,
        "amount": 50 * CVY,
        "shares": 50 * CVY,
    }
    assert staking.sharesOf(operator, alice) == 50 * CVY
    assert staking.tokensFor(operator, 50 * CVY) == 50 * CVY
    pool = staking.poolOf(operator)
    assert (pool.activeTokens, pool.activeShares) == (SELF_BOND + 50 * CVY, SELF_BOND + 50 * CVY)
    assert pool.selfBond == SELF_BOND
    assert staking.eligibleStake(operator) == SELF_BOND + 50 * CVY
    assert system.token.balanceOf(staking) == held + 50 * CVY


def test_invalid_delegations_revert(system: System, operator: Any, alice: Any) -> None:
    staking = system.staking
    system.give(alice, 5 * CVY, staking)
    with ape.reverts(staking.StakingZeroAmount):
        system.delegate_own(operator, 0, 0, sender=alice)
    with ape.reverts(staking.StakingAmountTooLarge, error_inputs={"amount": 2**88}):
        system.delegate_own(operator, 2**88, 0, sender=alice)
    with ape.reverts(staking.StakingSlippage, error_inputs={"got": CVY, "wanted": CVY + 1}):
        system.delegate_own(operator, CVY, CVY + 1, sender=alice)
    with ape.reverts(system.token.ERC20InsufficientAllowance):
        system.delegate_own(operator, 6 * CVY, 0, sender=alice)


def test_delegate_reverts_below_one_share(system: System, operator: Any, alice: Any, duty: Any, later: Later) -> None:
    reward(system, operator, duty, 1000 * CVY)
    later(DRIP)
    system.give(alice, 1, system.staking)
    with ape.reverts(system.staking.StakingZeroAmount):  # a share costs more than a wei now
        system.delegate_own(operator, 1, 0, sender=alice)


def test_undelegate_and_withdraw(system: System, operator: Any, alice: Any, stranger: Any, later: Later) -> None:
    staking = system.staking
    system.delegate(operator, alice, 50 * CVY)
    receipt = staking.undelegate(operator, 20 * CVY, 20 * CVY, sender=alice)
    until = receipt.timestamp + UNBONDING
    assert event(receipt, staking.Undelegated) == {
        "operator": operator,
        "delegator": alice,
        "index": 0,
        "shares": 20 * CVY,
        "amount": 20 * CVY,
        "gen": 0,
        "until": until,
    }
    assert staking.entryCount(operator, alice) == 1
    entry = staking.entryOf(operator, alice, 0)
    assert (entry.tokens, entry.worth, entry.until, entry.movedTo) == (20 * CVY, 20 * CVY, until, ZERO)
    pool = staking.poolOf(operator)
    assert (pool.activeTokens, pool.unbondingTokens) == (SELF_BOND + 30 * CVY, 20 * CVY)
    with ape.reverts(staking.StakingUnbondingNotOver, error_inputs={"until": until}):
        staking.withdraw(operator, alice, 0, sender=alice)
    later(UNBONDING)
    receipt = staking.withdraw(operator, alice, 0, sender=stranger)  # anyone may send it
    assert event(receipt, staking.Withdrawn) == {
        "operator": operator,
        "delegator": alice,
        "index": 0,
        "amount": 20 * CVY,
        "lost": 0,
    }
    assert system.token.balanceOf(alice) == 20 * CVY
    for unknown in (0, 1):
        inputs = {"operator": operator.address, "owner": alice.address, "index": unknown}
        with ape.reverts(staking.StakingUnknownEntry, error_inputs=inputs):
            staking.withdraw(operator, alice, unknown, sender=alice)


def test_cancel_delegates_an_entry_anew(system: System, operator: Any, alice: Any) -> None:
    staking = system.staking
    system.delegate(operator, alice, 50 * CVY)
    staking.undelegate(operator, 20 * CVY, 0, sender=alice)
    receipt = staking.cancel(operator, 0, sender=alice)
    assert event(receipt, staking.Cancelled) == {
        "operator": operator,
        "delegator": alice,
        "index": 0,
        "amount": 20 * CVY,
        "lost": 0,
        "shares": 20 * CVY,
    }
    assert staking.sharesOf(operator, alice) == 50 * CVY
    assert staking.poolOf(operator).unbondingTokens == 0


def test_redelegate_moves_stake_and_withdraw_frees_it(
    system: System, operator: Any, alice: Any, accounts: Any, stranger: Any, later: Later
) -> None:
    staking = system.staking
    other = system.join(accounts[OTHER], signer=accounts[OTHER])
    system.delegate(operator, alice, 50 * CVY)
    receipt = staking.redelegate(operator, other, 50 * CVY, 0, sender=alice)
    until = receipt.timestamp + UNBONDING
    assert event(receipt, staking.Redelegated) == {
        "from": operator,
        "to": other,
        "delegator": alice,
        "index": 0,
        "sharesFrom": 50 * CVY,
        "amount": 50 * CVY,
        "sharesTo": 50 * CVY,
        "gen": 0,
        "until": until,
    }
    assert (staking.movedIn(other), staking.sharesOf(other, alice)) == (50 * CVY, 0)
    assert staking.eligibleStake(other) == SELF_BOND + 50 * CVY
    entry = {"operator": operator.address, "owner": alice.address, "index": 0}
    with ape.reverts(staking.StakingMovedEntry, error_inputs=entry):
        staking.cancel(operator, 0, sender=alice)
    later(UNBONDING)
    receipt = staking.withdraw(operator, alice, 0, sender=stranger)
    assert event(receipt, staking.MoveEnded) == {
        "operator": operator,
        "to": other,
        "delegator": alice,
        "index": 0,
        "shares": 50 * CVY,
        "lost": 0,
        "toTreasury": 0,
    }
    assert (staking.movedIn(other), staking.sharesOf(other, alice)) == (0, 50 * CVY)


def test_invalid_undelegations_revert(system: System, operator: Any, alice: Any, stranger: Any) -> None:
    staking = system.staking
    system.delegate(operator, alice, 50 * CVY)
    with ape.reverts(staking.StakingZeroAmount):
        staking.undelegate(operator, 0, 0, sender=alice)
    inputs = {"owned": 50 * CVY, "wanted": 50 * CVY + 1}
    with ape.reverts(staking.StakingInsufficientShares, error_inputs=inputs):
        staking.undelegate(operator, 50 * CVY + 1, 0, sender=alice)
    with ape.reverts(staking.StakingInsufficientShares, error_inputs={"owned": 0, "wanted": 1}):
        staking.undelegate(operator, 1, 0, sender=stranger)
    with ape.reverts(staking.StakingSlippage, error_inputs={"got": CVY, "wanted": CVY + 1}):
        staking.undelegate(operator, CVY, CVY + 1, sender=alice)


def test_undelegate_reverts_if_shares_are_worth_nothing(
    system: System, operator: Any, alice: Any, duty: Any, chain: Any, later: Later
) -> None:
    system.delegate(operator, alice, CVY)
    later(1)
    earmark(system, operator, duty, SELF_BOND, chain)
    slash(system, operator, duty, SELF_BOND, SELF_BOND // 2)
    with ape.reverts(system.staking.StakingZeroAmount):
        system.staking.undelegate(operator, 1, 0, sender=alice)


# ---------------------------------------------------------------------- eligibility


def test_operator_below_its_self_bond_is_not_eligible(
    system: System, operator: Any, alice: Any, duty: Any, chain: Any, later: Later
) -> None:
    staking = system.staking
    system.delegate(operator, alice, 5 * SELF_BOND)
    staking.undelegate(operator, SELF_BOND - MIN_SELF_BOND, 0, sender=operator)
    later(1)
    assert staking.eligibleStake(operator) == 5 * SELF_BOND + MIN_SELF_BOND
    staking.undelegate(operator, 1, 0, sender=operator)
    later(1)
    assert staking.eligibleStake(operator) == 0
    assert not staking.isEligible(operator)
    with ape.reverts(staking.StakingNotEligible, error_inputs={"operator": operator.address}):
        earmark(system, operator, duty, 1, chain)


# ---------------------------------------------------------------------- duties


def test_duty_calls_revert_for_other_callers(system: System, operator: Any, stranger: Any, chain: Any) -> None:
    staking, moment = system.staking, chain.blocks.head.timestamp
    calls = [
        (staking.earmark, (operator, 1, moment - 1)),
        (staking.releaseEarmark, (operator, 0)),
        (staking.slash, ((operator, 0, 0, 0, 0, ZERO, False, False, False),)),
    ]
    for call, arguments in calls:
        with ape.reverts(staking.StakingNotDuty, error_inputs={"caller": stranger.address}):
            call(*arguments, sender=stranger)


def test_earmarks_share_the_stake(system: System, operator: Any, duty: Any, chain: Any, later: Later) -> None:
    staking = system.staking
    later(1)
    receipt = earmark(system, operator, duty, 600 * CVY, chain)
    assert event(receipt, staking.Earmarked) == {
        "operator": operator,
        "duty": duty,
        "amount": 600 * CVY,
        "total": 600 * CVY,
    }
    inputs = {"operator": operator.address, "free": 400 * CVY, "wanted": 400 * CVY + 1}
    with ape.reverts(staking.StakingStakeTooLow, error_inputs=inputs):
        earmark(system, operator, duty, 400 * CVY + 1, chain)
    earmark(system, operator, duty, 400 * CVY, chain)
    receipt = staking.releaseEarmark(operator, 300 * CVY, sender=duty)
    assert event(receipt, staking.EarmarkReleased) == {
        "operator": operator,
        "duty": duty,
        "amount": 300 * CVY,
        "total": 700 * CVY,
    }
    inputs = {"operator": operator.address, "earmarked": 700 * CVY, "wanted": 700 * CVY + 1}
    with ape.reverts(staking.StakingEarmarkTooLow, error_inputs=inputs):
        staking.releaseEarmark(operator, 700 * CVY + 1, sender=duty)
    with ape.reverts(staking.StakingZeroAmount):
        earmark(system, operator, duty, 0, chain)


def test_earmark_counts_past_and_current_stake(
    system: System, operator: Any, alice: Any, duty: Any, later: Later
) -> None:
    staking = system.staking
    quantum = MAX_TASK_LIFE // 14
    then = later(2 * quantum)
    later(1)
    system.delegate(operator, alice, SELF_BOND)
    with ape.reverts(staking.StakingStakeTooLow):
        staking.earmark(operator, SELF_BOND + 2**40, then, sender=duty)  # alice came later
    now = later(1)
    with ape.reverts(staking.StakingFutureLookup):
        staking.earmark(operator, 1, now + 100, sender=duty)
    later(1)
    staking.undelegate(operator, SELF_BOND, 0, sender=alice)
    inputs = {"operator": operator.address, "free": SELF_BOND, "wanted": SELF_BOND + 1}
    with ape.reverts(staking.StakingStakeTooLow, error_inputs=inputs):
        staking.earmark(operator, SELF_BOND + 1, now, sender=duty)  # and left again
    # An earmark keeps the operator's own stake in the pool.
    staking.earmark(operator, SELF_BOND, then, sender=duty)
    inputs = {"operator": operator.address, "earmarked": SELF_BOND}
    with ape.reverts(staking.StakingEarmarked, error_inputs=inputs):
        staking.undelegate(operator, SELF_BOND // 2, 0, sender=operator)
    inputs = {"operator": operator.address, "free": 0, "wanted": 1}
    with ape.reverts(staking.StakingStakeTooLow, error_inputs=inputs):
        staking.earmark(operator, 1, then, sender=duty)


def test_stakeSince_is_never_above_the_stake_then(system: System, operator: Any, alice: Any, later: Later) -> None:
    staking = system.staking
    quantum = MAX_TASK_LIFE // 14
    later(2 * quantum)
    before = later(10)
    later(2 * quantum)
    system.delegate(operator, alice, 7 * CVY)
    later(2 * quantum)
    second = staking.undelegate(operator, 3 * CVY, 0, sender=alice).timestamp
    now = later(10)
    assert staking.stakeSince(operator, before) == pytest.approx(SELF_BOND, abs=2**40)
    # The stake of the first change's quantum begins with the stake before it.
    assert staking.stakeSince(operator, second - 1) == pytest.approx(SELF_BOND + 4 * CVY, abs=2**40)
    assert staking.stakeSince(operator, second) == staking.stakeSince(operator, now - 1) == SELF_BOND + 4 * CVY
    assert staking.stakeSince(operator, 0) == staking.stakeSince(alice, before) == 0
    with ape.reverts(staking.StakingFutureLookup, error_inputs={"timepoint": now, "clock": now}):
        staking.stakeSince(operator, now)


def test_slash_takes_from_stake_and_from_who_left_since(
    system: System, operator: Any, alice: Any, stranger: Any, duty: Any, chain: Any, later: Later
) -> None:
    staking = system.staking
    system.delegate(operator, alice, SELF_BOND)
    later(2 * MAX_TASK_LIFE // 14)
    mark = staking.poolOf(operator)
    earmark(system, operator, duty, 1500 * CVY, chain)
    staking.undelegate(operator, SELF_BOND // 2, 0, sender=alice)
    receipt = slash(system, operator, duty, 1500 * CVY, 200 * CVY, stranger, mark=(mark.gen, mark.net))
    # 1,500 are active and 500 left since; the operator's own 1,000 lose 100, of which the reporter may have half, but
    # at most a tenth of all. What entries lose is credited when they end.
    found = event(receipt, staking.Slashed)
    assert found["fromActive"] == pytest.approx(150 * CVY, abs=10**13)
    assert found["fromActive"] + found["fromUnbonding"] == 200 * CVY
    assert (found["fromOwn"], found["ownShares"], found["capped"]) == (0, 0, False)
    assert (found["reporter"], found["reporterReward"]) == (stranger, 20 * CVY)
    assert found["toTreasury"] == found["fromActive"] - 20 * CVY
    record = event(receipt, staking.RecordAdded)
    assert (record["index"], record["gen"]) == (0, mark.gen)
    assert record["keep"] == pytest.approx(0.9 * 2**128, rel=1e-9)
    pool = staking.poolOf(operator)
    assert (pool.activeShares, pool.unbondingTokens, pool.earmarked) == (1500 * CVY, 500 * CVY, 1300 * CVY)
    assert pool.selfBond == pytest.approx(900 * CVY, abs=10**13)

    assert staking.owedTo(stranger) == 20 * CVY
    receipt = staking.payOwed(stranger, sender=alice)
    assert event(receipt, staking.OwedPaid) == {"account": stranger, "amount": 20 * CVY}
    with ape.reverts(staking.StakingNothingOwed, error_inputs={"account": stranger.address}):
        staking.payOwed(stranger, sender=alice)

    later(UNBONDING)
    done = event(staking.withdraw(operator, alice, 0, sender=alice), staking.Withdrawn)
    assert done["amount"] == pytest.approx(450 * CVY, abs=10**13)
    assert done["amount"] + done["lost"] == 500 * CVY
    staking.payOwed(system.treasury, sender=alice)
    assert system.token.balanceOf(system.treasury) == pytest.approx(180 * CVY, abs=10**13)


def test_invalid_slashes_revert(system: System, operator: Any, duty: Any, chain: Any, later: Later) -> None:
    staking = system.staking
    later(1)
    earmark(system, operator, duty, 100 * CVY, chain)
    with ape.reverts(staking.StakingSlashAboveEarmark, error_inputs={"amount": 11, "earmark": 10}):
        slash(system, operator, duty, 10, 11, ZERO, False)
    inputs = {"operator": operator.address, "earmarked": 100 * CVY, "wanted": 100 * CVY + 1}
    with ape.reverts(staking.StakingEarmarkTooLow, error_inputs=inputs):
        slash(system, operator, duty, 100 * CVY + 1, 1, ZERO, False)


def test_absences_cost_at_most_the_cap_and_jail(
    system: System, operator: Any, alice: Any, duty: Any, chain: Any, later: Later
) -> None:
    staking = system.staking
    later(1)
    earmark(system, operator, duty, SELF_BOND, chain)
    cap = SELF_BOND * ABSENCE_CAP // 10_000
    first = slash(system, operator, duty, SELF_BOND, cap - CVY, ZERO, True)
    assert event(first, staking.Slashed)["capped"]
    end = first.timestamp + UNBONDING
    assert event(first, staking.AbsencePeriod) == {"operator": operator, "since": first.timestamp, "until": end}
    assert tuple(staking.absenceOf(operator)) == (first.timestamp, cap - CVY, cap)
    assert staking.isEligible(operator)
    with ape.reverts(staking.StakingNotJailed, error_inputs={"operator": operator.address}):
        staking.unjail(sender=operator)

    second = slash(system, operator, duty, SELF_BOND - cap, 10 * CVY, ZERO, True)
    assert event(second, staking.Slashed)["toTreasury"] == CVY  # what the cap left
    assert event(second, staking.Jailed) == {"operator": operator, "until": end}
    assert staking.poolOf(operator).jailedUntil == end
    assert not staking.isEligible(operator)
    third = slash(system, operator, duty, SELF_BOND - cap, 10 * CVY, ZERO, True)
    assert event(third, staking.Slashed)["toTreasury"] == 0
    assert not third.decode_logs(staking.Jailed)  # it is in jail to the end of the period
    with ape.reverts(staking.StakingNotEligible, error_inputs={"operator": operator.address}):
        earmark(system, operator, duty, 1, chain)
    # Faults that are no absence are not capped.
    other = slash(system, operator, duty, SELF_BOND - cap, 100 * CVY)
    assert event(other, staking.Slashed)["toTreasury"] == 100 * CVY

    with ape.reverts(staking.StakingJailed, error_inputs={"operator": operator.address, "until": end}):
        staking.unjail(sender=operator)
    staking.releaseEarmark(operator, staking.poolOf(operator).earmarked - 10 * CVY, sender=duty)
    later(UNBONDING)
    assert not staking.isEligible(operator)  # until it says that it is back
    assert event(staking.unjail(sender=operator), staking.Unjailed) == {"operator": operator}
    assert staking.isEligible(operator)
    # The next period has a new cap.
    fresh = slash(system, operator, duty, CVY, CVY, ZERO, True)
    assert event(fresh, staking.Slashed)["toTreasury"] == CVY
    assert not fresh.decode_logs(staking.Jailed)


# ---------------------------------------------------------------------- rewards


def test_reward_pays_commission_and_drips_the_rest(
    system: System, operator: Any, alice: Any, reward_address: Any, duty: Any, stranger: Any, later: Later
) -> None:
    staking = system.staking
    system.delegate(operator, alice, SELF_BOND)
    receipt = reward(system, operator, duty, 100 * CVY)
    end = receipt.timestamp + DRIP
    assert event(receipt, staking.RewardAdded) == {
        "operator": operator,
        "amount": 100 * CVY,
        "paid": 10 * CVY,
        "dripping": 90 * CVY,
        "dripEnd": end,
    }
    assert system.token.balanceOf(reward_address) == 10 * CVY
    pool = staking.poolOf(operator)
    assert (pool.undripped, pool.dripEnd, pool.activeTokens) == (90 * CVY, end, 2 * SELF_BOND)
    later(DRIP // 3)
    # A view shows the pool as it is now, before anybody has brought it up to date.
    now = staking.clock()
    dripped = 90 * CVY * (now - receipt.timestamp) // DRIP
    assert staking.poolOf(operator).activeTokens == 2 * SELF_BOND + dripped
    accrued = staking.accrue(operator, sender=stranger)
    dripped = 90 * CVY * (accrued.timestamp - receipt.timestamp) // DRIP
    assert event(accrued, staking.Dripped) == {"operator": operator, "toActive": dripped, "toRewardAddress": 0}
    later(DRIP)
    pool = staking.poolOf(operator)
    assert (pool.undripped, pool.activeTokens) == (0, 2 * SELF_BOND + 90 * CVY)
    assert staking.tokensFor(operator, SELF_BOND) == pytest.approx(SELF_BOND + 45 * CVY, abs=10**12)
    staking.accrue(operator, sender=stranger)
    assert not staking.accrue(operator, sender=stranger).decode_logs(staking.Dripped)  # nothing is left to drip


def test_second_reward_ends_at_the_weighted_mean(system: System, operator: Any, duty: Any, later: Later) -> None:
    first = reward(system, operator, duty, 100 * CVY)
    later(DRIP // 2)
    second = reward(system, operator, duty, 300 * CVY)
    elapsed = second.timestamp - first.timestamp
    undripped = 90 * CVY - 90 * CVY * elapsed // DRIP
    rest = DRIP - elapsed
    mean = (undripped * rest + 270 * CVY * DRIP) // (undripped + 270 * CVY)
    assert event(second, system.staking.RewardAdded)["dripEnd"] == second.timestamp + mean
    dust = reward(system, operator, duty, 1)
    assert event(dust, system.staking.RewardAdded)["dripEnd"] == second.timestamp + mean


def test_invalid_rewards_revert(system: System, operator: Any, duty: Any) -> None:
    with ape.reverts(system.staking.StakingZeroAmount):
        reward(system, operator, duty, 0)
    with ape.reverts(system.staking.StakingAmountTooLarge, error_inputs={"amount": 2**88}):
        reward(system, operator, duty, 2**88)
    with ape.reverts(system.token.ERC20InsufficientAllowance):
        reward(system, operator, duty, 100_001 * CVY)


def test_reward_of_an_empty_pool_goes_to_the_reward_address(
    system: System, operator: Any, reward_address: Any, duty: Any, stranger: Any, later: Later
) -> None:
    staking = system.staking
    first = reward(system, operator, duty, 70 * CVY)
    gone = staking.undelegate(operator, SELF_BOND, 0, sender=operator)
    receipt = reward(system, operator, duty, 5 * CVY)
    assert event(receipt, staking.RewardAdded)["paid"] == 5 * CVY
    assert system.token.balanceOf(reward_address) == 12 * CVY
    later(DRIP)
    receipt = staking.accrue(operator, sender=stranger)
    dripped = event(receipt, staking.Dripped)["toRewardAddress"]
    assert staking.owedTo(reward_address) >= dripped > 0
    staking.payOwed(reward_address, sender=stranger)
    # All but what dripped to the operator before it left.
    left = 75 * CVY - system.token.balanceOf(reward_address)
    assert left == pytest.approx(63 * CVY * (gone.timestamp - first.timestamp) // DRIP, abs=10)
