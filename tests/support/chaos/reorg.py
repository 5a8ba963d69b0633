"""Reorganisations in the middle of a story, chain time that passes by itself, and what must be true after it all."""

from __future__ import annotations

import random
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tests.support.chaos.fork_pool import ForkPool
from tests.support.chaos.scenario import Scenario
from tests.support.network import Network, Node, fork_server, nodes_on

from covey.audit.replay import replay
from covey.chain.signing.keystore import LocalSigner
from covey.daemon.planning.plan import plan_task
from covey.daemon.state.world import ChainState, Task
from covey.daemon.storage.journal import DutyStatus, Journal
from covey.devnet.errors import DevnetError
from covey.devnet.local import LocalNetwork
from covey.protocol.types import Windows
from covey.protocol.windows import Phase

DEEPEST = 64
WINDOWS = Windows(9_000, 6_000, 6_000, 0, 9_000, 6_000, 9_000, 0)
"""Long enough for many blocks' finality, several times over, at a second a block."""
LAID_DOWN = 8 + DEEPEST
"""Blocks on top of what the harness itself has done before anything is undone."""


BLOCKS_A_LOOK = 8
"""Blocks mined at each look, a second of chain time apart, so that finality comes soon."""


def pass_time(net: Network) -> None:
    net.local.anvil.rpc("anvil_mine", hex(BLOCKS_A_LOOK), "0x1")


@contextmanager
def clock(net: Network) -> Iterator[None]:
    """Time passes by itself."""
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


@contextmanager
def long_network(folder: Path, flock: ForkPool) -> Iterator[Network]:
    """As `tests.support.network.network`, where stake may be bound for as long as long windows need."""
    with (
        fork_server(folder) as executor,
        LocalNetwork(folder / "net", block_time=1.0, long_windows=True) as local,
        nodes_on(local, folder, executor, flock.launch) as net,
    ):
        yield net


