"""What a daemon concluded on a chain that was reorganised since: it is concluded anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from tests.node.daemon.duties.test_fetching import SPEC
from tests.node.daemon.retention.test_retention import config_of
from tests.support.daemon.scenario import COMMIT_END, ENROL_END, Scenario, address, me

from covey.chain.contracts import Call
from covey.chain.signing.keystore import LocalSigner
from covey.chain.tx.sender import Sender
from covey.chain.tx.store import SqliteTxStore, TxStatus
from covey.daemon.context import Context, Ended, Waiting
from covey.daemon.duties import enrol
from covey.daemon.integrity.reorg import on_reorg
from covey.daemon.planning.plan import Duty, DutyKind
from covey.daemon.storage.journal import DutyStatus, Journal
from covey.daemon.storage.secrets import SecretFile
from covey.daemon.strategy import Strategy
from covey.daemon.workers.background import Background
from covey.daemon.workers.base_digests import BaseDigests
from covey.ipfs import BlockStore, open_fetcher
from covey.ipfs.keeper import Keeper

NONE: Any = cast(Any, None)
ENROL = Duty(ENROL_END, DutyKind.ENROL, 1)


@pytest.fixture
def ctx(tmp_path: Path) -> Iterator[Context]:
    config = config_of(tmp_path / "data")
    config.data_dir.mkdir()
    journal = Journal(config.journal_path, SecretFile(tmp_path / "secrets", bytes(32)))
    background = Background(retry_seconds=0.05)
    store = BlockStore(tmp_path / "blocks")
    sender = Sender(NONE, LocalSigner.from_key(bytes([7] * 32)), SqliteTxStore(journal.db))
    with open_fetcher(store) as fetcher:
        yield Context(
            config, me(), NONE, sender, journal, NONE, store, fetcher,
            Keeper(store, tmp_path / "retained.json"), background, Strategy(), BaseDigests(tmp_path / "bases.json"),
        )  # fmt: skip
    background.close()
    journal.close()


@pytest.mark.parametrize(
    ("reason", "declines"),
    [
        ("that window of the task is not open [RegistryWindowClosed(taskId=1, window=enrol)]", False),
        ("that operator entered the task [RegistryIsEntrant(taskId=1)]", True),
    ],
)
def test_a_window_that_was_not_open_in_an_undone_block_is_tried_again(
    ctx: Context, reason: str, declines: bool
) -> None:
    store = SqliteTxStore(ctx.journal.db)
    request = store.add(ENROL.key, me().signer, Call(address(9), b"", "enrol"), None)
    store.update(request.id, TxStatus.REVERTED, tx_hash="0x1", block=5, outcome=reason)
    ctx.now = COMMIT_END + 1
    step = enrol.advance(ctx, Scenario().enter(address(1)).task, ENROL)
    assert isinstance(step, Ended if declines else Waiting), step


def test_what_was_declined_is_thought_of_again_after_blocks_were_undone(ctx: Context) -> None:
    done = Duty(ENROL_END, DutyKind.PUBLISH_ENTRY, 1)
    ctx.journal.end_duty(ENROL.key, 1, DutyStatus.DECLINED, "its fee is too high", 1)
    ctx.journal.end_duty("reveal-entry/1/0/0", 1, DutyStatus.GIVEN_UP, "no salt", 1)
    ctx.journal.end_duty(done.key, 1, DutyStatus.DONE, "pinned", 1)
    ctx.journal.start_job(ENROL.key, 1)
    ctx.journal.fail_job(ENROL.key, "bad records", final=True)
    ctx.specs[1] = SPEC
    on_reorg(ctx, 7)
    assert ctx.journal.ended_duties(1) == {done.key: DutyStatus.DONE}
    assert ctx.specs == {}
    job = ctx.journal.job(ENROL.key)
    assert job is not None and job.status == "refused", "what a machine cannot do is not tried again for it"
