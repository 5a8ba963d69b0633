"""A whole arena task by real nodes on a real geth, over http, ws and ipc side by side.

Here geth is an execution client as on a public network, and the test its beacon chain, so that windows can be long and
need not be waited for. With COVEY_LONG=1 (`make test-geth`) the same task runs in geth's development mode too, where
every window must really pass: six minutes.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.support.geth.beacon import DrivenGeth
from tests.support.geth.daemon import CHAIN_ID, Geth
from tests.support.geth.fixtures import new_geth
from tests.support.network import WINDOWS, Network, fork_server, nodes_on, tiny_spec

from covey.audit.chain import Chain
from covey.chain.deploy.deploy import DeployConfig, deploy
from covey.chain.signing.keystore import LocalSigner
from covey.daemon.state.world import Committee, Task
from covey.devnet.local import LocalNetwork, write_private
from covey.protocol.types import Outcome, Windows

pytestmark = [pytest.mark.daemon, pytest.mark.slow, pytest.mark.timeout(3600)]

REAL_SECONDS = Windows(120, 40, 40, 0, 120, 60, 900, 0)
"""Training has the first of them, scoring the fifth."""
PATIENCE = 1_800.0
LONG = pytest.mark.skipif(not os.environ.get("COVEY_LONG"), reason="takes six minutes: `make test-geth`")


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
        """Jump where it can; in development mode nothing jumps: wait."""
        if isinstance(self.geth, DrivenGeth):
            self.geth.jump_to(timestamp)
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
    with (
        fork_server(folder) as executor,
        geth,
        OnGeth(folder / "net", geth) as local,
        nodes_on(local, folder, executor) as net,
    ):
        yield net


@pytest.mark.parametrize(
    ("kind", "windows", "confirmations"),
    [
        pytest.param(DrivenGeth, WINDOWS, {}, id="driven"),  # nothing said: duties wait for finalised blocks
        pytest.param(Geth, REAL_SECONDS, {"confirmations": 1}, id="dev", marks=LONG),
    ],
)
def test_an_arena_task_on_geth(
    tmp_path: Path, kind: type[Geth], windows: Windows, confirmations: dict[str, Any]
) -> None:
    geth = new_geth(tmp_path / "geth", kind)
    with network(tmp_path, geth) as net:
        assert net.local.deployment.chain_id == CHAIN_ID
        http, ws, ipc = (geth.urls[name] for name in ("http", "ws", "ipc"))
        for urls in ([http], [ws]):
            net.add("trainer", rpc_urls=urls, **confirmations)
        dead = str(tmp_path / "nothing.ipc")
        for urls in ([ipc, http], [dead, ws, ipc]):
            net.add("validator", rpc_urls=urls, **confirmations, **{"policy.earmark": "2100 CVY"})
        net.start()
        task_id = net.post(tiny_spec(), windows=windows)
        schedule = net.task(task_id).schedule
        wait = partial(net.wait, seconds=PATIENCE)
        wait("entries", lambda: len(net.task(task_id).entries) == 2)
        net.jump(schedule.entry_commit_end)
        wait("enrolment", lambda: len(net.task(task_id).enrolled) == 2)
        net.jump(schedule.enrol_end)
        wait("entry reveals", lambda: len(net.task(task_id).lanes) == 2)
        net.jump(schedule.entry_reveal_end)
        wait("the seed", lambda: (c := net.task(task_id).committee) is not None and c.seeded)
        wait("rows", lambda: len(committee_of(net.task(task_id)).committed) == 2)
        net.jump(committee_of(net.task(task_id)).commit_end)
        wait("the end", lambda: net.task(task_id).outcome != Outcome.RUNNING)
        assert net.task(task_id).outcome == Outcome.PAID, net.told()

        def claimed() -> bool:
            names = [event.name for event in net.events() if event.args.get("taskId") == task_id]
            return names.count("ScoringRewardClaimed") == 2 and "EntryRewardClaimed" in names

        wait("claims", claimed)
        assert net.local.chain.contracts.registry.outcome_of(task_id) == Outcome.PAID
        for node in net.nodes:
            assert not node.report().get("missed"), node.report()
            assert node.stop() == 0


def committee_of(task: Task) -> Committee:
    assert task.committee is not None
    return task.committee
