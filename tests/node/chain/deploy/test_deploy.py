"""Deployment: wiring, records, hand-over, refused configurations."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_hash.auto import keccak
from tests.support.chain.anvil import CHAIN_ID, Chain

from covey.chain import artifacts
from covey.chain.contracts import Contracts, Manager
from covey.chain.contracts.manager import ADMIN_ROLE, GUARDIAN_ROLE
from covey.chain.deploy.deploy import DAY, DeployConfig, check_randomness, create_address, deploy, verify_wiring
from covey.chain.deployment import Deployment
from covey.chain.errors import ContractReverted, FatalError, Unreachable, WrongDeployment
from covey.chain.signing.keystore import LocalSigner
from covey.chain.tx.oneshot import send
from covey.chain.units import CVY

pytestmark = pytest.mark.daemon


def test_create_address_matches_known_addresses() -> None:
    """The addresses of the first contracts of anvil's first account."""
    deployer = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
    assert create_address(deployer, 0) == "0x5FbDB2315678afecb367f032d93F642f64180aa3"
    assert create_address(deployer, 1) == "0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512"


def test_records_match_the_chain(chain: Chain, deployment: Deployment, tmp_path: Path) -> None:
    folder = deployment.save(tmp_path)
    assert folder == tmp_path / str(CHAIN_ID)
    assert Deployment.load(folder) == deployment
    for name in artifacts.CONTRACTS:
        fields = json.loads((folder / f"{name}.json").read_text())
        assert fields["abi"] == artifacts.load(name).abi
        assert fields["compilerInputHash"] == artifacts.load(name).input_hash
        assert fields["runtimeBytecodeHash"] == "0x" + keccak(chain.rpc.code(fields["address"])).hex()
        receipt = chain.rpc.receipt(fields["transactionHash"])
        assert receipt is not None
        assert (receipt.contract_address or "").lower() == fields["address"].lower()
        assert receipt.block == fields["blockNumber"]
    assert deployment.start_block == min(record.block for record in deployment.contracts.values())


def test_deployment_passes_verification(contracts: Contracts) -> None:
    verify_wiring(contracts, DeployConfig.devnet())


