"""The deployed system of contracts with its configuration, and common actions of the tests."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ape.contracts import ContractContainer
from eth_account.messages import encode_typed_data
from ethpm_types import ContractType

CVY = 10**18
HOUR = 3600
DAY = 24 * HOUR

SUPPLY = 200_000_000 * CVY
MIN_SELF_BOND = 100 * CVY
SELF_BOND = 1000 * CVY
UNBONDING = 28 * DAY
MAX_TASK_LIFE = 28 * DAY
DRIP = 7 * DAY
NOTICE = 3 * DAY
MAX_COMMISSION = 5000  # 1/10000, as all shares
COMMISSION = 1000
ABSENCE_CAP = 500
JAIL = 2 * DAY
LEVERAGE = 5
STAKE_MULTIPLE = 50_000  # 1/10000
TIP = CVY
DISTANCE = 4  # blocks between a seed request and its target

STAKING_CONFIG = (MIN_SELF_BOND, UNBONDING, MAX_TASK_LIFE, DRIP, NOTICE, MAX_COMMISSION, ABSENCE_CAP, JAIL, LEVERAGE)
# Windows: entry commit, enrol, entry reveal, open, score commit, score reveal, settle, appeal.
REGISTRY_CONFIG = (
    (HOUR,) * 8,
    10 * CVY,  # minimum bounty
    5 * CVY,  # minimum creator's bond
    STAKE_MULTIPLE,  # minimum enrolled stake as a share of the bounty, 1/10000
    4096,  # entries
    201,  # seats
    8000,  # h
    4095,  # tau
    6554,  # score floor
    500,  # minimum share of validators, 1/10000
    9,  # minimum seats
    655,  # minimum tau of a sealed task
)


@dataclass(frozen=True)
class System:
    """All contracts and the accounts of the roles. `governor` holds the rest of the supply."""

    governor: Any
    treasury: Any
    creator: Any
    manager: Any
    token: Any
    staking: Any
    randomness: Any
    bounds: Any
    registry: Any
    scoring: Any
    rewards: Any
    appeals: Any
    committee: Any
    faults: Any

    def give(self, account: Any, amount: int, spender: Any) -> None:
        """Send `amount` of CVY to `account` and approve `spender` to transfer it."""
        self.token.transfer(account, amount, sender=self.governor)
        self.token.approve(spender, self.token.allowance(account, spender) + amount, sender=account)

    def join(self, operator: Any, signer: Any, self_bond: int = SELF_BOND, reward_address: Any = None) -> Any:
        """Register an operator with its self-bond."""
        consent = self.consent(operator, signer)
        self.staking.registerOperator(signer, reward_address or operator, COMMISSION, consent, sender=operator)
        self.delegate(operator, operator, self_bond)
        return operator

    def consent(self, operator: Any, signer: Any) -> bytes:
        """Return the signature by which a key agrees to act for the operator."""
        domain = {
            "name": "Covey Staking",
            "version": "1",
            "chainId": self.staking.provider.chain_id,
            "verifyingContract": str(self.staking.address),
        }
        types = {"Consent": [{"name": "operator", "type": "address"}, {"name": "nonce", "type": "uint256"}]}
        values = {"operator": str(operator), "nonce": self.staking.consentNonceOf(operator)}
        return bytes(signer.sign_message(encode_typed_data(domain, types, values)).encode_rsv())

    def delegate(self, operator: Any, delegator: Any, amount: int) -> Any:
        self.give(delegator, amount, self.staking)
        return self.delegate_own(operator, amount, 0, sender=delegator)

    def delegate_own(self, *arguments: Any, sender: Any) -> Any:
        """Call Staking.delegate. The property `delegate` of ape's addresses hides the contract's method."""
        return self.staking.invoke_transaction("delegate", *arguments, sender=sender)


CONTRACT_TYPES = Path(__file__).resolve().parents[3] / ".toolchain/contract-types"


@cache
def contract_named(name: str) -> ContractContainer:
    """Return a compiled contract, as `make build` wrote it. The test processes would share ape's own project cache."""
    return ContractContainer(ContractType.model_validate_json((CONTRACT_TYPES / f"{name}.json").read_text()))


def deploy(accounts: Any) -> System:
    """Deploy and connect all contracts. The first three accounts are governor, treasury and creator."""
    governor, treasury, creator = accounts[0], accounts[1], accounts[2]
    manager = governor.deploy(contract_named("AccessManager"), governor)
    token = governor.deploy(contract_named("CoveyToken"), manager, governor, SUPPLY)
    staking = governor.deploy(contract_named("Staking"), manager, token, treasury, STAKING_CONFIG)
    randomness = governor.deploy(contract_named("BeaconRandomness"), DISTANCE)
    bounds = governor.deploy(contract_named("TaskBounds"), manager, staking, REGISTRY_CONFIG)
    # The six refer to each other. Their addresses follow from the deployer's nonce.
    at = [governor.get_deployment_address(governor.nonce + i) for i in range(6)]
    registry_at, scoring_at, rewards_at, appeals_at, committee_at, faults_at = at
    others = (scoring_at, rewards_at, appeals_at, committee_at, faults_at)
    registry = governor.deploy(contract_named("TaskRegistry"), manager, staking, *others, bounds)
    scoring = governor.deploy(contract_named("Scoring"), registry_at, staking, rewards_at, randomness, appeals_at)
    rewards = governor.deploy(
        contract_named("Rewards"), registry_at, scoring_at, appeals_at, staking, token, treasury, TIP
    )
    appeals = governor.deploy(
        contract_named("Appeals"), registry_at, staking, scoring_at, rewards_at, committee_at, token
    )
    committee = governor.deploy(
        contract_named("AppealCommittee"), registry_at, staking, rewards_at, randomness, appeals_at
    )
    faults = governor.deploy(contract_named("Faults"), registry_at, scoring_at)
    assert [contract.address for contract in (registry, scoring, rewards, appeals, committee, faults)] == at
    for duty in (registry, committee):
        staking.setDuty(duty, True, sender=governor)
    return System(
        governor=governor,
        treasury=treasury,
        creator=creator,
        manager=manager,
        token=token,
        staking=staking,
        randomness=randomness,
        bounds=bounds,
        registry=registry,
        scoring=scoring,
        rewards=rewards,
        appeals=appeals,
        committee=committee,
        faults=faults,
    )
