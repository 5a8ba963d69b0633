"""Every command that sends with the signer's key goes through the queue of the running node, which keeps working.

The node's journal then holds transactions that no duty sent. It must run on with them, also after a restart.
"""

from __future__ import annotations

import json
import re
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.fork_pool import ForkPool
from tests.support.network import CVY, Network, Node, tiny_spec
from tests.support.prepared_chain import PreparedNetwork

from covey.client.journal import journal_store
from covey.protocol.types import Outcome

pytestmark = [pytest.mark.daemon, pytest.mark.slow]

CYCLES = 3
"""Cycles after a transaction is final in which the node must not fail."""


@dataclass
class Beside:
    """Runs commands with a node's own settings."""

    net: Network
    pool: ForkPool
    node: Node

    def run(self, *arguments: str) -> dict[str, Any]:
        """The JSON of a command that succeeds through the node's queue, once the node has lived on with its result."""
        before = self._commands()
        settings = ("--config", str(self.node.settings), "--json")
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(self.net.local.out)}
        done = self.pool.covey(*arguments, *settings, environment=environment, folder=self.net.local.out)
        assert done.returncode == 0, done.stderr
        sent = self._commands() - before
        assert sent, f"{arguments[0]} did not use the node's queue"
        self.net.wait("the command to be final", lambda: sent <= self._commands("done") or self.failed_cycles() > 0)
        self.lives_on()
        return dict(json.loads(done.stdout))

    def lives_on(self) -> None:
        """Wait for some cycles of the node, none of which may fail."""
        end = self.metric("cycles_total") + CYCLES
        self.net.wait("further cycles", lambda: self.metric("cycles_total") >= end or self.failed_cycles() > 0)
        assert self.failed_cycles() == 0, self.net.logs()
        report = self.node.report()
        assert (report["status"], report["problems"]) == ("ok", [])

    def failed_cycles(self) -> float:
        return self.metric("failed_cycles_total")

    def metric(self, name: str) -> float:
        with urllib.request.urlopen(f"{self.node.health}/metrics", timeout=60) as answer:
            [value] = re.findall(rf"^covey_{name} (\S+)$", answer.read().decode(), re.MULTILINE)
        return float(value)

    def _commands(self, status: str | None = None) -> set[int]:
        """Numbers of the queued commands in the node's journal."""
        with journal_store(self.node.settings.parent / "data") as store:
            found = store.recent(1_000)
        return {tx.id for tx in found if tx.key.startswith("command/") and status in (None, tx.status.value)}


def spec_file(folder: Path) -> str:
    path = folder / "spec.json"
    path.write_bytes(tiny_spec().canonical_bytes())
    return str(path)


def commit_an_entry(net: Network, task: int) -> None:
    """Commit an entry for an operator that has no daemon."""
    assert isinstance(net.local, PreparedNetwork)
    contracts, (owner, signer) = net.local.chain.contracts, net.local.operators[0]
    fee = contracts.registry.entry_fee_at(task, 0)
    entry = contracts.registry.commit_entry(task, owner.address, bytes([1]) * 32, fee)
    net.local.send(signer.signer, [contracts.token.approve(contracts.rewards.address, fee), entry])


def test_a_node_lives_on_with_every_queued_command(net: Network, pool: ForkPool) -> None:
    manual = {"policy.auto_claim": False, "policy.domains": ["none of these"]}
    node = net.add("validator", **manual)
    net.start()
    net.wait("the node's health", lambda: node.report().get("status") == "ok")
    beside, contracts, operator = Beside(net, pool, node), net.local.chain.contracts, node.operator

    beside.run("delegate", operator, "50CVY")
    beside.run("undelegate", operator, "20CVY")
    windows = [f"--{name}=600" for name in ("entry-commit", "enrol", "entry-reveal", "score-commit", "score-reveal")]
    posted = beside.run("task", "create", spec_file(net.local.out), "--bounty=20CVY", "--settle=900", *windows)
    task = int(posted["task"])
    commit_an_entry(net, task)
    net.jump(contracts.registry.schedule_of(task).entry_commit_end)
    beside.run("enrol", str(task), "10CVY")  # less than the minimum, so that the task is refunded

    node.kill()
    node.start()
    net.wait("the health after a restart", lambda: node.report().get("status") == "ok")
    beside.lives_on()

    net.jump(contracts.registry.schedule_of(task).enrol_end)
    net.wait("the refund", lambda: contracts.registry.state_of(task).outcome == Outcome.REFUNDED)
    beside.run("claim")
    assert contracts.registry.held_of(task, operator) == 0
    assert contracts.rewards.owed_to(node.signer) >= 20 * CVY
    net.jump(net.local.chain.now() + contracts.staking.unbonding_period())
    before = contracts.token.balance_of(node.signer)
    beside.run("withdraw")
    assert contracts.token.balance_of(node.signer) - before > 40 * CVY, "the credit and the unbonded stake"

    node.kill()
    node.start()
    net.wait("the health after a restart", lambda: node.report().get("status") == "ok")
    beside.lives_on()


def test_a_journal_with_unknown_keys_heals(net: Network, pool: ForkPool) -> None:
    """A node whose journal holds commands, and keys that no version understands, runs on at once."""
    node = net.add("validator", **{"policy.auto_claim": False})
    net.start()
    net.wait("the node's health", lambda: node.report().get("status") == "ok")
    beside = Beside(net, pool, node)
    beside.run("delegate", node.operator, "1CVY")
    node.stop()
    keys = [
        "command/1153b8d0e2f94c1fa5a6f5c3b1d2e3f4",
        "command/" + "7" * 32,
        "command",
        "from-next-year/x/1",
        "score/",
    ]
    with journal_store(node.settings.parent / "data") as store:
        done = next(tx for tx in store.recent(100) if tx.status.value == "done")
        for key in keys:
            copy = store.add(key, done.sender, done.call, None)
            store.update(copy.id, done.status, tx_hash=done.tx_hash, block=done.block)
    node.start()
    net.wait("the health after a restart", lambda: node.report().get("status") == "ok")
    beside.lives_on()