def test_chain_without_randomness_is_refused(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """A constant that the contract's own bound lets pass."""
    answer = chain.rpc.block_json
    check_randomness(chain.rpc)
    monkeypatch.setattr(chain.rpc, "block_json", lambda block: answer(block) | {"mixHash": "0x" + "ab" * 32})
    with pytest.raises(WrongDeployment, match=r"the prevrandao of blocks \d+ to \d+ is 0x(ab){32} in each"):
        deploy(chain.rpc, chain.account(1), DeployConfig.devnet())


def test_verification_detects_a_wrong_contract(chain: Chain, deployment: Deployment) -> None:
    records = deployment.contracts
    empty = replace(records["Rewards"], address="0x" + "12" * 20)
    with pytest.raises(WrongDeployment, match="no contract at 0x1212"):
        Deployment(CHAIN_ID, records | {"Rewards": empty}).verify(chain.rpc)
    swapped = replace(records["Rewards"], address=records["Scoring"].address)
    with pytest.raises(WrongDeployment, match="not the recorded Rewards"):
        Deployment(CHAIN_ID, records | {"Rewards": swapped}).verify(chain.rpc)
    with pytest.raises(WrongDeployment, match="records of chain 5"):
        Deployment(5, records).verify(chain.rpc)
    with pytest.raises(WrongDeployment, match="has no Federation"):
        deployment.address("Federation")


def test_verification_detects_parts_of_two_deployments(chain: Chain, deployment: Deployment) -> None:
    other = deploy(chain.rpc, chain.account(1), DeployConfig.devnet())
    mixed = Deployment(CHAIN_ID, deployment.contracts | {"Rewards": other.contracts["Rewards"]})
    with pytest.raises(WrongDeployment, match=r"TaskRegistry at .* refers to another Rewards"):
        verify_wiring(Contracts(chain.rpc, mixed))
    with pytest.raises(WrongDeployment, match="tip of Rewards differs"):
        verify_wiring(Contracts(chain.rpc, other), replace(DeployConfig.devnet(), tip=7))


def test_verification_detects_a_removed_duty_and_unknown_code(
    chain: Chain, contracts: Contracts, deployer: LocalSigner
) -> None:
    scoring, registry = contracts.deployment.address("Scoring"), contracts.deployment.address("TaskRegistry")
    send(chain.rpc, deployer, contracts.staking.set_duty(registry, False))
    with pytest.raises(WrongDeployment, match="does not admit TaskRegistry"):
        verify_wiring(contracts)
    chain.ask("anvil_setCode", scoring, "0x6001600101")
    record = replace(contracts.deployment.contracts["Scoring"], runtime_hash="0x" + keccak(b"\x60\1\x60\1\1").hex())
    changed = Deployment(CHAIN_ID, contracts.deployment.contracts | {"Scoring": record})
    with pytest.raises(WrongDeployment, match=r"code of Scoring .* differs from this version"):
        verify_wiring(Contracts(chain.rpc, changed))


def test_read_of_a_missing_contract_is_transient(chain: Chain, deployment: Deployment) -> None:
    record = replace(deployment.contracts["Staking"], address="0x" + "12" * 20)
    wrong = Contracts(chain.rpc, Deployment(CHAIN_ID, deployment.contracts | {"Staking": record}))
    with pytest.raises(Unreachable, match=r"Staking at 0x1212.* returned a malformed result of minSelfBond"):
        wrong.staking.min_self_bond()


def test_governance_is_handed_over(chain: Chain) -> None:
    deployer, governance, guardian = chain.account(1), chain.account(2), chain.account(3)
    treasury = chain.account(4).address
    config = replace(
        DeployConfig.devnet(),
        governance=governance.address,
        governance_delay=DAY,
        guardian=guardian.address,
        treasury=treasury,
        receiver=governance.address,
    )
    lines: list[str] = []
    contracts = Contracts(chain.rpc, deploy(chain.rpc, deployer, config, progress=lines.append))
    assert lines[0].startswith("AccessManager at 0x")
    manager = Manager(chain.rpc, contracts.deployment.address("AccessManager"))
    assert manager.has_role(ADMIN_ROLE, deployer.address) == (False, 0)
    assert manager.has_role(ADMIN_ROLE, governance.address) == (True, DAY)
    assert manager.has_role(GUARDIAN_ROLE, guardian.address) == (True, 0)
    assert contracts.token.balance_of(governance.address) == contracts.token.total_supply() == config.supply
    for binding in (contracts.staking, contracts.registry):
        send(chain.rpc, guardian, binding.set_paused(True))
        assert binding.paused()
        with pytest.raises(ContractReverted) as caught:
            send(chain.rpc, deployer, binding.set_paused(False))
        assert caught.value.name == "AccessManagedUnauthorized"
    with pytest.raises(ContractReverted):
        send(chain.rpc, guardian, contracts.staking.set_duty(guardian.address, True))


def test_malformed_address_is_refused_before_sending(chain: Chain) -> None:
    for name in ("receiver", "treasury", "governance", "guardian"):
        wrong: dict[str, Any] = {name: "nobody"}
        config = replace(DeployConfig.devnet(), **wrong)
        with pytest.raises(ValueError, match="not an address"):
            deploy(chain.rpc, chain.account(1), config)
    assert chain.rpc.nonce(chain.account(1).address) == 0


def test_error_of_a_constructor_is_reported(chain: Chain) -> None:
    config = DeployConfig.devnet()
    short = replace(config, staking=replace(config.staking, unbonding_period=1))
    with pytest.raises(ContractReverted, match="deploy Staking: StakingBadConfig\\(name=unbondingPeriod\\)"):
        deploy(chain.rpc, chain.account(1), short)


def test_public_configuration_deploys(chain: Chain) -> None:
    config = replace(DeployConfig.public(), governance=chain.account(2).address, guardian=chain.account(3).address)
    contracts = Contracts(chain.rpc, deploy(chain.rpc, chain.account(1), config))
    assert contracts.staking.unbonding_period() == 21 * DAY
    assert contracts.bounds.config() == DeployConfig.public().registry
    assert contracts.staking.min_self_bond() == 1_000 * CVY


def test_unusable_records_are_refused(deployment: Deployment, tmp_path: Path) -> None:
    with pytest.raises(FatalError, match="no deployment records"):
        Deployment.load(tmp_path / "nowhere")
    folder = deployment.save(tmp_path)
    (folder / "Scoring.json").write_text("{}")
    with pytest.raises(FatalError, match=r"Scoring\.json: not a deployment record"):
        Deployment.load(folder)
    (folder / "Scoring.json").unlink()
    with pytest.raises(FatalError, match="no record of Scoring"):
        Deployment.load(folder)
    deployment.save(tmp_path)
    fields = json.loads((folder / "Scoring.json").read_text())
    (folder / "Scoring.json").write_text(json.dumps(fields | {"chainId": 5}))
    with pytest.raises(FatalError, match=r"records of several chains \[5, 31337\]"):
        Deployment.load(folder)
