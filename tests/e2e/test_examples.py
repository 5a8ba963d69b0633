"""The programs in examples/ run on a local network with one paid task, and print what they promise."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.chain.scenario import Scenario

from covey.chain.rpc.client import Rpc
from covey.chain.signing.keystore import LocalSigner
from covey.devnet.local import Account, LocalNetwork
from covey.protocol.scores import LANES

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

pytestmark = [pytest.mark.daemon, pytest.mark.xdist_group("examples")]


class LocalChain:
    """A `LocalNetwork` as the chain of a `Scenario`."""

    def __init__(self, local: LocalNetwork) -> None:
        self.local = local
        self.rpc: Rpc = local.rpc

    def account(self, number: int) -> LocalSigner:
        signer = LocalSigner.from_key(number.to_bytes(32, "big"))
        self.local.anvil.set_balance(signer.address, 10**20)
        return signer

    def jump(self, timestamp: int) -> None:
        self.local.anvil.jump_to(timestamp)

    def mine(self, blocks: int) -> None:
        if blocks > 0:
            self.local.anvil.mine(blocks)


@dataclass(frozen=True)
class PaidNetwork:
    """A network whose task 1 is paid and claimed."""

    local: LocalNetwork
    scenario: Scenario
    delegator: Account

    @property
    def access(self) -> tuple[str, str]:
        """Arguments that name the network."""
        return self.local.anvil.url, str(self.local.deployment_folder)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PaidNetwork]:
    with LocalNetwork(tmp_path_factory.mktemp("examples")) as local:
        scenario = Scenario(LocalChain(local), local.chain.contracts, local.deployer, seed=7)
        for step in (scenario.post, scenario.enter, scenario.draw, scenario.score):
            step()
        local.anvil.jump_to(local.chain.contracts.scoring.round_of(1).score_reveal_end)
        settlement = scenario.finish()
        rewards = local.chain.contracts.rewards
        for lane in range(scenario.entries):
            median = settlement.medians[lane]
            if rewards.entry_reward(1, median):
                word, proof = scenario.entry_proof(settlement, lane)
                assert word >> (240 - 16 * (lane % LANES)) & 0x7FFF == median
                local.send(local.deployer, [rewards.claim_entry(1, lane, word, proof)])
        delegator = local.account("delegator")
        local.fund({delegator.address: 10**21})
        yield PaidNetwork(local, scenario, delegator)


def load(name: str) -> Callable[..., int]:
    """The `main` of an example."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    main: Callable[..., int] = module.main
    return main


def test_every_example_is_tested_and_listed() -> None:
    names = {path.stem for path in EXAMPLES.glob("*.py")}
    assert names == {"read_task", "verify_payout", "delegate", "write_policy"}
    readme = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert [name for name in names if f"`{name}.py`" not in readme] == []


def test_read_task_prints_a_paid_task(network: PaidNetwork, capsys: pytest.CaptureFixture[str]) -> None:
    assert load("read_task")(*network.access, 1) == 0
    shown = capsys.readouterr().out
    assert "bounty 400 CVY, 20% of it for validators" in shown
    assert "entries: 3 committed, 3 revealed, at most 64" in shown
    assert "outcome: paid" in shown
    assert load("read_task")(*network.access, 9) == 2
    assert capsys.readouterr().err == "there is no task 9 (tasks: 1 to 1)\n"


def test_verify_payout_agrees_with_the_chain(network: PaidNetwork, capsys: pytest.CaptureFixture[str]) -> None:
    assert load("verify_payout")(*network.access, 1) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert any(line.endswith("as paid") for line in lines)
    assert "figures of task 1 compared, 0 differ" in lines[-1]


def test_delegate_sends_and_prints_the_value(network: PaidNetwork, capsys: pytest.CaptureFixture[str]) -> None:
    key = (str(network.delegator.keystore), str(network.local.password_file))
    operator = network.scenario.scorers[0].address
    assert load("delegate")(*network.access, *key, operator, "250") == 0
    shown = capsys.readouterr().out
    assert f"delegate 250 CVY to {operator}: block" in shown
    assert "of the pool" in shown
    assert load("delegate")(*network.access, *key, operator, "5000") == 2
    assert "holds 750 CVY, less than 5000 CVY" in capsys.readouterr().err
    assert load("delegate")(*network.access, *key, network.delegator.address, "1") == 2
    assert "is not an operator" in capsys.readouterr().err


def test_write_policy_prints_a_decision(network: PaidNetwork, capsys: pytest.CaptureFixture[str]) -> None:
    assert load("write_policy")(*network.access) == 0
    assert capsys.readouterr().out == "task 1: pays 5 CVY per possible entry, less than 100 CVY\n"
