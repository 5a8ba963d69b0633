"""A node that signs with a real Clef turns red when it cannot pay for gas, and continues when it is funded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.clef.fixtures import new_clef
from tests.support.fork_pool import ForkPool
from tests.support.network import Network, Node, Shared, network, tiny_spec
from tests.support.prepared_chain import PreparedChain

from covey.chain.gas import MAX_GAS
from covey.chain.signing.clef_rules import rules_for
from covey.chain.signing.keystore import load_keystore
from covey.chain.tx.fees import GWEI
from covey.devnet.anvil import CHAIN_ID
from covey.protocol.types import Outcome

pytestmark = [pytest.mark.daemon, pytest.mark.slow]


@pytest.fixture
def net(tmp_path: Path, pool: ForkPool, prepared_chain: Callable[[bool], PreparedChain]) -> Iterator[Network]:
    """A network without workers."""
    with network(tmp_path, Shared("subprocess", pool.launch, prepared_chain(False))) as running:
        yield running


def problems(node: Node) -> str:
    return "; ".join(node.report().get("problems", ["no answer"]))


def test_a_node_with_clef_turns_red_without_funds_and_recovers(
    net: Network, tmp_path_factory: pytest.TempPathFactory
) -> None:
    node = net.add("validator", min_balance=0, max_gas_price="300 gwei")
    key = load_keystore(node.keystore, net.local.password_file.read_text().strip()).key
    clef = new_clef(tmp_path_factory.mktemp("clef") / "clef", [key], CHAIN_ID)
    clef.attest(rules_for(node.signer, net.local.deployment, max_gas_price=300 * GWEI, max_gas=MAX_GAS))
    lines = [
        line for line in node.settings.read_text().splitlines(True) if not line.startswith(("keystore", "password"))
    ]
    node.settings.write_text(f'remote_signer = "clef:{clef.http}"\n' + "".join(lines))
    net.local.rpc.request("anvil_setBalance", [node.signer, "0x0"])

    net.start()  # before Clef, so that the node waits for it
    net.wait("the node to wait for its signer", lambda: "does not answer" in node.log.read_text())
    with clef:
        net.wait("a green start", lambda: problems(node) == "")
        task_id = net.post(tiny_spec())
        net.jump(net.task(task_id).schedule.entry_commit_end)
        net.wait("red because of the balance", lambda: f"{node.signer} holds 0 wei" in problems(node))
        assert "add funds" in problems(node)
        assert net.task(task_id).outcome == Outcome.RUNNING
        net.local.rpc.request("anvil_setBalance", [node.signer, hex(10**18)])
        net.wait("the refund of a task without entries", lambda: net.task(task_id).outcome == Outcome.REFUNDED)
        net.wait("green again", lambda: problems(node) == "")
        assert net.local.rpc.nonce(node.signer) >= 1
        assert not list((node.settings.parent).glob("*.json"))  # the node's folder contains no key
        assert (node.settings.parent / "data" / "secrets.key").stat().st_mode & 0o077 == 0
        assert node.stop() == 0
