"""A whole arena task by real nodes on a real geth, over http, ws and ipc.

geth runs as an execution client of a public network, with the test as its beacon chain, so that chain time can jump
over long windows. The long form runs the same task in geth's development mode too, where every window passes in real
time: six minutes.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.chaos.scenario import Scenario
from tests.support.fork_pool import ForkPool
from tests.support.geth.beacon import DrivenGeth
from tests.support.geth.daemon import CHAIN_ID, Geth
from tests.support.geth.fixtures import new_geth
from tests.support.network import WINDOWS, Network, nodes_on

from covey.audit.chain import Chain
from covey.chain.deploy.deploy import DeployConfig, deploy
from covey.chain.signing.keystore import LocalSigner
from covey.devnet.local import LocalNetwork, write_private
from covey.protocol.types import Outcome, Windows

pytestmark = [pytest.mark.daemon, pytest.mark.slow, pytest.mark.timeout(3600)]

REAL_SECONDS = Windows(120, 40, 40, 0, 120, 60, 900, 0)
"""Trainers train in the first window, validators score in the fifth."""
PATIENCE = 1_800.0


@dataclass
class GethAsAnvil:
    """The part of `Anvil` that a local network uses, on geth."""

    geth: Geth

    @property
    def url(self) -> str:
        return self.geth.http

    def set_balance(self, address: str, wei: int) -> None:
        self.geth.fund(address, ether=wei // 10**18)

    def time(self) -> int:
        return self.geth.rpc.block().timestamp

    def jump_to(self, timestamp: int) -> int:
        """Jump if this geth can; in development mode, wait."""
        if isinstance(self.geth, DrivenGeth):
            self.geth.jump_to(timestamp)
        while (ahead := timestamp - self.time()) > 0:
            time.sleep(min(1.0, ahead))
        return 0


class GethNetwork(LocalNetwork):
    """Covey's contracts on geth."""

    def __init__(self, out: Path, geth: Geth) -> None:
        super().__init__(out)
        self.anvil = GethAsAnvil(geth)  # type: ignore[assignment]

    def __enter__(self) -> GethNetwork:
        self.deployer = LocalSigner.from_key(secrets.token_bytes(32))
        self.rpc = self.anvil.geth.rpc  # type: ignore[attr-defined]
        self.anvil.set_balance(self.deployer.address, 10_000 * 10**18)
        self.deployment = deploy(self.rpc, self.deployer, DeployConfig.devnet())
        self.deployment_folder = self.deployment.save(self.out / "deployments")
        self.chain = Chain(self.rpc, self.deployment)
        write_private(self.password_file, self._password + "\n")
        return self

    def __exit__(self, *_: object) -> None:
        pass


@contextmanager
def geth_network(folder: Path, geth: Geth, executor: str, pool: ForkPool) -> Iterator[Network]:
    with geth, GethNetwork(folder / "net", geth) as local, nodes_on(local, folder, executor, pool.launch) as net:
        yield net


@pytest.mark.parametrize(
    ("kind", "windows", "settings"),
    [
        pytest.param(DrivenGeth, WINDOWS, {"confirmations": None}, id="driven"),  # duties wait for finalised blocks
        pytest.param(Geth, REAL_SECONDS, {"confirmations": 1}, id="dev", marks=[pytest.mark.long, pytest.mark.ci]),
    ],
)
def test_an_arena_task_on_geth(
    tmp_path: Path, workers: str, pool: ForkPool, kind: type[Geth], windows: Windows, settings: dict[str, Any]
) -> None:
    geth = new_geth(tmp_path / "geth", kind)
    with geth_network(tmp_path, geth, workers, pool) as net:
        assert net.local.deployment.chain_id == CHAIN_ID
        http, ws, ipc = (geth.urls[name] for name in ("http", "ws", "ipc"))
        missing = str(tmp_path / "missing.ipc")
        trainers = [net.add("trainer", rpc_urls=urls, **settings) for urls in ([http], [ws])]
        validators = [
            net.add("validator", rpc_urls=urls, **settings, **{"policy.earmark": "2100 CVY"})
            for urls in ([ipc, http], [missing, ws, ipc])
        ]
        net.start()
        scenario = Scenario(net, trainers, validators, patience=PATIENCE)
        task = scenario.run(windows=windows)  # until all that the contracts owe is claimed
        assert task.outcome == Outcome.PAID, net.logs()
        assert scenario.unclaimed(task) == [], net.logs()
        assert net.local.chain.contracts.registry.outcome_of(task.id) == Outcome.PAID
        for node in net.nodes:
            assert not node.report().get("missed"), node.report()
            assert node.stop() == 0
