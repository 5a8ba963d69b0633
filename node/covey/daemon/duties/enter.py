"""Enters a task: decide, train, commit. Nothing is published: the entry's CID is computed locally and kept secret."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from covey.chain.units import cvy
from covey.daemon.context import Context, log
from covey.daemon.duties import jobs
from covey.daemon.duties.outcomes import Ended, Step, Waiting, declined
from covey.daemon.duties.records import records_by_stratum, training_records
from covey.daemon.duties.specs import base_of, reason_of_base, spec_of
from covey.daemon.duties.transactions import revert_reason, send, send_repeatable, transaction_progress
from covey.daemon.planning.duty import Duty
from covey.daemon.planning.policy import reason_not_to_enter
from covey.daemon.state.task import Task
from covey.daemon.storage.commitments import CommittedEntry
from covey.daemon.workers.background import Pending
from covey.ipfs import Cid, directory_cid
from covey.ipfs.disk import sync_file_system
from covey.lora.jobs.feasible import job_device
from covey.lora.jobs.job import TrainJob
from covey.protocol.commitments import entry_commitment
from covey.protocol.spec import TaskSpec

_PERMANENT = ("RegistryFull", "RegistryFeeAboveMax", "RegistryNotEligible", "RegistryNotSigner")
"""Reverts that a retry would meet again. A closed window is not among them; see `enrol`."""


def secret_name(ctx: Context, task: Task) -> str:
    """The name of the entry among the secrets."""
    return f"{ctx.network}/entry/{task.id}/{ctx.identity.operator.lower()}"


def committed_entry(ctx: Context, task: Task) -> CommittedEntry | None:
    """The stored entry of a task."""
    payload = ctx.journal.secret(secret_name(ctx, task))
    return None if payload is None else CommittedEntry.from_payload(payload)


def advance(ctx: Context, task: Task, duty: Duty) -> Step:
    entry = committed_entry(ctx, task)
    if entry is None:
        digest = _prepare(ctx, task, duty)
        if isinstance(digest, Waiting | Ended):
            return digest
        entry = CommittedEntry(digest, os.urandom(32), _folder(ctx, task))
        ctx.journal.save_secret(secret_name(ctx, task), entry.to_payload())
        log.info("entry ready", extra={"task": task.id, "duty": duty.key})
    return _commit(ctx, task, duty, entry)


def _folder(ctx: Context, task: Task) -> Path:
    return ctx.folder("entries", ctx.network, str(task.id))


def _prepare(ctx: Context, task: Task, duty: Duty) -> bytes | Waiting | Ended:
    """Train, and return the digest of the entry's directory."""
    spec = spec_of(ctx, task)
    if isinstance(spec, Waiting | Ended):
        return spec
    folder = _folder(ctx, task)
    if not folder.is_dir():
        unfinished = _train(ctx, task, duty, spec)
        if unfinished is not None:
            return unfinished
        output = _output_folder(ctx, task)
        if not output.is_dir():
            return declined("its trained entry is missing from the data folder")
        output.rename(folder)
    try:
        return ctx.background.get(f"cid/{duty.key}", lambda: _durable_cid(folder)).word
    except Pending:
        return Waiting("computing the entry's CID")


def _durable_cid(folder: Path) -> Cid:
    """The CID of a folder, once its files are on disk. Raises OSError."""
    cid = directory_cid(folder)
    sync_file_system(folder)
    return cid


def _output_folder(ctx: Context, task: Task) -> Path:
    """Where the training job writes."""
    return ctx.folder("work", ctx.network, f"entry-{task.id}")


def _train(ctx: Context, task: Task, duty: Duty, spec: TaskSpec) -> Waiting | Ended | None:
    """Run the training job; None once the entry's files are written."""
    fee = ctx.contracts.registry.entry_fee_at(task.id, len(task.entries))
    if (reason := reason_not_to_enter(spec, task.params, ctx.config.policy, fee)) is not None:
        return declined(reason)
    if (reason := ctx.strategy.decline(spec, task.params)) is not None:
        return declined(reason)
    base = base_of(ctx, spec)
    if isinstance(base, Waiting | Ended):
        return base
    if (reason := reason_of_base(ctx, spec, base, train=True)) is not None:
        return declined(reason)
    if ctx.journal.job(duty.key) is None and (problem := ctx.readiness.reason_to_wait()) is not None:
        return Waiting(problem)
    records = training_records(ctx.config)
    if isinstance(counts := records_by_stratum(ctx, records), Waiting):
        return counts
    output = _output_folder(ctx, task)
    if ctx.journal.job(duty.key) is None:
        shutil.rmtree(output, ignore_errors=True)
    job = TrainJob(
        base=base,
        spec=spec,
        records=str(records.resolve()),
        output=str(output.resolve()),
        task=ctx.reference(task),
        operator=ctx.identity.operator.lower(),
        seed=int.from_bytes(os.urandom(6), "big"),
        device=job_device(spec, ctx.config.device),
        threads=ctx.config.worker_threads,
        memory_mb=ctx.config.worker_memory_mib,
    )
    result = jobs.train(ctx, duty, ctx.strategy.training_job(job))
    return result if isinstance(result, Waiting | Ended) else None


def _commit(ctx: Context, task: Task, duty: Duty, entry: CommittedEntry) -> Step:
    registry, token, rewards = ctx.contracts.registry, ctx.contracts.token, ctx.contracts.rewards
    if (in_progress := transaction_progress(ctx, duty)) is not None:
        return in_progress
    if (reason := revert_reason(ctx, duty, *_PERMANENT)) is not None:
        return declined(reason)
    identity, max_fee = ctx.identity, ctx.config.policy.max_fee
    fee = registry.entry_fee_at(task.id, registry.state_of(task.id).committed)
    if fee > max_fee:
        return declined(f"an entry now costs {cvy(fee)}, more than policy.max_fee of {cvy(max_fee)}")
    if token.allowance(identity.signer, rewards.address) < fee:
        call = token.approve(rewards.address, max_fee)
        return send_repeatable(ctx, duty, call, lambda: False, "approve")
    commitment = entry_commitment(
        identity.chain_id, registry.address, task.id, identity.operator, entry.digest, entry.salt
    )
    call = registry.commit_entry(task.id, identity.operator, commitment, max_fee)
    return send(ctx, duty, call, lambda: registry.entry_of(task.id, identity.operator).committed)
