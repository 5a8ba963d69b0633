"""Reorganises the chain during a scenario, advances chain time, and checks journals and audit afterwards."""

from __future__ import annotations

import random
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import Any

from tests.support.chaos.scenario import Scenario
from tests.support.network import Network, Node

from covey.audit.replay import replay
from covey.chain.signing.keystore import LocalSigner
from covey.daemon.planning.plan import plan_task
from covey.daemon.state.folds import apply_event
from covey.daemon.state.world import ChainState, Task
from covey.daemon.storage.journal import DutyStatus, Journal
from covey.devnet.errors import DevnetError
from covey.protocol.types import Windows
from covey.protocol.windows import Phase

DEEPEST = 64
WINDOWS = Windows(9_000, 6_000, 6_000, 0, 9_000, 6_000, 9_000, 0)
"""Long enough for the deepest finality several times over, at a second a block."""
BURIAL_DEPTH = 8 + DEEPEST
"""Blocks mined on top of the harness's own transactions before the first reorganisation."""
BLOCKS_PER_POLL = 8
"""Blocks mined at each poll, a second of chain time apart, so that finality comes soon."""


def pass_time(net: Network) -> None:
    net.local.anvil.rpc("anvil_mine", hex(BLOCKS_PER_POLL), "0x1")


@contextmanager
def clock(net: Network) -> Iterator[None]:
    """Advance chain time from a thread until the end of the block."""
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(0.4):
            pass_time(net)

    thread = threading.Thread(target=run, name="clock", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


class Reorgs:
    """Removes blocks in every phase of a scenario: on entering a phase, and when some of its transactions are mined.

    A phase that waits for a single transaction may end between two polls: that transaction is removed, so that the
    phase is entered again.

    Args:
        depths: by phase, the depth of each reorganisation there, in order.
        seed: decides when within a phase, and which windows are entered in their last third.
    """

    def __init__(self, net: Network, depths: dict[Phase, list[int]], seed: int) -> None:
        self.left = {phase: list(wanted) for phase, wanted in depths.items()}
        self.done: Counter[Phase] = Counter()
        self.deepest: dict[Phase, int] = {}
        self.undone: Counter[Phase] = Counter()
        """Number of the nodes' transactions that were removed, by phase."""
        self.seeds: set[bytes] = set()
        self.seatings: set[tuple[str, ...]] = set()
        self._net = net
        self._random = random.Random(seed)
        self._phase: Phase | None = None
        self._most_pending = 0
        self._polls_to_skip = 0
        self._late: set[Phase] = set()
        self.log: list[str] = []

    def __call__(self, scenario: Scenario, task: Task, phase: Phase) -> None:
        """See `Scenario.on_poll`."""
        pending = len(scenario.pending(task, phase))
        if self._phase is None:  # the transactions that posted the task must stay
            bury(self._net)
        if phase != self._phase:
            self._phase, self._most_pending = phase, pending
            self._polls_to_skip = self._random.choice((0, 1, 3))
            self._enter_late(scenario, task, phase)
        self._record_seed(scenario, task)
        chosen = self._choose_passed(task) or self._choose_current(phase, pending)
        if chosen is None:
            pass_time(self._net)
            return
        self._reorganise(*chosen)
        raise DevnetError("the chain was reorganised: poll again")

    def _choose_current(self, phase: Phase, pending: int) -> tuple[Phase, int] | None:
        """The current phase and the depth of a reorganisation that is due in it now."""
        wanted = self.left.get(phase, [])
        first = self.done[phase] == 0
        progress = pending < self._most_pending or self._most_pending == 0
        if not wanted or not (first or progress or phase not in _WINDOWS):
            return None
        if self._polls_to_skip > 0 and pending:
            self._polls_to_skip -= 1
            return None
        return phase, wanted.pop(0)

    def _choose_passed(self, task: Task) -> tuple[Phase, int] | None:
        """A phase that ended between two polls, and the depth that leads back into it."""
        names = {name: phase for phase, name in _STEPS.items() if self.left.get(phase)}
        if not names:
            return None
        head = self._net.local.rpc.block_number()
        for event in self._net.events():
            phase = names.get(event.name)
            if phase is not None and event.args["taskId"] == task.id and head - event.block < DEEPEST:
                return phase, max(self.left[phase].pop(0), head - event.block + 1)
        return None

    def _enter_late(self, scenario: Scenario, task: Task, phase: Phase) -> None:
        """For half of the windows, jump to their last quarter, in which nodes act on the head."""
        window_end = scenario.end_of(task, phase)
        if window_end is None or phase in self._late or self._random.random() < 0.5:
            return
        self._late.add(phase)
        self._net.jump(window_end - _WINDOWS[phase] // 4)

    def _record_seed(self, scenario: Scenario, task: Task) -> None:
        c = task.committee
        if c is not None and c.seeded and c.seed not in self.seeds:
            self.seeds.add(c.seed)
            self.seatings.add(tuple(node.name for node in scenario.seated(task, c)))

    def _reorganise(self, phase: Phase, depth: int) -> None:
        anvil = self._net.local.anvil
        signers = {node.signer.lower(): node.name for node in self._net.nodes}
        head = int(anvil.rpc("eth_blockNumber"), 16)
        before = anvil.time()
        for number in range(head - depth + 1, head + 1):
            block: dict[str, Any] = anvil.rpc("eth_getBlockByNumber", hex(number), True)
            from_nodes = [tx for tx in block["transactions"] if tx["from"].lower() in signers]
            self.undone[phase] += len(from_nodes)
            others = [tx for tx in block["transactions"] if tx["from"].lower() not in signers]
            assert not others, f"block {number} holds transactions that no node would resend: {others}"
        anvil.rpc("anvil_reorg", depth, [])
        after = anvil.time()
        self.done[phase] += 1
        self.deepest[phase] = max(self.deepest.get(phase, 0), depth)
        self.log.append(f"{phase}: {depth} blocks below {head} removed; chain time {before} -> {after}")


_STEPS = {
    Phase.SEED_REQUEST: "SeedRequested",
    Phase.SEED_FIX: "SeedFixed",
    Phase.SCORE_REVEAL: "ScoresRevealed",
    Phase.SETTLE: "PageSettled",
    Phase.FINALISE: "TaskEnded",
}
"""Events that can end a phase between two polls."""

_WINDOWS = {
    Phase.ENTRY_COMMIT: WINDOWS.entry_commit,
    Phase.ENROL: WINDOWS.enrol,
    Phase.ENTRY_REVEAL: WINDOWS.entry_reveal,
    Phase.SCORE_COMMIT: WINDOWS.score_commit,
    Phase.SCORE_REVEAL: WINDOWS.score_reveal,
}


def bury(net: Network) -> None:
    """Mine so many blocks that no reorganisation reaches what was done so far."""
    net.local.anvil.mine(BURIAL_DEPTH)


def check_reorg_drops_transactions(net: Network, sender: LocalSigner) -> None:
    """Check that a transaction removed by a reorganisation is in no block and in no pool."""
    anvil = net.local.anvil
    raw = sender.sign_transaction(
        {
            "type": 2,
            "chainId": net.local.deployment.chain_id,
            "nonce": int(anvil.rpc("eth_getTransactionCount", sender.address, "latest"), 16),
            "to": sender.address,
            "value": 0,
            "data": b"",
            "gas": 21_000,
            "maxFeePerGas": 10**12,
            "maxPriorityFeePerGas": 1,
        }
    )
    tx_hash = anvil.rpc("eth_sendRawTransaction", "0x" + raw.raw.hex())
    net.wait("a transaction", lambda: anvil.rpc("eth_getTransactionReceipt", tx_hash) is not None)
    anvil.mine(2)
    anvil.rpc("anvil_reorg", 8, [])
    assert anvil.rpc("eth_getTransactionReceipt", tx_hash) is None
    assert anvil.rpc("eth_getTransactionByHash", tx_hash) is None
    assert anvil.rpc("txpool_status") == {"pending": "0x0", "queued": "0x0"}
    anvil.mine(DEEPEST)


def check_journal(net: Network, node: Node, scenario: Scenario) -> int:
    """Check that a stopped node's journal agrees with the chain; returns the number of its completed transactions."""
    with closing(Journal(node.settings.parent / "data" / "journal.sqlite", None)) as journal:
        newest = journal.checkpoints()[0]
        chain = [event for event in net.events() if event.block <= newest.block]
        assert list(journal.events()) == chain, f"{node.name}: its events differ from the chain's"
        for checkpoint in journal.checkpoints():
            block = net.local.rpc.find_block(checkpoint.block)
            on_chain = block is not None and block.hash == checkpoint.hash
            assert on_chain, f"{node.name}: block {checkpoint.block} is not on the chain"
        state, identity, now = ChainState(), scenario.identity(node), net.local.anvil.time()
        for event in net.events():
            apply_event(state, event)
        for number in scenario.tasks:
            ended = journal.ended_duties(number)
            assert set(ended.values()) <= {DutyStatus.DONE}, (node.name, ended)
            due = {duty.key for duty in plan_task(state.tasks[number], identity, now)}
            assert due <= set(ended), f"{node.name}: still due by the chain: {due - set(ended)}"
        return check_transactions(net, node, journal.db)


def check_transactions(net: Network, node: Node, db: sqlite3.Connection) -> int:
    """Check that a node's final transactions are on the chain as recorded; returns the number of completed ones."""
    rows = db.execute("SELECT key, status, tx_hash, block FROM tx_request").fetchall()
    for key, status, tx_hash, block in rows:
        assert status not in ("queued", "pending", "mined"), f"{node.name}: {key} is still {status}"
        if status not in ("done", "reverted", "cancelled"):
            continue
        receipt = net.local.rpc.receipt(tx_hash)
        assert receipt is not None, f"{node.name}: {key} is recorded as {status}, and is not on the chain"
        assert (receipt.block, receipt.succeeded) == (block, status != "reverted"), (node.name, key, receipt)
    return sum(1 for row in rows if row[1] == "done")


def check_audit(net: Network) -> int:
    """Check that the contracts followed the rules; returns the number of compared figures."""
    audit = replay(net.events(), net.local.chain.domain)
    assert audit.differences == []
    assert audit.checked > 0
    return audit.checked


def wait_until_final(net: Network, scenario: Scenario, confirmations: int) -> None:
    """Let everything become final, and wait until every node has seen it."""
    with clock(net):
        _wait_until_final(net, scenario, confirmations)


def _wait_until_final(net: Network, scenario: Scenario, confirmations: int) -> None:
    scenario.wait_until_idle()
    net.local.anvil.mine(confirmations + DEEPEST)
    head = net.local.rpc.block_number() - confirmations

    def has_read_all(node: Node) -> bool:
        return int(node.report().get("settled_block", -1)) >= head

    for node in net.nodes:
        net.wait(f"{node.name} to have read all blocks", partial(has_read_all, node))
    scenario.wait_until_idle()
