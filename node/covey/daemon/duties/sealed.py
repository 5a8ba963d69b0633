"""A seated node's row in a sealed task whose set is withheld: 0 for every entry.

The node scores no sealed set yet, so it declines such tasks, and abstains if it was enrolled by hand. But if no source
delivers the set, or what they deliver breaks the rules, abstaining would miss the quorum at the cost of the validators.
If every median is 0, the round is void, which costs the creator that withheld its set.
"""

from __future__ import annotations

from functools import partial

from covey.daemon.context import Context, log
from covey.daemon.duties.fetching import is_recent
from covey.daemon.duties.outcomes import Ended, Waiting, declined
from covey.daemon.planning.duty import Duty
from covey.daemon.planning.policy import SEALED
from covey.daemon.state.task import Task
from covey.daemon.workers.background import Pending
from covey.ipfs import Cid, CorruptBlock, InvalidContent, IpfsError, Limits, StoreBusy, StoreFull
from covey.protocol.sheet import EntryScore, Profile, ScoreSheet, Verdict
from covey.protocol.spec import TaskSpec

SET_LIMITS = Limits(max_bytes=1 << 30, max_files=64)
"""Maximum size and number of files of a sealed set."""
_NO_PROFILE = Profile(device="none", dtype="float32")


def sheet_of_withheld_set(
    ctx: Context, task: Task, duty: Duty, spec: TaskSpec, give_up: int
) -> ScoreSheet | Waiting | Ended:
    """The sheet of zeros if the set cannot be had or read; declined if it can.

    Args:
        give_up: chain time from which a set that no source has counts as withheld.
    """
    verdict: Verdict = "unavailable"
    try:
        _fetch_set(ctx, task)
        return declined(SEALED)
    except InvalidContent as error:
        verdict, reason = "invalid", f"the sealed set is not readable: {error}"
    except (CorruptBlock, StoreFull, StoreBusy, OSError) as error:  # this machine's own trouble
        return Waiting(f"the sealed set cannot be stored here: {error}")
    except (Pending, IpfsError) as error:
        reason = f"no source has the sealed set: {'being fetched' if isinstance(error, Pending) else error}"
        if ctx.now < give_up or is_recent(ctx, _name(ctx, task)):
            return Waiting(reason)
    log.warning("sealed set withheld", extra={"task": task.id, "duty": duty.key, "reason": reason})
    line = "".join(c if c.isprintable() else "?" for c in reason)[:500]
    return ScoreSheet(
        task=ctx.reference(task),
        round=duty.round,
        operator=ctx.identity.operator.lower(),
        base_digest=spec.base.digest,
        source="sealed",
        profile=_NO_PROFILE,
        strata=[],
        entries=[
            EntryScore(lane=entry.lane, digest=entry.digest.hex(), score=0, verdict=verdict, reason=line)
            for entry in task.revealed_entries
        ],
    )


def _name(ctx: Context, task: Task) -> str:
    return f"fetched/{ctx.network}/{task.id}/set"


def _fetch_set(ctx: Context, task: Task) -> None:
    folder = ctx.folder("fetched", ctx.network, str(task.id), "set")
    if not folder.is_dir():
        cid = Cid.directory(task.sealed_digest or bytes(32))
        fetch = partial(ctx.fetcher.get_directory, cid, folder, SET_LIMITS)
        ctx.background.get(_name(ctx, task), fetch, (InvalidContent,))
