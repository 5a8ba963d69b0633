"""Publishes revealed content: pins it in the store, from where the gateway serves it to scorers and auditors.

From then on it is retained, see `covey.daemon.retention.retention`.
"""

from __future__ import annotations

from covey.daemon.context import Context
from covey.daemon.duties import enter, rows
from covey.daemon.duties.outcomes import Step, Waiting, done, given_up
from covey.daemon.planning.duty import Duty
from covey.daemon.retention.retention import label_of
from covey.daemon.state.task import Task
from covey.daemon.workers.background import Pending
from covey.ipfs import Cid, Content, IpfsError
from covey.protocol.sheet import SHEET_NAME


def entry(ctx: Context, task: Task, duty: Duty) -> Step:
    committed = enter.committed_entry(ctx, task)
    if committed is None:
        return given_up("the files of the entry are unknown: its secret is in neither the journal nor the secrets file")
    if not committed.folder.is_dir():
        return given_up(f"the entry's files are missing from {committed.folder}")
    return _pin(ctx, duty, committed.folder, label_of(task.id, "entry"), committed.digest)


def sheet(ctx: Context, task: Task, duty: Duty) -> Step:
    row = rows.revealed(ctx, task, duty)
    if row is None:
        return given_up("the score sheet is in neither the journal nor the secrets file")
    return _pin(ctx, duty, {SHEET_NAME: row.sheet}, label_of(task.id, "score sheet"), row.evidence)


def _pin(ctx: Context, duty: Duty, content: Content, label: str, digest: bytes) -> Step:
    def add() -> Cid:
        cid = ctx.store.add_directory(content, name=label)
        if cid.word == digest:
            ctx.keeper.retain(cid, label)
        return cid

    try:
        cid = ctx.background.get(f"pin/{duty.key}", add)
    except Pending:
        return Waiting("pinning")
    except IpfsError as error:
        return Waiting(f"not pinned yet: {error}")
    if cid.word != digest:
        return given_up(f"the files changed after they were committed: {cid} is not the revealed CID")
    return done(f"pinned {cid}")
