"""Each reason that turns health red, with a stubbed chain and sender, and a real journal."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from prometheus_client import generate_latest
from pydantic import ByteSize
from tests.support.daemon.scenario import COMMIT_END, OPERATOR, REVEAL_END, Scenario, address, identity

from covey.chain.contracts import Call
from covey.chain.events.follower import Checkpoint, Progress
from covey.chain.rpc.responses import Block
from covey.chain.tx.sender import SenderStatus
from covey.chain.tx.store import SqliteTxStore, TxStatus
from covey.config.node import NodeConfig
from covey.daemon.monitoring.metrics import REASONS, DueDuty, Metrics, Snapshot
from covey.daemon.monitoring.snapshot import MISSED_FOR, SnapshotReporter, recently_missed
from covey.daemon.planning.duty import Duty, DutyKind
from covey.daemon.retention.retention import RetentionReport
from covey.daemon.state.ledger import Ledger
from covey.daemon.storage.journal import Journal
from covey.daemon.storage.retiring import NOTE, mark_retiring
from covey.protocol.types import Outcome

ENTER = Duty(COMMIT_END, DutyKind.ENTER, 1)
SCORE = Duty(COMMIT_END, DutyKind.SCORE, 1)


def block(number: int) -> Block:
    fields = dict.fromkeys(Block.__dataclass_fields__, 0) | {"number": number, "timestamp": 1_000 + number}
    return Block(**cast(Any, fields))


def advance_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ten minutes pass on the monotonic clock."""
    then = time.monotonic() + 600
    monkeypatch.setattr("time.monotonic", lambda: then)


class Node:
    """The parts that a snapshot reads. Chain, sender and executor are stubs."""

    def __init__(self, folder: Path) -> None:
        self.data_dir = folder
        self.journal = Journal(folder / "journal.sqlite", None)
        self.store = SqliteTxStore(self.journal.db)
        self.scenario = Scenario()
        self.balance = 10**18
        self.status = SenderStatus(identity().signer)
        self.now = COMMIT_END - 90
        config = NodeConfig.model_construct(
            max_head_age_seconds=180,
            min_balance=10**16,
            disk_quota=ByteSize(1),
            data_dir=folder,
            min_free_disk=ByteSize(0),
        )
        self.reporter = SnapshotReporter(
            config=config,
            identity=identity(),
            rpc=cast(Any, SimpleNamespace(balance=lambda _: self.balance, report=list)),
            sender=cast(Any, SimpleNamespace(status=self.status, request=self.store.get)),
            transactions=self.store,
            journal=self.journal,
            executor=cast(Any, SimpleNamespace(progress=dict, queued=lambda: 0)),
            chain_log=cast(Any, SimpleNamespace(state=self.scenario.state)),
            ledger=Ledger(OPERATOR),
        )

    def snapshot(
        self,
        *due: Duty,
        read: int = 5,
        head: int = 5,
        target: int = 5,
        retention: RetentionReport | None = None,
        waits: tuple[DueDuty, ...] = (),
        blocked: tuple[str, ...] = (),
        base_fee: int = 0,
    ) -> Snapshot:
        """The snapshot of a cycle that has read events up to block `read` of `target`."""
        return self.reporter.snapshot(
            now=self.now,
            head=block(head),
            progress=Progress(block(target), Checkpoint(read, "0x"), 0),
            due=due,
            waits=waits,
            errors={},
            retention=retention or RetentionReport(),
            retained=0,
            blocked=blocked,
        )


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path)
    yield node
    node.journal.close()


def test_a_working_node_has_no_problems(node: Node) -> None:
    assert node.snapshot().problems == ()


