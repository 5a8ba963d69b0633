"""Staking: operators, pools, delegation, unbonding."""

from __future__ import annotations

from dataclasses import dataclass

from covey.chain.contracts.base import Binding, Call
from covey.chain.units import cvy


@dataclass(frozen=True, slots=True)
class Pool:
    """An operator's pool, including dripped rewards. Tokens are wei; see IStaking.PoolView."""

    signer: str
    reward_address: str
    commission_bps: int
    pending_commission_bps: int
    commission_from: int
    jailed_until: int
    active_tokens: int
    active_shares: int
    unbonding_tokens: int
    unbonding_shares: int
    earmarked: int
    undripped: int
    drip_end: int
    self_bond: int

    @property
    def registered(self) -> bool:
        """True once the operator has opened the pool."""
        return int(self.signer, 16) != 0

    @property
    def free(self) -> int:
        """Active tokens that are not earmarked."""
        return max(0, self.active_tokens - self.earmarked)


@dataclass(frozen=True, slots=True)
class StakingConfig:
    """Parameters of a Staking deployment; see IStaking.StakingConfig. Periods are seconds."""

    min_self_bond: int
    unbonding_period: int
    max_task_life: int
    drip_period: int
    commission_notice: int
    max_commission_bps: int
    absence_cap_bps: int
    jail_period: int


@dataclass(frozen=True, slots=True)
class UnbondingEntry:
    """One undelegation that is unbonding."""

    operator: str
    owner: str
    shares: int
    tokens: int
    until: int


class Staking(Binding):
    """Reads and writes of the staking contract. Amounts are wei of CVY."""

    artifact = "Staking"

    # ------------------------------------------------------------------ reads

    def signer_of(self, operator: str) -> str:
        """The hot key that acts for ``operator``; the zero address if none."""
        return str(self._read("signerOf", operator))

    def operator_of(self, signer: str) -> str:
        """The operator that ``signer`` acts for; the zero address if none."""
        return str(self._read("operatorOf", signer))

    def pool_of(self, operator: str) -> Pool:
        """The operator's pool."""
        return self._read_struct(Pool, "poolOf", operator)

    def shares_of(self, operator: str, delegator: str) -> int:
        """Active shares of ``delegator`` in the pool."""
        return int(self._read("sharesOf", operator, delegator))

    def tokens_for(self, operator: str, shares: int) -> int:
        """The current value of ``shares`` of the pool."""
        return int(self._read("tokensFor", operator, shares))

    def unbonding_entry(self, entry_id: int) -> UnbondingEntry:
        """One undelegation."""
        return self._read_struct(UnbondingEntry, "unbondingEntry", entry_id)

    def is_eligible(self, operator: str) -> bool:
        """Registered, not jailed and with at least the minimum self-bond."""
        return bool(self._read("isEligible", operator))

    def eligible_stake(self, operator: str) -> int:
        """Active tokens if eligible, else 0."""
        return int(self._read("eligibleStake", operator))

    def stake_at(self, operator: str, timepoint: int) -> int:
        """Active tokens as checkpointed at or before ``timepoint``, which must be past."""
        return int(self._read("stakeAt", operator, timepoint))

    def owed_to(self, account: str) -> int:
        """Credit of ``account`` that is not paid out yet, wei: shares of slashes, and drips of an empty pool."""
        return int(self._read("owedTo", account))

    def min_self_bond(self) -> int:
        """The minimum stake of an operator in its own pool."""
        return int(self._read("minSelfBond"))

    def unbonding_period(self) -> int:
        """Seconds between undelegation and withdrawal."""
        return int(self._read("unbondingPeriod"))

    def max_commission_bps(self) -> int:
        """Highest commission, 1/10000."""
        return int(self._read("maxCommissionBps"))

    def is_duty(self, account: str) -> bool:
        """True for contracts that may earmark, slash and reward."""
        return bool(self._read("isDuty", account))

    def paused(self) -> bool:
        """True while delegating is paused."""
        return bool(self._read("paused"))

    # ------------------------------------------------------------------ operators

    def register_operator(self, signer: str, reward_address: str, commission_bps: int) -> Call:
        """Open a pool; the sender becomes its operator."""
        description = f"register as operator, signer {signer}, commission {commission_bps / 100:g}%"
        return self._write(description, "registerOperator", signer, reward_address, commission_bps)

    def set_signer(self, signer: str) -> Call:
        """Change the hot key; takes effect at once."""
        return self._write(f"set the signer to {signer}", "setSigner", signer)

    def set_reward_address(self, reward_address: str) -> Call:
        """Change the address that receives the commission."""
        return self._write(f"send commission to {reward_address}", "setRewardAddress", reward_address)

    def set_commission(self, commission_bps: int) -> Call:
        """Lower the commission at once, or announce an increase."""
        return self._write(f"set commission to {commission_bps / 100:g}%", "setCommission", commission_bps)

    def apply_commission(self, operator: str) -> Call:
        """Apply an announced commission after its notice period."""
        return self._write(f"apply the announced commission of {operator}", "applyCommission", operator)

    def unjail(self) -> Call:
        """Leave jail after the jail period."""
        return self._write("leave jail", "unjail")

    # ------------------------------------------------------------------ delegators

    def delegate(self, operator: str, amount: int, min_shares: int = 0) -> Call:
        """Buy shares of a pool; needs an allowance of ``amount`` for Staking."""
        return self._write(f"delegate {cvy(amount)} to {operator}", "delegate", operator, amount, min_shares)

    def undelegate(self, operator: str, shares: int, min_tokens: int = 0) -> Call:
        """Start unbonding ``shares`` of a pool."""
        return self._write(f"undelegate {shares} shares from {operator}", "undelegate", operator, shares, min_tokens)

    def withdraw(self, entry_id: int) -> Call:
        """Withdraw a finished undelegation."""
        return self._write(f"withdraw unbonding entry {entry_id}", "withdraw", entry_id)

    def pay_owed(self, account: str) -> Call:
        """Pay out the credit of an account; see `owed_to`."""
        return self._write(f"pay out the credit of {account}", "payOwed", account)

    # ------------------------------------------------------------------ governance

    def set_duty(self, duty: str, allowed: bool) -> Call:
        """Admit or remove a duty contract."""
        return self._write(f"{'admit' if allowed else 'remove'} duty contract {duty}", "setDuty", duty, allowed)

    def set_paused(self, paused: bool) -> Call:
        """Pause or resume delegating."""
        return self._write("pause staking" if paused else "resume staking", "setPaused", paused)
