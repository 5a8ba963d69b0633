"""What a node concluded from blocks that were reorganised is concluded again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from tests.support.daemon.context import SPEC, open_context
from tests.support.daemon.scenario import COMMIT_END, ENROL_END, Scenario, address, identity

from covey.chain.contracts import Call
from covey.chain.rpc.client import Rpc
from covey.chain.signing.keystore import LocalSigner
from covey.chain.tx.sender import Sender
from covey.chain.tx.store import SqliteTxStore, TxStatus
from covey.daemon.context import Context
from covey.daemon.duties import enrol
from covey.daemon.duties.outcomes import Ended, Waiting
from covey.daemon.integrity.reorg import on_reorg
from covey.daemon.planning.duty import Duty, DutyKind
from covey.daemon.storage.journal import DutyStatus, JobStatus, Journal

ENROL = Duty(ENROL_END, DutyKind.ENROL, 1)


def make_sender(journal: Journal) -> Sender:
    return Sender(cast(Rpc, None), LocalSigner.from_key(bytes([7] * 32)), SqliteTxStore(journal.db))


@pytest.fixture
def ctx(tmp_path: Path) -> Iterator[Context]:
    with open_context(tmp_path, make_sender=make_sender) as context:
        yield context


@pytest.mark.parametrize(
    ("reason", "declines"),
    [
        ("that window of the task is not open [RegistryWindowClosed(taskId=1, window=enrol)]", False),
        ("that operator entered the task [RegistryIsEntrant(taskId=1)]", True),
    ],
)
def test_a_closed_window_in_a_reorganised_block_is_retried(ctx: Context, reason: str, declines: bool) -> None:
    store = SqliteTxStore(ctx.journal.db)
    request = store.add(ENROL.key, identity().signer, Call(address(9), b"", "enrol"), None)
    store.update(request.id, TxStatus.REVERTED, tx_hash="0x1", block=5, outcome=reason)
    ctx.now = COMMIT_END + 1
    step = enrol.advance(ctx, Scenario().enter(address(1)).task, ENROL)
    assert isinstance(step, Ended if declines else Waiting), step


def test_declined_duties_are_reconsidered_after_a_reorganisation(ctx: Context) -> None:
    done = Duty(ENROL_END, DutyKind.PUBLISH_ENTRY, 1)
    ctx.journal.end_duty(ENROL.key, 1, DutyStatus.DECLINED, "its fee is too high", 1)
    ctx.journal.end_duty("reveal-entry/1/0/0", 1, DutyStatus.GIVEN_UP, "no salt", 1)
    ctx.journal.end_duty(done.key, 1, DutyStatus.DONE, "pinned", 1)
    ctx.journal.start_job(ENROL.key, 1)
    ctx.journal.fail_job(ENROL.key, "bad records", final=True)
    ctx.specs[1] = SPEC
    on_reorg(ctx.journal, ctx.specs, ctx.background, 7)
    assert ctx.journal.ended_duties(1) == {done.key: DutyStatus.DONE}
    assert ctx.specs == {}
    job = ctx.journal.job(ENROL.key)
    assert job is not None and job.status == JobStatus.REFUSED, "a reorganisation does not make a job valid"