def test_a_head_that_stands_still_is_a_problem(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    node.snapshot()
    advance_clock(monkeypatch)
    assert node.snapshot(head=5).problems[0].startswith("no new block for")
    assert node.snapshot(head=6).problems == ()


def test_unread_events_are_a_problem_after_a_while(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    assert node.snapshot(read=3, target=5).problems == (), "every start begins like this"
    advance_clock(monkeypatch)
    assert "events were read up to block 3 only, of 5" in node.snapshot(read=3, head=6, target=5).problems
    assert node.snapshot(read=6, head=7, target=6).problems == ()


def test_a_low_balance_is_a_problem_until_it_is_topped_up(node: Node) -> None:
    node.balance = 10**15
    assert "less than min_balance" in node.snapshot().problems[0]
    node.balance = 10**17
    assert node.snapshot().problems == (), "a low balance is read in every cycle"


def test_a_due_duty_without_an_accepted_transaction_becomes_late(node: Node) -> None:
    assert node.snapshot(SCORE).problems == ()
    node.now = COMMIT_END - 20
    snapshot = node.snapshot(SCORE)
    assert snapshot.problems == (f"late: {SCORE.key} is due and no transaction for it was accepted",)
    assert {reason: number for reason, number in snapshot.reasons.items() if number} == {"late": 1}
    assert tuple(snapshot.reasons) == REASONS
    metrics = Metrics()
    metrics.measure(snapshot)
    shown = generate_latest(metrics.registry).decode()
    assert 'covey_problems{reason="late"} 1.0' in shown
    assert 'covey_problems{reason="disk"} 0.0' in shown


def test_an_operator_that_retires_is_a_warning(node: Node) -> None:
    assert NOTE not in node.snapshot(SCORE).warnings
    mark_retiring(node.data_dir)
    snapshot = node.snapshot(SCORE)
    assert (snapshot.healthy, NOTE in snapshot.warnings) == (True, True)


@pytest.mark.parametrize("kind", [DutyKind.ENTER, DutyKind.ENROL])
def test_a_task_that_the_node_has_not_begun_to_join_is_a_warning(node: Node, kind: DutyKind) -> None:
    duty = Duty(COMMIT_END, kind, 1)
    waits = (DueDuty(duty.key, duty.deadline, "no source has the spec"),)
    node.snapshot(duty, waits=waits)
    node.now = COMMIT_END - 20
    snapshot = node.snapshot(duty, waits=waits)
    assert snapshot.healthy
    assert snapshot.warnings == (f"{duty.key}: no source has the spec",)
    node.journal.start_job(duty.key, 1)
    late = node.snapshot(duty, waits=waits)
    assert late.problems == (f"late: {duty.key} is due and no transaction for it was accepted",)


def test_what_keeps_the_node_from_taking_tasks_is_a_problem(node: Node) -> None:
    assert node.snapshot(blocked=("held-out records: gone",)).problems == ("held-out records: gone",)


@pytest.mark.parametrize(
    ("status", "late"), [(TxStatus.PENDING, True), (TxStatus.MINED, False), (TxStatus.DONE, False)]
)
def test_a_duty_whose_transaction_is_in_a_block_is_not_late(node: Node, status: TxStatus, late: bool) -> None:
    node.snapshot(ENTER)
    request = node.store.add(ENTER.key, identity().signer, Call(address(1), b"", "enter"), None)
    node.store.update(request.id, status, tx_hash="0xaa", block=4)
    node.now = COMMIT_END - 20
    snapshot = node.snapshot(ENTER)
    assert bool(snapshot.problems) == late
    accepted = snapshot.last_accepted
    assert (accepted is None) == late
    if accepted is not None:
        assert (accepted.call, accepted.block, accepted.final) == ("enter", 4, status == TxStatus.DONE)
        assert snapshot.last_accepted_block == 4
    assert snapshot.transactions[status.value] == 1


def test_a_blocked_sender_and_a_foreign_transaction_are_problems(node: Node) -> None:
    node.status.blocked, node.status.external = "add funds", "another program uses this key"
    assert node.snapshot().problems == ("add funds", "another program uses this key")


def test_missing_pins_and_retention_problems_are_problems(node: Node) -> None:
    report = RetentionReport(("task 1: entry at the store: missing",), ("the disk is full",), 1, 2, 3)
    snapshot = node.snapshot(retention=report)
    assert snapshot.problems == ("missing pin: task 1: entry at the store: missing", "the disk is full")
    assert (snapshot.stored_bytes, snapshot.store_quota_bytes, snapshot.data_bytes) == (1, 2, 3)


def test_credits_sum_what_all_contracts_owe(node: Node) -> None:
    scenario, to = node.scenario, identity().signer
    ends = {"contestEnd": 1, "enrolEnd": 2, "deadline": 3}
    scenario.emit("Rewards", "Credited", account=to, amount=1, reason="0x")
    scenario.emit("Staking", "Slashed", operator=address(1), reporter=to, reporterReward=20)
    scenario.emit("Appeals", "WordContested", contest=0, word=0, appellant=to, bond=400, previous=0, **ends)
    scenario.emit("Appeals", "ContestResolved", contest=0, moved=False, toAppellant=300, toPool=0)
    assert node.snapshot().credits == 321
    scenario.emit("Staking", "OwedPaid", account=to, amount=20)
    assert node.snapshot().credits == 301


def test_a_missed_duty_is_reported_for_a_day_after_the_task_has_ended(node: Node) -> None:
    scenario = node.scenario.enter(OPERATOR)
    node.now = REVEAL_END
    assert node.snapshot().missed == ("reveal-entry/1/0/0",)
    assert "missed: reveal-entry/1/0/0" in node.snapshot().problems
    scenario.end(Outcome.FAILED)
    assert list(recently_missed(scenario.state, identity(), REVEAL_END + MISSED_FOR - 1)) == ["reveal-entry/1/0/0"]
    assert list(recently_missed(scenario.state, identity(), REVEAL_END + MISSED_FOR)) == []


def test_a_refunded_task_has_no_missed_duties(node: Node) -> None:
    node.scenario.enter(OPERATOR).end(Outcome.REFUNDED)
    node.now = REVEAL_END
    assert node.snapshot().missed == ()