class Reorgs:
    """Undoes blocks in every phase of a story: when a phase is entered, and when some of its work is on the chain.

    A phase that only waits for one step is over before anybody looks: its step is undone, so that it is entered again.

    Args:
        depths: by phase, how deep each reorganisation there goes, in order.
        seed: decides when within a phase, and which windows are entered in their last third.
    """

    def __init__(self, net: Network, depths: dict[Phase, list[int]], seed: int) -> None:
        self.left = {phase: list(wanted) for phase, wanted in depths.items()}
        self.done: Counter[Phase] = Counter()
        self.deepest: dict[Phase, int] = {}
        self.undone: Counter[Phase] = Counter()
        """Transactions of nodes that were taken back, by phase."""
        self.seeds: set[bytes] = set()
        self.seatings: set[tuple[str, ...]] = set()
        self._net = net
        self._random = random.Random(seed)
        self._phase: Phase | None = None
        self._most = 0
        self._wait = 0
        self._late: set[Phase] = set()
        self.told: list[str] = []

    def __call__(self, story: Scenario, task: Task, phase: Phase) -> None:
        """See `Scenario.on_look`."""
        waits = len(story.pending(task, phase))
        if self._phase is None:  # what posted the task must stay
            lay_down(self._net)
        if phase != self._phase:
            self._phase, self._most = phase, waits
            self._wait = self._random.choice((0, 1, 3))
            self._enter_late(story, task, phase)
        self._note(story, task)
        chosen = self._passed(task) or self._here(phase, waits)
        if chosen is None:
            pass_time(self._net)
            return
        self._undo(*chosen)
        raise DevnetError("the chain was reorganised: look again")

    def _here(self, phase: Phase, waits: int) -> tuple[Phase, int] | None:
        """The phase and how deep to undo blocks in it now."""
        wanted = self.left.get(phase, [])
        first = self.done[phase] == 0
        if not wanted or not (first or waits < self._most or self._most == 0 or phase not in _WINDOWS):
            return None
        if self._wait > 0 and waits:
            self._wait -= 1
            return None
        return phase, wanted.pop(0)

    def _passed(self, task: Task) -> tuple[Phase, int] | None:
        """A phase that was over before anybody looked, and how deep to undo blocks to be in it again."""
        names = {name: phase for phase, name in _STEPS.items() if self.left.get(phase)}
        if not names:
            return None
        head = self._net.local.rpc.block_number()
        for event in self._net.events():
            phase = names.get(event.name)
            if phase is not None and event.args["taskId"] == task.id and head - event.block < DEEPEST:
                return phase, max(self.left[phase].pop(0), head - event.block + 1)
        return None

    def _enter_late(self, story: Scenario, task: Task, phase: Phase) -> None:
        """Now and then only a quarter of a window is left, in which nodes act on the head."""
        until = story.end_of(task, phase)
        if until is None or phase in self._late or self._random.random() < 0.5:
            return
        self._late.add(phase)
        self._net.jump(until - _WINDOWS[phase] // 4)

    def _note(self, story: Scenario, task: Task) -> None:
        c = task.committee
        if c is not None and c.seeded and c.seed not in self.seeds:
            self.seeds.add(c.seed)
            self.seatings.add(tuple(node.name for node in story.seated(task, c)))

    def _undo(self, phase: Phase, depth: int) -> None:
        anvil = self._net.local.anvil
        signers = {node.signer.lower(): node.name for node in self._net.nodes}
        head = int(anvil.rpc("eth_blockNumber"), 16)
        before = anvil.time()
        for number in range(head - depth + 1, head + 1):
            block: dict[str, Any] = anvil.rpc("eth_getBlockByNumber", hex(number), True)
            ours = [tx for tx in block["transactions"] if tx["from"].lower() in signers]
            self.undone[phase] += len(ours)
            strange = [tx for tx in block["transactions"] if tx["from"].lower() not in signers]
            assert not strange, f"block {number} holds what nobody would send again: {strange}"
        anvil.rpc("anvil_reorg", depth, [])
        after = anvil.time()
        self.done[phase] += 1
        self.deepest[phase] = max(self.deepest.get(phase, 0), depth)
        self.told.append(f"{phase}: {depth} blocks below {head} undone; chain time {before} -> {after}")


_STEPS = {
    Phase.SEED_REQUEST: "SeedRequested",
    Phase.SEED_FIX: "SeedFixed",
    Phase.SCORE_REVEAL: "ScoresRevealed",
    Phase.SETTLE: "PageSettled",
    Phase.FINALISE: "TaskEnded",
}
"""Events that end phases, or may, before anybody looks."""

_WINDOWS = {
    Phase.ENTRY_COMMIT: WINDOWS.entry_commit,
    Phase.ENROL: WINDOWS.enrol,
    Phase.ENTRY_REVEAL: WINDOWS.entry_reveal,
    Phase.SCORE_COMMIT: WINDOWS.score_commit,
    Phase.SCORE_REVEAL: WINDOWS.score_reveal,
}


def lay_down(net: Network) -> None:
    """Put so many blocks on what was done so far that no reorganisation reaches it."""
    net.local.anvil.mine(LAID_DOWN)


def forgets(net: Network, sender: LocalSigner) -> None:
    """See that what a reorganisation undoes is gone: in no block and in no pool."""
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


def check_journal(net: Network, node: Node, story: Scenario) -> int:
    """A stopped node's journal says what the chain says, and nothing more; how many transactions it holds as done."""
    with closing(Journal(node.settings.parent / "data" / "journal.sqlite", None)) as journal:
        newest = journal.checkpoints()[0]
        chain = [event for event in net.events() if event.block <= newest.block]
        assert list(journal.events()) == chain, f"{node.name}: its events are not the chain's"
        for kept in journal.checkpoints():
            found = net.local.rpc.find_block(kept.block)
            assert found is not None and found.hash == kept.hash, f"{node.name}: block {kept.block} is not on the chain"
        world, me, now = ChainState(), story.me(node), net.local.anvil.time()
        for event in net.events():
            world.apply(event)
        for number in story.tasks:
            ended = journal.ended_duties(number)
            assert set(ended.values()) <= {DutyStatus.DONE}, (node.name, ended)
            due = {duty.key for duty in plan_task(world.tasks[number], me, now)}
            assert due <= set(ended), f"{node.name}: still due by the chain: {due - set(ended)}"
        return check_transactions(net, node, journal.db)


def check_transactions(net: Network, node: Node, db: sqlite3.Connection) -> int:
    """All that a node holds as final is on the chain as it says; how many those are."""
    rows = db.execute("SELECT key, status, tx_hash, block FROM tx_request").fetchall()
    for key, status, tx_hash, block in rows:
        assert status not in ("queued", "pending", "mined"), f"{node.name}: {key} is still {status}"
        if status not in ("done", "reverted", "cancelled"):
            continue
        receipt = net.local.rpc.receipt(tx_hash)
        assert receipt is not None, f"{node.name}: {key} counts as {status}, and is not on the chain"
        assert (receipt.block, receipt.succeeded) == (block, status != "reverted"), (node.name, key, receipt)
    return sum(1 for row in rows if row[1] == "done")


def check_audit(net: Network) -> int:
    """The contracts did what the rules say; how many figures were compared."""
    audit = replay(net.events(), net.local.chain.domain)
    assert audit.differences == []
    assert audit.checked > 0
    return audit.checked


def settle_down(net: Network, story: Scenario, confirmations: int) -> None:
    """Let everything become final, and wait until every node knows it."""
    with clock(net):
        _settle_down(net, story, confirmations)


def _settle_down(net: Network, story: Scenario, confirmations: int) -> None:
    story.rest()
    net.local.anvil.mine(confirmations + DEEPEST)
    head = net.local.rpc.block_number() - confirmations

    def read(node: Node) -> bool:
        try:
            return int(node.report()["settled_block"]) >= head
        except KeyError:
            return False

    for node in net.nodes:
        net.wait(f"{node.name} to have read all", partial(read, node))
    story.rest()
