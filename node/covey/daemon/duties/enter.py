"""Entering a task: decide, train, commit. Nothing is published: the entry's CID is computed here and kept secret."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from covey.daemon.context import Context, Ended, Step, Waiting, declined, log
from covey.daemon.duties import jobs
from covey.daemon.duties.specs import absolute, base_of, spec_of
from covey.daemon.duties.transactions import reverted_as, send, send_again, under_way
from covey.daemon.planning.plan import Duty
from covey.daemon.planning.policy import unenterable
from covey.daemon.state.world import Task
from covey.daemon.workers.background import Pending
from covey.ipfs import Cid, directory_cid
from covey.ipfs.disk import sync_file_system
from covey.protocol.commitments import entry_commitment
from covey.protocol.spec import TaskSpec

_NO_USE = ("RegistryFull", "RegistryFeeAboveMax", "RegistryNotEligible", "RegistryNotSigner")
"""Refusals of an entry that another attempt would meet again; a window that is not open is none, see `enrol`."""


def secret_name(ctx: Context, task: Task) -> str:
    """Under which the entry's digest and salt are kept."""
    return f"{ctx.network}/entry/{task.id}/{ctx.me.operator.lower()}"


def advance(ctx: Context, task: Task, duty: Duty) -> Step:
    secret = ctx.journal.secret(secret_name(ctx, task))
    if secret is None:
        prepared = _prepare(ctx, task, duty)
        if isinstance(prepared, Waiting | Ended):
            return prepared
        salt = os.urandom(32)
        secret = {"digest": prepared.hex(), "salt": salt.hex(), "folder": str(_folder(ctx, task))}
        ctx.journal.keep_secret(secret_name(ctx, task), secret)
        log.info("entry ready", extra={"task": task.id, "duty": duty.key})
    return _commit(ctx, task, duty, bytes.fromhex(secret["digest"]), bytes.fromhex(secret["salt"]))


def _folder(ctx: Context, task: Task) -> Path:
    return ctx.folder("entries", ctx.network, str(task.id))


def _prepare(ctx: Context, task: Task, duty: Duty) -> bytes | Waiting | Ended:
    """Train, and return the digest of the entry's directory."""
    spec = spec_of(ctx, task)
    if isinstance(spec, Waiting | Ended):
        return spec
    folder = _folder(ctx, task)
    if not folder.is_dir():
        trained = _train(ctx, task, duty, spec)
        if trained is not None:
            return trained
        scratch = _scratch(ctx, task)
        if not scratch.is_dir():
            return declined("its trained entry is gone from the data folder")
        scratch.rename(folder)
    try:
        return ctx.background.get(f"cid/{duty.key}", lambda: _durable(folder)).word
    except Pending:
        return Waiting("computing the entry's CID")


def _durable(folder: Path) -> Cid:
    """The CID of a folder whose files reach the disk before anybody hears of it. Raises OSError."""
    cid = directory_cid(folder)
    sync_file_system(folder)
    return cid


def _scratch(ctx: Context, task: Task) -> Path:
    return ctx.folder("work", ctx.network, f"entry-{task.id}")


def _train(ctx: Context, task: Task, duty: Duty, spec: TaskSpec) -> Waiting | Ended | None:
    """None once the entry's files are written."""
    fee = ctx.contracts.registry.entry_fee_at(task.id, len(task.entries))
    if (reason := unenterable(spec, task.params, ctx.config.policy, fee)) is not None:
        return declined(reason)
    if (reason := ctx.strategy.decline(spec, task.params)) is not None:
        return declined(reason)
    base = base_of(ctx, spec)
    if isinstance(base, Waiting | Ended):
        return base
    scratch = _scratch(ctx, task)
    if ctx.journal.job(duty.key) is None:
        shutil.rmtree(scratch, ignore_errors=True)
    job = {
        "kind": "train",
        "base": base,
        "spec": spec.model_dump(mode="json", exclude_none=True),
        "records": absolute(ctx.config.training_records),
        "output": str(scratch.resolve()),
        "task": ctx.reference(task).model_dump(mode="json"),
        "operator": ctx.me.operator.lower(),
        "seed": int.from_bytes(os.urandom(6), "big"),
        "threads": ctx.config.worker_threads,
        "memory_mb": ctx.config.worker_memory_mib,
    }
    result = jobs.result_of(ctx, duty, ctx.strategy.training_job(job))
    return result if isinstance(result, Waiting | Ended) else None


def _commit(ctx: Context, task: Task, duty: Duty, digest: bytes, salt: bytes) -> Step:
    registry, token, rewards = ctx.contracts.registry, ctx.contracts.token, ctx.contracts.rewards
    if (sent := under_way(ctx, duty)) is not None:
        return sent
    if (reason := reverted_as(ctx, duty, *_NO_USE)) is not None:
        return declined(reason)
    max_fee = ctx.config.policy.max_fee
    fee = registry.entry_fee_at(task.id, registry.state_of(task.id).committed)
    if fee > max_fee:
        return declined(f"an entry costs {fee} wei by now, more than policy.max_fee {max_fee}")
    if token.allowance(ctx.me.signer, rewards.address) < fee:
        call = token.approve(rewards.address, max_fee)
        return send_again(ctx, duty, call, lambda: False, "approve")
    commitment = entry_commitment(ctx.me.chain_id, registry.address, task.id, ctx.me.operator, digest, salt)
    call = registry.commit_entry(task.id, ctx.me.operator, commitment, max_fee)
    return send(ctx, duty, call, lambda: registry.entry_of(task.id, ctx.me.operator).committed)
