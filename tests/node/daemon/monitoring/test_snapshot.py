"""What turns a node red, one reason at a time, over a chain and a sender that say what the test wants."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from tests.support.daemon.scenario import COMMIT_END, ME, REVEAL_END, Scenario, address, me

from covey.chain.contracts import Call
from covey.chain.events.follower import Checkpoint, Progress
from covey.chain.rpc.responses import Block
from covey.chain.tx.sender import SenderStatus
from covey.chain.tx.store import SqliteTxStore, TxStatus
from covey.config.node import NodeConfig
from covey.daemon.assemble import Parts
from covey.daemon.monitoring.metrics import Snapshot
from covey.daemon.monitoring.snapshot import MISSED_FOR, Reporter, recently_missed
from covey.daemon.planning.plan import Duty, DutyKind
from covey.daemon.retention.retention import Kept
from covey.daemon.state.ledger import Ledger
from covey.daemon.storage.journal import Journal
from covey.protocol.types import Outcome

ENTER = Duty(COMMIT_END, DutyKind.ENTER, 1)


def block(number: int) -> Block:
    fields = dict.fromkeys(Block.__dataclass_fields__, 0) | {"number": number, "timestamp": 1_000 + number}
    return Block(**cast(Any, fields))


def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ten minutes pass on this machine's clock."""
    then = time.monotonic() + 600
    monkeypatch.setattr("time.monotonic", lambda: then)


class Node:
    """As much of a node as a report reads, with a real journal and transaction store."""

    def __init__(self, folder: Path) -> None:
        self.journal = Journal(folder / "journal.sqlite", None)
        self.store = SqliteTxStore(self.journal.db)
        self.story = Scenario()
        self.balance = 10**18
        self.status = SenderStatus(me().signer)
        config = NodeConfig.model_construct(
            max_head_age_seconds=180, min_balance=10**16, disk_quota=1, data_dir=folder, min_free_disk=0
        )
        sender = SimpleNamespace(status=self.status, request=self.store.get)
        executor = SimpleNamespace(progress=dict, queued=lambda: 0)
        rpc = SimpleNamespace(balance=lambda _: self.balance, report=list)
        self.context: Any = SimpleNamespace(
            journal=self.journal, sender=sender, executor=executor, config=config, me=me(), now=COMMIT_END - 90,
            contracts=SimpleNamespace(rpc=rpc),
        )  # fmt: skip
        parts = SimpleNamespace(context=self.context, log=SimpleNamespace(world=self.story.world), ledger=Ledger(ME))
        self.reporter = Reporter(cast(Parts, parts))

    def tick(self, *due: Duty, read: int = 5, head: int = 5, target: int = 5, kept: Kept | None = None) -> Snapshot:
        progress = Progress(block(target), Checkpoint(read, "0x"), 0)
        return self.reporter.snapshot(block(head), progress, due, (), {}, kept or Kept(), 0)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path)
    yield made
    made.journal.close()


def test_all_is_well(node: Node) -> None:
    assert node.tick().problems == ()


def test_a_head_that_stands_still(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    node.tick()
    later(monkeypatch)
    assert node.tick(head=5).problems[0].startswith("no new block for")
    assert node.tick(head=6).problems == ()


def test_events_that_stay_unread(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    assert node.tick(read=3, target=5).problems == (), "a moment of it is how it begins"
    later(monkeypatch)
    assert "events were read up to block 3 only, of 5" in node.tick(read=3, head=6, target=5).problems
    assert node.tick(read=6, head=7, target=6).problems == ()


def test_a_low_balance_until_coin_comes(node: Node) -> None:
    node.balance = 10**15
    assert "less than min_balance" in node.tick().problems[0]
    node.balance = 10**17
    assert node.tick().problems == (), "short of coin, it looks each time"


def test_a_due_duty_without_an_accepted_transaction(node: Node) -> None:
    assert node.tick(ENTER).problems == ()
    node.context.now = COMMIT_END - 20
    assert node.tick(ENTER).problems == (f"late: {ENTER.key} is due and no transaction for it was accepted",)


@pytest.mark.parametrize(
    ("status", "late"), [(TxStatus.PENDING, True), (TxStatus.MINED, False), (TxStatus.DONE, False)]
)
def test_a_duty_whose_transaction_is_in_a_block_is_not_late(node: Node, status: TxStatus, late: bool) -> None:
    node.tick(ENTER)
    request = node.store.add(ENTER.key, me().signer, Call(address(1), b"", "enter"), None)
    node.store.update(request.id, status, tx_hash="0xaa", block=4)
    node.context.now = COMMIT_END - 20
    found = node.tick(ENTER)
    assert bool(found.problems) == late
    accepted = found.last_accepted
    assert (accepted is None) == late
    if accepted is not None:
        assert (accepted.call, accepted.block, accepted.final) == ("enter", 4, status == TxStatus.DONE)
        assert found.last_accepted_block == 4
    assert found.transactions[status.value] == 1


def test_a_blocked_sender_and_a_foreign_one(node: Node) -> None:
    node.status.blocked, node.status.external = "add funds", "somebody else uses this key"
    assert node.tick().problems == ("add funds", "somebody else uses this key")


def test_lapsed_promises_and_what_keeping_found(node: Node) -> None:
    kept = Kept(("task 1: entry at the store: gone",), ("the disk is full",), 1, 2, 3)
    found = node.tick(kept=kept)
    assert found.problems == ("lapsed: task 1: entry at the store: gone", "the disk is full")
    assert (found.stored_bytes, found.store_quota_bytes, found.data_bytes) == (1, 2, 3)


def test_what_every_contract_owes_is_to_withdraw(node: Node) -> None:
    story, to = node.story, me().signer
    ends = {"contestEnd": 1, "enrolEnd": 2, "deadline": 3}
    story.tell("Rewards", "Credited", account=to, amount=1, reason="0x")
    story.tell("Staking", "Slashed", operator=address(1), reporter=to, reporterReward=20)
    story.tell("Appeals", "WordContested", contest=0, word=0, appellant=to, bond=400, previous=0, **ends)
    story.tell("Appeals", "ContestResolved", contest=0, moved=False, toAppellant=300, toPool=0)
    assert node.tick().credits == 321
    story.tell("Staking", "OwedPaid", account=to, amount=20)
    assert node.tick().credits == 301


def test_a_missed_duty_is_told_for_a_day_after_the_task_has_ended(node: Node) -> None:
    story = node.story.enter(ME)
    node.context.now = REVEAL_END
    assert node.tick().missed == ("reveal-entry/1/0/0",)
    assert "missed: reveal-entry/1/0/0" in node.tick().problems
    story.end(Outcome.FAILED)
    assert list(recently_missed(story.world, node.context, REVEAL_END + MISSED_FOR - 1)) == ["reveal-entry/1/0/0"]
    assert list(recently_missed(story.world, node.context, REVEAL_END + MISSED_FOR)) == []


def test_nothing_was_missed_in_a_task_that_was_refunded(node: Node) -> None:
    node.story.enter(ME).end(Outcome.REFUNDED)
    node.context.now = REVEAL_END
    assert node.tick().missed == ()
