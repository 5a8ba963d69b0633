"""The record files of the settings, and whether this machine can do the jobs that read them.

The settings require the files by role, so a missing setting is a configuration error.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from covey.config.errors import ConfigError
from covey.config.shared import RoleSettings
from covey.daemon.context import Context
from covey.daemon.duties.outcomes import Waiting
from covey.daemon.workers.background import Pending
from covey.daemon.workers.readiness import stamped_name
from covey.lora.bases.resolve import cached_folder, check_base
from covey.lora.data.encode import Encoder
from covey.lora.data.records import iter_records
from covey.lora.errors import DataError, LoraError
from covey.lora.tokenizer import end_of_text_id
from covey.protocol.spec import TaskSpec

_CHUNK = 512  # records tokenised at a time


def heldout_records(settings: RoleSettings) -> Path:
    """The file of held-out records. Raises ConfigError without one, which only a trainer's settings may lack."""
    if settings.heldout_records is None:
        raise ConfigError("a validator needs heldout_records")
    return settings.heldout_records


def training_records(settings: RoleSettings) -> Path:
    """The file of training records. Raises ConfigError without one, which only a validator's settings may lack."""
    if settings.training_records is None:
        raise ConfigError("a trainer needs training_records")
    return settings.training_records


def records_by_stratum(ctx: Context, path: Path) -> dict[str, int] | Waiting:
    """Number of records by stratum. Waits while the file is being read, and as long as no worker could read it."""
    try:
        return ctx.readiness.counts(path)
    except Pending:
        return Waiting("reading the records")
    except (DataError, OSError) as error:
        return Waiting(str(error))


def lacking_tokens(ctx: Context, task: int, spec: TaskSpec, base: str, path: Path) -> str | Waiting | None:
    """The reason not to score a task because a stratum of the records has too few tokens; None if all have enough."""
    name = f"tokens/{task}/{stamped_name(path)}"
    cache = ctx.config.data_dir / "bases"
    try:
        short = ctx.background.get(name, partial(_short_of_tokens, spec, base, cache, path), (LoraError,))
    except Pending:
        return Waiting("counting the tokens of the held-out records")
    except (LoraError, OSError) as error:
        return Waiting(str(error))
    if short is None:
        return None
    stratum, tokens, needed = short
    return f"stratum {stratum!r} needs {needed} tokens of held-out records, there are {tokens}"


def _short_of_tokens(spec: TaskSpec, base: str, cache: Path, path: Path) -> tuple[str, int, int] | None:
    """The first stratum with too few target tokens, their number and the number needed. Stops reading at enough.

    Raises LoraError, OSError.
    """
    folder = cached_folder(base) or cached_folder(base, cache=cache)
    if folder is None:
        return None  # not downloaded yet; the worker counts
    encoder = Encoder(folder, end_of_text_id(check_base(folder)), spec.evaluation.sequence_length)
    missing = {stratum.name: stratum.min_tokens for stratum in spec.strata}
    chunk: list[tuple[str, str]] = []

    def count() -> None:
        for (stratum, _), tokens in zip(chunk, encoder.count([text for _, text in chunk]), strict=True):
            missing[stratum] -= tokens
        chunk.clear()

    for record in iter_records(path):
        if missing.get(record.stratum, 0) > 0:
            chunk.append((record.stratum, record.text))
        if len(chunk) >= _CHUNK:
            count()
            if max(missing.values()) <= 0:
                return None
    count()
    for stratum in spec.strata:
        if (left := missing[stratum.name]) > 0:
            return stratum.name, stratum.min_tokens - left, stratum.min_tokens
    return None
