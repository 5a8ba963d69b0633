"""Twelve daemons on one chain: steps that anybody may take are sent about once, and no settlement is reverted.

The keys are fixed, so the nodes' turns at each step are too. Blocks come every second, so that transactions wait in the
pool, where the other nodes can see them.
"""

from __future__ import annotations

from collections import Counter

import pytest
from eth_hash.auto import keccak
from tests.support.chaos.scenario import Scenario
from tests.support.network import CVY, Network
from tests.support.prepared_chain import PreparedNetwork

from covey.chain import artifacts
from covey.chain.abi.reverts import signature
from covey.chain.signing.keystore import create_keystore
from covey.daemon.planning.duty import Duty, DutyKind
from covey.daemon.planning.turns import turn_fraction
from covey.devnet.local import GAS_FUNDS, KEYSTORE_COST, Account
from covey.protocol.types import Outcome

pytestmark = [pytest.mark.daemon, pytest.mark.slow, pytest.mark.long, pytest.mark.ci, pytest.mark.timeout(3600)]

NODES, TRAINERS = 12, 3
UNIT_S = 3.0
"""stagger_seconds: more than a block, and enough for a busy machine."""
STEPS = {
    "requestSeed": DutyKind.REQUEST_SEED,
    "fixSeed": DutyKind.FIX_SEED,
    "settlePage": DutyKind.SETTLE_PAGE,
    "finalise": DutyKind.FINALISE,
}


def fixed_account(local: PreparedNetwork, name: str) -> Account:
    """An account whose key depends on its name only."""
    path = local.out / "keys" / f"{name.replace('/', '-')}.json"
    password = local.password_file.read_text(encoding="utf-8").strip()
    signer = create_keystore(path, password, key=keccak(name.encode()), iterations=KEYSTORE_COST)
    local.anvil.set_balance(signer.address, GAS_FUNDS)
    return Account(name, signer, path)


def sent_steps(net: Network) -> tuple[Counter[str], Counter[str]]:
    """Mined calls of `STEPS`, and the reverted ones among them, by function."""
    names = {
        keccak(signature(item).encode())[:4].hex(): item["name"]
        for item in artifacts.load("Scoring").abi
        if item["type"] == "function" and item["name"] in STEPS
    }
    sent: Counter[str] = Counter()
    reverted: Counter[str] = Counter()
    rpc = net.local.rpc
    for number in range(net.local.deployment.start_block, rpc.block_number() + 1):
        for tx_hash in rpc.block_json(number)["transactions"]:
            transaction, receipt = rpc.transaction(tx_hash), rpc.receipt(tx_hash)
            assert transaction is not None
            assert receipt is not None
            name = names.get(transaction["input"][2:10])
            if name is not None:
                sent[name] += 1
                reverted[name] += not receipt.succeeded
    return sent, reverted


def test_twelve_nodes_send_each_step_once(net: Network) -> None:
    local = net.local
    assert isinstance(local, PreparedNetwork)
    pairs = [(fixed_account(local, f"race 30/{n}/owner"), fixed_account(local, f"race 30/{n}")) for n in range(NODES)]
    local.fund({owner.address: 5_000 * CVY for owner, _ in pairs} | {signer.address: 200 * CVY for _, signer in pairs})
    for owner, signer in pairs:
        local.register(owner, signer, 5_000 * CVY)
    for kind in STEPS.values():  # the fixed draw leaves the second node time to see the first one's transaction
        first, second, *_ = sorted(turn_fraction(owner.address, Duty(0, kind, 1)) for owner, _ in pairs)
        assert (second - first) * NODES * UNIT_S > 3.0
    local.operators = pairs[::-1]
    settings = {"stagger_seconds": UNIT_S, "poll_interval_seconds": 0.5}
    trainers = [net.add("trainer", **settings) for _ in range(TRAINERS)]
    earmark = {"policy.earmark": "1000 CVY"}
    validators = [net.add("validator", **settings, **earmark) for _ in range(NODES - TRAINERS)]
    net.start()
    scenario = Scenario(net, trainers, validators)
    local.anvil.rpc("evm_setAutomine", False)
    local.anvil.rpc("evm_setIntervalMining", 1)
    task = scenario.run()
    assert task.id == 1
    assert task.outcome == Outcome.PAID
    assert len({*task.entries, *task.enrolled}) == NODES
    sent, reverted = sent_steps(net)
    assert set(sent) == set(STEPS)
    assert reverted["settlePage"] == 0, net.logs()
    assert sum(reverted.values()) <= 1, reverted  # another endpoint may learn of a transaction late
    for node in net.nodes:
        assert node.stop() == 0
