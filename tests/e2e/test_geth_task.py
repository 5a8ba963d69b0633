"""A whole arena task by real nodes on a real geth: real seconds, blocks of their own, http, ws and ipc side by side.

Every window must really pass, so this takes six minutes: `make test-geth` runs it. The same task by the same
contracts and senders, scripted, is in tests/node/chain/test_geth.py and runs with every suite.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.e2e.nodes import Network, fork_server, tiny_spec
from tests.geth.daemon import CHAIN_ID, Geth
from tests.geth.fixtures import new_geth

from covey.audit.chain import Chain
from covey.chain.deploy import DeployConfig, deploy
from covey.chain.keys import LocalSigner
from covey.devnet.local import LocalNetwork, write_private
from covey.ipfs import BlockStore, Gateway
from covey.protocol.types import Outcome, Windows

pytestmark = [
    pytest.mark.daemon,
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(not os.environ.get("COVEY_LONG"), reason="takes six minutes: `make test-geth`"),
]

WINDOWS = Windows(120, 40, 40, 0, 120, 60, 900, 0)
"""Seconds; training has the first of them, scoring the fifth."""


@dataclass
class GethAsDevnet:
    """What a local network wants of its chain."""

    geth: Geth

    @property
    def url(self) -> str:
        return self.geth.http

    def set_balance(self, address: str, wei: int) -> None:
        self.geth.fund(address, ether=wei // 10**18)

    def jump_to(self, timestamp: int) -> int:
        """Nothing jumps: wait."""
        while (ahead := timestamp - self.geth.rpc.block().timestamp) > 0:
            time.sleep(min(1.0, ahead))
        return 0


class OnGeth(LocalNetwork):
    """Covey's contracts on geth."""

    def __init__(self, out: Path, geth: Geth) -> None:
        super().__init__(out)
        self.anvil = GethAsDevnet(geth)  # type: ignore[assignment]

    def __enter__(self) -> OnGeth:
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
def network(folder: Path, geth: Geth) -> Iterator[Network]:
    with fork_server(folder) as executor, geth, OnGeth(folder / "net", geth) as local:
        store = BlockStore(folder / "creator")
        with Gateway(store) as gateway:
            net = Network(local, gateway, store, executor)
            try:
                yield net
            finally:
                for node in net.nodes:
                    if node.process is not None and node.process.poll() is None:
                        node.kill()


def test_an_arena_task_on_geth(tmp_path: Path) -> None:
    geth = new_geth(tmp_path / "geth")
    with network(tmp_path, geth) as net:
        assert net.local.deployment.chain_id == CHAIN_ID
        http, ws, ipc = (geth.urls[name] for name in ("http", "ws", "ipc"))
        for urls in ([http], [ws]):
            net.add("trainer", rpc_urls=urls, confirmations=1)
        dead = str(tmp_path / "nothing.ipc")
        for urls in ([ipc, http], [dead, ws, ipc]):
            net.add("validator", rpc_urls=urls, confirmations=1, **{"policy.earmark": "2100 CVY"})
        net.start()
        task_id = net.post(tiny_spec(), windows=WINDOWS)
        patience = 1_800.0
        net.wait("entries", lambda: len(net.task(task_id).entries) == 2, patience)
        net.wait("enrolment", lambda: len(net.task(task_id).enrolled) == 2, patience)
        net.wait("the end", lambda: net.task(task_id).outcome != Outcome.RUNNING, patience)
        assert net.task(task_id).outcome == Outcome.PAID, net.told()
        contracts = net.local.chain.contracts

        def claimed() -> bool:
            names = [event.name for event in net.events() if event.args.get("taskId") == task_id]
            return names.count("ScoringRewardClaimed") == 2 and "EntryRewardClaimed" in names

        net.wait("claims", claimed, patience)
        assert contracts.registry.outcome_of(task_id) == Outcome.PAID
        for node in net.nodes:
            assert not node.report().get("missed"), node.report()
            assert node.stop() == 0
