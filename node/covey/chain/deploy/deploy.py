"""Deploys and wires all contracts, and verifies the wiring.

The contracts store each other's addresses as immutables, so the addresses are computed in advance from the deployer's
nonce (CREATE: the last 20 bytes of keccak256(rlp([deployer, nonce]))).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, dataclass, field, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

from eth_hash.auto import keccak
from eth_utils.address import to_checksum_address

from covey.chain import artifacts
from covey.chain.contracts import Call, Contracts, RegistryConfig, StakingConfig
from covey.chain.contracts.manager import Manager
from covey.chain.deploy.governance import GOVERNED, Governors, verify_roles, wiring
from covey.chain.deployment import ContractRecord, Deployment
from covey.chain.errors import WrongDeployment
from covey.chain.tx.oneshot import send
from covey.chain.units import CVY
from covey.protocol.abi import address_bytes
from covey.protocol.types import Windows

if TYPE_CHECKING:
    from covey.chain.rpc.client import Rpc
    from covey.chain.rpc.responses import Receipt
    from covey.chain.signing.keystore import TransactionSigner

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR

DUTIES = ("TaskRegistry", "AppealCommittee")
"""Contracts that may earmark and slash."""


@dataclass(frozen=True, slots=True)
class DeployConfig:
    """Parameters of a deployment. Amounts are wei, periods seconds.

    Attributes:
        supply: tokens minted to ``receiver``.
        receiver: account that receives the supply; None: ``governance``.
        treasury: account that is credited forfeits; None: ``governance``.
        tip: reward of the caller of a task's step, from the creator's bond.
        seed_distance: blocks between the request of a seed and its block; two epochs on Ethereum.
        governance: account that governs after the deployment; None: the deployer.
        governance_delay: delay of every action of governance, seconds.
        guardian: account that may pause entry without delay and veto scheduled calls; None: only governance may.
        must_hand_over: require a governance other than the deployer, its delay, and a guardian.
    """

    staking: StakingConfig
    registry: RegistryConfig
    supply: int = 100_000_000 * CVY
    receiver: str | None = None
    treasury: str | None = None
    tip: int = CVY // 10
    seed_distance: int = 64
    governance: str | None = None
    governance_delay: int = 0
    guardian: str | None = None
    must_hand_over: bool = False

    def governors(self, deployer: str) -> Governors:
        """The accounts that govern a deployment by ``deployer``."""
        return Governors(self.governance or deployer, self.governance_delay, self.guardian)

    @classmethod
    def public(cls) -> DeployConfig:
        """For a public network: windows longer than finality plus the work; a governance delay of two days."""
        return cls(
            staking=StakingConfig(
                min_self_bond=1_000 * CVY,
                unbonding_period=21 * DAY,
                max_task_life=14 * DAY,
                drip_period=7 * DAY,
                commission_notice=7 * DAY,
                max_commission_bps=5_000,
                absence_cap_bps=500,
                jail_period=3 * DAY,
                leverage=5,
            ),
            registry=RegistryConfig(
                min_windows=Windows(6 * HOUR, HOUR, HOUR, HOUR, 6 * HOUR, HOUR, 6 * HOUR, 12 * HOUR),
                min_bounty=100 * CVY,
                min_bond=10 * CVY,
                stake_multiple_bps=50_000,
                max_entries=1_024,
                max_target_seats=101,
                max_h=16_383,
                max_tau=4_095,
                max_floor=6_554,
                min_validator_bps=500,
                min_seats=9,
                min_sealed_tau=655,
            ),
            governance_delay=2 * DAY,
            must_hand_over=True,
        )

    @classmethod
    def devnet(cls) -> DeployConfig:
        """For a local network: windows of seconds, seeds two blocks ahead; the deployer governs."""
        return cls(
            staking=StakingConfig(
                min_self_bond=100 * CVY,
                unbonding_period=4 * HOUR,
                max_task_life=4 * HOUR,
                drip_period=HOUR,
                commission_notice=HOUR,
                max_commission_bps=5_000,
                absence_cap_bps=500,
                jail_period=HOUR,
                leverage=5,
            ),
            registry=RegistryConfig(
                min_windows=Windows(1, 1, 1, 1, 1, 1, 1, 1),
                min_bounty=CVY,
                min_bond=CVY,
                stake_multiple_bps=50_000,
                max_entries=1_024,
                max_target_seats=1_023,
                max_h=16_383,
                max_tau=4_095,
                max_floor=6_554,
                min_validator_bps=500,
                min_seats=9,
                min_sealed_tau=655,
            ),
            seed_distance=2,
        )


Progress = Callable[[str], None]
"""Called with one line per completed step."""


def create_address(deployer: str, nonce: int) -> str:
    """Address of the contract that ``deployer`` creates with the transaction ``nonce``."""
    import rlp  # type: ignore[import-untyped]

    minimal = nonce.to_bytes((nonce.bit_length() + 7) // 8, "big")
    return str(to_checksum_address(keccak(bytes(rlp.encode([bytes.fromhex(deployer[2:]), minimal])))[-20:]))


def deploy(
    rpc: Rpc, account: TransactionSigner, config: DeployConfig, *, progress: Progress | None = None
) -> Deployment:
    """Deploy and wire all contracts from ``account``, and verify the result.

    The account must send nothing else meanwhile, because the addresses depend on its nonce.

    Raises:
        ValueError: an address is malformed, or the configuration must hand over and does not; nothing was sent.
        ContractReverted: a constructor or a wiring call refused its arguments.
        WrongDeployment: the result on the chain differs from the configuration.
    """
    accounts = {name: getattr(config, name) for name in ("receiver", "treasury", "governance", "guardian")}
    checksummed: dict[str, Any] = {
        name: str(to_checksum_address(address_bytes(address)))
        for name, address in accounts.items()
        if address is not None
    }
    config = replace(config, **checksummed)
    _check_hand_over(config, account.address)
    return _Run(rpc, account, config, progress or (lambda _line: None)).deploy()


def _check_hand_over(config: DeployConfig, deployer: str) -> None:
    """Refuse a configuration that leaves a public network to its deployer."""
    if not config.must_hand_over:
        return
    if config.governance is None or config.governance.lower() == deployer.lower():
        raise ValueError("a public network needs a governance address other than the deployer: give --governance")
    if config.guardian is None or config.guardian.lower() == deployer.lower():
        raise ValueError("a public network needs a guardian address other than the deployer: give --guardian")
    if config.governance_delay <= 0:
        raise ValueError("a public network needs a governance delay above 0: give --governance-delay")


@dataclass(slots=True)
class _Run:
    rpc: Rpc
    account: TransactionSigner
    config: DeployConfig
    report: Progress
    records: dict[str, ContractRecord] = field(default_factory=dict)

    def deploy(self) -> Deployment:
        first = self.rpc.nonce(self.account.address)
        planned = {name: create_address(self.account.address, first + i) for i, name in enumerate(artifacts.CONTRACTS)}
        for name, arguments in self._arguments(planned).items():
            if name == "BeaconRandomness":  # three contracts, and so three blocks, exist
                check_randomness(self.rpc)
            self._create(name, arguments, planned[name])
        deployment = Deployment(self.rpc.chain_id, self.records)
        contracts = Contracts(self.rpc, deployment)
        for duty in DUTIES:
            self._send(contracts.staking.set_duty(deployment.address(duty), True))
        deployer = self.account.address
        manager = Manager(self.rpc, deployment.address("AccessManager"))
        for call in wiring(manager, deployment, self.config.governors(deployer), deployer):
            self._send(call)
        verify_wiring(contracts, self.config, deployer)
        return deployment

    def _arguments(self, at: dict[str, str]) -> dict[str, list[Any]]:
        config, deployer = self.config, self.account.address
        governance = config.governance or deployer
        treasury = config.treasury or governance
        manager, token, staking = at["AccessManager"], at["CoveyToken"], at["Staking"]
        registry, scoring, rewards = at["TaskRegistry"], at["Scoring"], at["Rewards"]
        randomness, appeals, jury = at["BeaconRandomness"], at["Appeals"], at["AppealCommittee"]
        faults, bounds = at["Faults"], at["TaskBounds"]
        return {
            "AccessManager": [deployer],
            "CoveyToken": [manager, config.receiver or governance, config.supply],
            "Staking": [manager, token, treasury, config.staking],
            "BeaconRandomness": [config.seed_distance],
            "TaskBounds": [manager, staking, config.registry],
            "TaskRegistry": [manager, staking, scoring, rewards, appeals, jury, faults, bounds],
            "Scoring": [registry, staking, rewards, randomness, appeals],
            "Rewards": [registry, scoring, appeals, staking, token, treasury, config.tip],
            "Appeals": [registry, staking, scoring, rewards, jury, token],
            "AppealCommittee": [registry, staking, rewards, randomness, appeals],
            "Faults": [registry, scoring],
            "Emissions": [manager, token, staking, registry, scoring, rewards],
        }

    def _create(self, name: str, arguments: list[Any], planned: str) -> None:
        from covey.chain.rpc.web3_provider import web3_of

        artifact = artifacts.load(name)
        contract = web3_of(self.rpc).eth.contract(abi=artifact.abi, bytecode=artifact.bytecode)
        values = [astuple(a) if is_dataclass(a) and not isinstance(a, type) else a for a in arguments]
        data = bytes.fromhex(contract.constructor(*values).data_in_transaction[2:])
        receipt = self._send(Call(None, data, f"deploy {name}"))
        address = to_checksum_address(receipt.contract_address or "0x" + "00" * 20)
        if address != planned:
            raise WrongDeployment(
                f"{name} was created at {address}, not at {planned}: the account sent another transaction meanwhile"
            )
        self.records[name] = ContractRecord(
            name=name,
            address=str(address),
            constructor_args=[_plain(argument) for argument in arguments],
            tx_hash=receipt.tx_hash,
            block=receipt.block,
            input_hash=artifact.input_hash,
            runtime_hash="0x" + keccak(self.rpc.code(str(address))).hex(),
            compiler=artifact.compiler,
            source_name=artifact.source_name,
            sources=artifact.sources,
        )
        self.report(f"{name} at {address}")

    def _send(self, call: Call) -> Receipt:
        receipt = send(self.rpc, self.account, call)
        if call.to is not None:
            self.report(call.describe)
        return receipt


def check_randomness(rpc: Rpc) -> None:
    """Refuse a chain whose blocks carry no randomness. The contract itself refuses a constant below 2^128.

    Raises:
        WrongDeployment: the prevrandao of the last three blocks are equal.
    """
    latest = rpc.block().number
    found = [str(rpc.block_json(number)["mixHash"]) for number in range(max(0, latest - 2), latest + 1)]
    if len(found) == 3 and len(set(found)) == 1:
        raise WrongDeployment(
            f"the prevrandao of blocks {latest - 2} to {latest} is {found[0]} in each: this chain has no beacon "
            "randomness, so whoever knows the constant chooses every committee; deploy to another network"
        )


_COMMITTEE = {
    "registry": "TaskRegistry",
    "staking": "Staking",
    "rewards": "Rewards",
    "randomness": "BeaconRandomness",
}


def verify_wiring(contracts: Contracts, config: DeployConfig | None = None, deployer: str | None = None) -> None:
    """Check each contract's code against this package, its references to the others, and the roles of its functions.

    Args:
        config: also check the tip and, if ``deployer`` is given, the holders of the roles.

    Raises:
        WrongDeployment: the first difference.
    """
    deployment, rpc = contracts.deployment, contracts.rpc
    deployment.verify(rpc)
    at = deployment.addresses
    wiring: dict[str, dict[str, str]] = {
        "AccessManager": {},
        "CoveyToken": {},
        "Staking": {"TOKEN": "CoveyToken"},
        "BeaconRandomness": {},
        "TaskBounds": {},
        "TaskRegistry": {
            "staking": "Staking",
            "scoring": "Scoring",
            "rewards": "Rewards",
            "appeals": "Appeals",
            "appealCommittee": "AppealCommittee",
            "faults": "Faults",
            "bounds": "TaskBounds",
        },
        "Scoring": {**_COMMITTEE, "appeals": "Appeals"},
        "Rewards": {
            "REGISTRY": "TaskRegistry",
            "SCORING": "Scoring",
            "APPEALS": "Appeals",
            "STAKING": "Staking",
            "TOKEN": "CoveyToken",
        },
        "Appeals": {
            "registry": "TaskRegistry",
            "staking": "Staking",
            "scoring": "Scoring",
            "rewards": "Rewards",
            "committee": "AppealCommittee",
            "TOKEN": "CoveyToken",
        },
        "AppealCommittee": {**_COMMITTEE, "appeals": "Appeals"},
        "Faults": {"registry": "TaskRegistry", "scoring": "Scoring"},
        "Emissions": {
            "token": "CoveyToken",
            "staking": "Staking",
            "registry": "TaskRegistry",
            "scoring": "Scoring",
            "rewards": "Rewards",
        },
    }
    for name, references in wiring.items():
        values = artifacts.immutable_values(name, rpc.code(at[name]))
        if values is None:
            raise WrongDeployment(f"the code of {name} at {at[name]} differs from this version of covey")
        for immutable, other in references.items():
            if values[immutable] != int(at[other], 16):
                raise WrongDeployment(f"{name} at {at[name]} refers to another {other} than {at[other]}")
    manager = Manager(rpc, at["AccessManager"])
    for name in GOVERNED:
        if (authority := manager.authority_of(name, at[name])).lower() != manager.address.lower():
            raise WrongDeployment(f"{name} is governed by {authority}, not {manager.address}")
    for duty in DUTIES:
        if not contracts.staking.is_duty(at[duty]):
            raise WrongDeployment(f"Staking does not admit {duty} as a duty contract")
    verify_roles(manager, deployment, config.governors(deployer) if config is not None and deployer else None)
    if config is not None and contracts.rewards.tip_amount() != config.tip:
        raise WrongDeployment("the tip of Rewards differs from the configuration")


def _plain(argument: Any) -> Any:
    """A constructor argument as JSON for the record: structs by field, large numbers as decimal strings."""
    if is_dataclass(argument) and not isinstance(argument, type):
        return {f.name: _plain(getattr(argument, f.name)) for f in fields(argument)}
    if isinstance(argument, int) and abs(argument) >= 1 << 53:
        return str(argument)
    return argument
