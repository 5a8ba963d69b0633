"""`covey.client` on a local chain: connecting, reading tasks, moving stake, and its errors."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.chain.anvil import Chain
from tests.support.chain.scenario import Scenario

from covey import client
from covey.chain.contracts import Contracts
from covey.chain.deployment import Deployment
from covey.chain.signing.keystore import LocalSigner
from covey.chain.units import CVY
from covey.protocol.types import Outcome

pytestmark = pytest.mark.daemon


@pytest.fixture
def network(chain: Chain, deployment: Deployment, tmp_path: Path) -> client.Network:
    return client.connect(chain.url, deployment.save(tmp_path))


@pytest.fixture
def operator(chain: Chain, contracts: Contracts, deployer: LocalSigner) -> str:
    """An operator with a pool."""
    scenario = Scenario(chain, contracts, deployer, seed=1)
    return scenario.join(0x900, 3_000 * CVY).address


@pytest.fixture
def wallet(network: client.Network, chain: Chain, contracts: Contracts, deployer: LocalSigner) -> client.Wallet:
    """A wallet with 500 CVY."""
    signer = chain.account(0x777)
    client.Wallet(chain.rpc, deployer).send(contracts.token.transfer(signer.address, 500 * CVY))
    return network.wallet(signer)


def test_connect_refuses_a_folder_without_records(chain: Chain, tmp_path: Path) -> None:
    with pytest.raises(client.InvalidInput, match="no deployment records"):
        client.connect(chain.url, tmp_path)


def test_connect_reports_an_endpoint_that_does_not_respond(deployment: Deployment, tmp_path: Path) -> None:
    with pytest.raises(client.NetworkError):
        client.connect("http://127.0.0.1:1", deployment.save(tmp_path))


def test_lost_connection_is_a_client_error(network: client.Network, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        from covey.chain.errors import Unreachable

        raise Unreachable("no RPC endpoint answered")

    monkeypatch.setattr(network.rpc, "request", fail)
    with pytest.raises(client.NetworkError, match="no RPC endpoint answered"):
        network.tasks()


def test_tasks_are_read_newest_first(
    network: client.Network, chain: Chain, contracts: Contracts, deployer: LocalSigner
) -> None:
    assert network.tasks() == []
    with pytest.raises(client.UnknownTask, match="none yet"):
        network.task(1)
    scenario = Scenario(chain, contracts, deployer, seed=2)
    scenario.post()
    [task] = network.tasks()
    assert task == network.task(1)
    assert (task.id, task.running, task.phase.value) == (1, True, "entry commit")
    assert task.deadline == task.schedule.entry_commit_end
    assert task.params.bounty == scenario.params.bounty
    assert task.state.outcome == Outcome.RUNNING
    with pytest.raises(client.UnknownTask, match=r"no task 2 \(tasks: 1 to 1\)"):
        network.verify_payout(2)
    report = network.verify_payout(1)
    assert report.matches
    assert report.explanation.stage == "0 entries committed, 0 revealed, 0 validators enrolled"


def test_delegation_goes_in_and_out(
    network: client.Network, wallet: client.Wallet, operator: str, chain: Chain
) -> None:
    staking = network.contracts.staking
    sent = network.delegate(wallet, operator, 300 * CVY)
    assert [transaction.purpose.split()[0] for transaction in sent] == ["allow", "delegate"]
    assert staking.tokens_for(operator, staking.shares_of(operator, wallet.address)) == 300 * CVY
    assert network.operator_of(operator) == operator, "the operator signs for itself"

    [left] = network.undelegate(wallet, operator, 100 * CVY)
    assert left.gas_used > 21_000
    [owned] = network.entries_of(wallet.address)
    assert (owned.operator, owned.index, owned.entry.worth) == (operator, 0, 100 * CVY)
    with pytest.raises(client.InvalidInput, match=rf"entry {owned.name} ends at .* UTC, not yet"):
        network.withdraw(wallet, operator, 0)
    with pytest.raises(client.InvalidInput, match="the next of 1 unbonding entries ends at"):
        network.withdraw(wallet)
    with pytest.raises(client.InvalidInput, match=rf"has no unbonding entry {operator}/1 \(it has {owned.name}\)"):
        network.cancel(wallet, operator, 1)
    network.undelegate(wallet, operator, 50 * CVY)
    network.cancel(wallet, operator, 1)
    assert staking.tokens_for(operator, staking.shares_of(operator, wallet.address)) == 200 * CVY
    chain.jump(owned.entry.until)
    network.withdraw(wallet)
    assert network.contracts.token.balance_of(wallet.address) == 300 * CVY
    assert network.entries_of(wallet.address) == []


def test_stake_moves_to_another_operator(
    network: client.Network, wallet: client.Wallet, operator: str, chain: Chain, contracts: Contracts,
    deployer: LocalSigner,
) -> None:  # fmt: skip
    other = Scenario(chain, contracts, deployer, seed=3).join(0x77, 200 * CVY).address
    network.delegate(wallet, operator, 300 * CVY)
    with pytest.raises(client.InvalidInput, match="is both the source and the target"):
        network.redelegate(wallet, operator, operator)
    network.redelegate(wallet, operator, other, 100 * CVY)
    [owned] = network.entries_of(wallet.address)
    assert (owned.operator, owned.entry.moved_to, contracts.staking.moved_in(other)) == (operator, other, 100 * CVY)
    with pytest.raises(client.InvalidInput, match=r"moved to .* and cannot be cancelled"):
        network.cancel(wallet, operator, owned.index)
    chain.jump(owned.entry.until)
    network.withdraw(wallet)
    assert contracts.staking.shares_of(other, wallet.address) == 100 * CVY
    assert contracts.staking.moved_in(other) == 0


def test_pool_needs_the_consent_of_its_signer(
    network: client.Network, wallet: client.Wallet, chain: Chain, contracts: Contracts
) -> None:
    hot = chain.account(0x78)
    wanted = contracts.staking.consent_of(wallet.address)
    with pytest.raises(client.InvalidInput, match=r"consent: there is no consent of .* `covey keys consent 0x"):
        network.stake(wallet, 200 * CVY, signer=hot.address)
    wrong = client.sign_consent(chain.account(0x79), wanted)
    with pytest.raises(client.InvalidInput, match="consent: the consent is not of"):
        network.stake(wallet, 200 * CVY, signer=hot.address, consent=wrong)
    network.stake(wallet, 200 * CVY, signer=hot.address, consent=client.sign_consent(hot, wanted))
    assert contracts.staking.signer_of(wallet.address) == hot.address


def test_closed_pool_takes_no_delegation(
    network: client.Network, wallet: client.Wallet, chain: Chain, contracts: Contracts
) -> None:
    from tests.support.chain.registration import registration

    from covey.chain.tx.oneshot import send

    poor = chain.account(0x7A)
    send(chain.rpc, poor, registration(contracts, poor.address, poor))
    with pytest.raises(client.InvalidInput, match="is closed: its operator holds 0 CVY, less than 100 CVY"):
        network.delegate(wallet, poor.address, CVY)


def test_invalid_delegations_are_not_sent(network: client.Network, wallet: client.Wallet, operator: str) -> None:
    with pytest.raises(client.InsufficientBalance, match="holds 500 CVY, less than 501 CVY"):
        network.delegate(wallet, operator, 501 * CVY)
    with pytest.raises(client.InvalidInput, match="is not an operator"):
        network.delegate(wallet, wallet.address, CVY)
    with pytest.raises(client.InvalidInput, match="has nothing in the pool"):
        network.undelegate(wallet, operator)
    with pytest.raises(client.InvalidInput, match="commission_bps: 9999 is above the maximum"):
        network.stake(wallet, 100 * CVY, signer=wallet.address, commission_bps=9999)
    with pytest.raises(client.InvalidInput, match="below the network's minimum of 100 CVY: stake at least 100 CVY"):
        network.stake(wallet, 100 * CVY - 1, signer=wallet.address)
    with pytest.raises(client.InvalidInput, match="no operator names"):
        network.operator_of(wallet.address)
    assert network.rpc.nonce(wallet.address) == 0


def test_reverted_call_begins_with_its_purpose(network: client.Network, wallet: client.Wallet) -> None:
    with pytest.raises(client.TransactionFailed, match=r"^set commission to 1%: StakingUnknownOperator"):
        wallet.send(network.contracts.staking.set_commission(100))


def test_keystore_errors_are_invalid_input(tmp_path: Path) -> None:
    with pytest.raises(client.InvalidInput, match="no such keystore"):
        client.open_keystore(tmp_path / "missing.json", "password")
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(client.InvalidInput):
        client.open_keystore(tmp_path / "other.json", "password")
