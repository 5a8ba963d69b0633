"""Staking: operators, pools, delegation, entries of who leaves."""

from __future__ import annotations

from dataclasses import dataclass

from eth_utils.address import to_checksum_address

from covey.chain.contracts.base import Binding, Call
from covey.chain.contracts.consent import Consent
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
    moved_tokens: int
    earmarked: int
    undripped: int
    drip_end: int
    drip_backing: int
    self_bond: int
    bonded: bool
    gen: int
    records: int
    net: int

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
    leverage: int


@dataclass(frozen=True, slots=True)
class UnbondingEntry:
    """Stake that left a pool; see IStaking.EntryView. Tokens are wei."""

    tokens: int
    worth: int
    until: int
    gen: int
    records: int
    moved_to: str
    shares: int

    @property
    def open(self) -> bool:
        """True until it is withdrawn or cancelled."""
        return self.tokens != 0

    @property
    def moved(self) -> bool:
        """True if its stake went to another pool."""
        return int(self.moved_to, 16) != 0


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

    def entry_count(self, operator: str, owner: str) -> int:
        """How often ``owner`` left the pool; its entries have the indices below."""
        return int(self._read("entryCount", operator, owner))

    def entry_of(self, operator: str, owner: str, index: int) -> UnbondingEntry:
        """One entry of an owner in a pool."""
        return self._read_struct(UnbondingEntry, "entryOf", operator, owner, index)

    def operator_count(self) -> int:
        """Number of operators."""
        return int(self._read("operatorCount"))

    def operator_at(self, index: int) -> str:
        """An operator by the order of registration."""
        return str(self._read("operatorAt", index))

    def consent_of(self, operator: str) -> Consent:
        """What the next signer of ``operator`` must sign."""
        nonce = int(self._read("consentNonceOf", operator))
        return Consent(self.rpc.chain_id, self.address, to_checksum_address(operator), nonce)

    def is_eligible(self, operator: str) -> bool:
        """Registered, not jailed and with at least the minimum self-bond."""
        return bool(self._read("isEligible", operator))

    def eligible_stake(self, operator: str) -> int:
        """Active tokens if eligible, else 0."""
        return int(self._read("eligibleStake", operator))

    def stake_since(self, operator: str, timepoint: int) -> int:
        """Active tokens that the pool certainly had at ``timepoint``, which must be past."""
        return int(self._read("stakeSince", operator, timepoint))

    def moved_in(self, operator: str) -> int:
        """Active tokens that moved in from other pools and do not vote yet."""
        return int(self._read("movedIn", operator))

    def owed_to(self, account: str) -> int:
        """Credit of ``account`` that is not paid out yet, wei: shares of slashes, and drips that no stake backs."""
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
        """True for contracts that may earmark."""
        return bool(self._read("isDuty", account))

    def leverage(self) -> int:
        """Maximum of an operator's earmarks, in multiples of its self-bond."""
        return int(self._read("leverage"))

    def paused(self) -> bool:
        """True while delegating is paused."""
        return bool(self._read("paused"))

    # ------------------------------------------------------------------ operators

    def register_operator(self, signer: str, reward_address: str, commission_bps: int, consent: bytes) -> Call:
        """Open a pool; the sender becomes its operator. ``consent`` is the signer's signature of `consent_of`."""
        description = f"register as operator, signer {signer}, commission {commission_bps / 100:g}%"
        return self._write(description, "registerOperator", signer, reward_address, commission_bps, consent)

    def set_signer(self, signer: str, consent: bytes) -> Call:
        """Change the hot key; takes effect at once. ``consent`` is the new signer's signature of `consent_of`."""
        return self._write(f"set the signer to {signer}", "setSigner", signer, consent)

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

    def withdraw(self, operator: str, owner: str, index: int) -> Call:
        """End a finished entry: its owner receives the tokens, or the shares of the pool that it moved to."""
        return self._write(f"withdraw entry {index} of {owner} in {operator}", "withdraw", operator, owner, index)

    def cancel(self, operator: str, index: int) -> Call:
        """Delegate the sender's entry to the pool that it left."""
        return self._write(f"cancel entry {index} in {operator}", "cancel", operator, index)

    def redelegate(self, source: str, target: str, shares: int, min_shares: int = 0) -> Call:
        """Move shares of one pool to another; they are an entry of the first for the unbonding period."""
        what = f"move {shares} shares from {source} to {target}"
        return self._write(what, "redelegate", source, target, shares, min_shares)

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
