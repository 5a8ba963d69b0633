"""Publishing what was revealed: pinned in the store, and so served by the gateway to whoever must score or audit it.

From then on it is promised, see `covey.daemon.retention.retention`.
"""

from __future__ import annotations

from pathlib import Path

from covey.daemon.context import Context, Step, Waiting, done, given_up
from covey.daemon.duties import enter, rows
from covey.daemon.planning.plan import Duty
from covey.daemon.retention.retention import label_of
from covey.daemon.state.world import Task
from covey.daemon.workers.background import Pending
from covey.ipfs import Cid, Content, IpfsError
from covey.protocol.sheet import SHEET_NAME


def entry(ctx: Context, task: Task, duty: Duty) -> Step:
    secret = ctx.journal.secret(enter.secret_name(ctx, task))
    if secret is None:
        return given_up("it is not known here which files were entered")
    folder = Path(secret["folder"])
    if not folder.is_dir():
        return given_up(f"the entry's files are gone from {folder}")
    return _pin(ctx, duty, folder, label_of(task.id, "entry"), bytes.fromhex(secret["digest"]))


def sheet(ctx: Context, task: Task, duty: Duty) -> Step:
    row = rows.revealed(ctx, task, duty)
    if row is None:
        return given_up("the score sheet is not known here")
    content = {SHEET_NAME: row["sheet"].encode()}
    return _pin(ctx, duty, content, label_of(task.id, "score sheet"), bytes.fromhex(row["evidence"]))


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
        return given_up(f"the files changed since they were committed: {cid} is not what was revealed")
    return done(f"pinned {cid}")
