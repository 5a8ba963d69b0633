"""Fetches a task's spec and finds the base model that it names, in the background."""

from __future__ import annotations

from functools import partial

from covey.daemon.context import Context
from covey.daemon.duties.outcomes import Ended, Waiting, declined
from covey.daemon.planning.policy import spec_mismatch
from covey.daemon.state.task import Task
from covey.daemon.workers.background import Pending
from covey.ipfs import Cid, InvalidContent, IpfsError, StoreFull
from covey.lora.bases.resolve import cached_folder, read_config
from covey.lora.errors import LoraError
from covey.lora.jobs.feasible import base_problems, device_problem, entry_problem
from covey.protocol.canonical import DocumentError
from covey.protocol.spec import TaskSpec

SPEC_NAME = "spec.json"
"""The only file in a spec's directory."""


def spec_of(ctx: Context, task: Task) -> TaskSpec | Waiting | Ended:
    """The spec, checked against the task on chain; declined if it is invalid."""
    if (known := ctx.specs.get(task.id)) is not None:
        return known
    cid = Cid.directory(task.params.spec_digest)
    try:
        data = ctx.background.get(f"spec/{task.id}", lambda: ctx.fetcher.read(cid, SPEC_NAME))
        spec = TaskSpec.from_bytes(data)
    except Pending:
        return Waiting("fetching the spec")
    except InvalidContent as error:
        return declined(f"its spec is not readable: {error}")
    except DocumentError as error:
        return declined(str(error))
    except (StoreFull, OSError) as error:
        return Waiting(f"the spec cannot be stored here: {error}")
    except IpfsError as error:
        return Waiting(f"no source has the spec: {error}")
    if (reason := spec_mismatch(spec, task.params)) is not None:
        return declined(reason)
    ctx.specs[task.id] = spec
    return spec


def reason_of_base(ctx: Context, spec: TaskSpec, base: str, *, train: bool = False) -> str | None:
    """Why this node cannot keep the spec with the base, or on its device.

    Args:
        base: the base's local name, as `base_of` gives it.
        train: also check the adapter that this node would train.
    """
    if (problem := device_problem(spec, ctx.config.device)) is not None:
        return problem
    folder = cached_folder(base) or cached_folder(base, cache=ctx.config.data_dir / "bases")
    if folder is None:
        return None  # evicted; the worker downloads it again
    config = read_config(folder)
    if train and (problem := entry_problem(spec, config)) is not None:
        return problem
    # Whether the largest adapter fits is the creator's affair: entries that fit can be trained and scored.
    return next((text for text in base_problems(spec, config) if not text.startswith("adapter.max_bytes")), None)


def base_of(ctx: Context, spec: TaskSpec) -> str | Waiting | Ended:
    """The local name (`tiny`, a folder or a hub name) of the base with the spec's digest; declined without one."""
    problems = []
    for name in ctx.config.bases:
        try:
            digest = ctx.background.get(f"base/{name}", partial(ctx.bases.digest, name))
        except Pending:
            return Waiting(f"hashing base {name}")
        except LoraError as error:
            problems.append(str(error))
            continue
        if digest == spec.base.digest:
            return name
    details = f" ({'; '.join(problems)})" if problems else ""
    return declined(f"its base {spec.base.name} {spec.base.digest[:16]}… is not one of `bases`{details}")
