"""A node whose key is with a real Clef runs out of money for gas, turns red, and goes on when some comes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.clef.fixtures import new_clef
from tests.support.network import Network, Node, tiny_spec

from covey.chain.gas import MAX_GAS
from covey.chain.signing.clef_rules import rules_for
from covey.chain.signing.keystore import load_keystore
from covey.chain.tx.fees import GWEI
from covey.devnet.anvil import CHAIN_ID
from covey.devnet.local import LocalNetwork
from covey.ipfs import BlockStore, Gateway
from covey.protocol.types import Outcome

pytestmark = [pytest.mark.daemon, pytest.mark.slow]


@pytest.fixture
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """A chain, and nodes that need no workers."""
    folder = tmp_path_factory.mktemp("net")
    with LocalNetwork(folder / "net", block_time=1.0) as local:
        store = BlockStore(folder / "creator")
        with Gateway(store) as gateway:
            made = Network(local, gateway, store, "subprocess")
            try:
                yield made
            finally:
                for node in made.nodes:
                    if node.process is not None and node.process.poll() is None:
                        node.kill()


def problems(node: Node) -> str:
    return "; ".join(node.report().get("problems", ["no answer"]))


def test_a_node_with_clef_turns_red_without_coin_and_goes_on_with_it(
    net: Network, tmp_path_factory: pytest.TempPathFactory
) -> None:
    node = net.add("validator", min_balance=0, max_gas_price="300 gwei")
    keystore = net.local.out / "keys" / f"{node.name}.json"
    key = load_keystore(keystore, net.local.password_file.read_text().strip()).key
    clef = new_clef(tmp_path_factory.mktemp("clef") / "clef", [key], CHAIN_ID)
    clef.attest(rules_for(node.signer, net.local.deployment, max_gas_price=300 * GWEI, max_gas=MAX_GAS))
    kept = [
        line for line in node.settings.read_text().splitlines(True) if not line.startswith(("keystore", "password"))
    ]
    node.settings.write_text(f'remote_signer = "clef:{clef.http}"\n' + "".join(kept))
    net.local.rpc.request("anvil_setBalance", [node.signer, "0x0"])

    net.start()  # before Clef: the node waits for it
    net.wait("a node that waits for its signer", lambda: "does not answer" in node.log.read_text())
    with clef:
        net.wait("a green start", lambda: problems(node) == "")
        task_id = net.post(tiny_spec())
        net.jump(net.task(task_id).schedule.entry_commit_end)
        net.wait("red for want of coin", lambda: f"{node.signer} holds 0 wei" in problems(node))
        assert "add funds" in problems(node)
        assert net.task(task_id).outcome == Outcome.RUNNING
        net.local.rpc.request("anvil_setBalance", [node.signer, hex(10**18)])
        net.wait("the refund of a task without entries", lambda: net.task(task_id).outcome == Outcome.REFUNDED)
        net.wait("green again", lambda: problems(node) == "")
        assert net.local.rpc.nonce(node.signer) >= 1
        assert not list((node.settings.parent).glob("*.json"))  # no key of the node's lies in its folder
        assert (node.settings.parent / "data" / "secrets.key").stat().st_mode & 0o077 == 0
        assert node.stop() == 0
