"""The demo's task and participants: four hospitals, a dishonest trainer, honest validators and a lazy one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from covey.protocol.spec import (
    Adapter,
    Base,
    Bootstrap,
    EvaluationSpec,
    ScoringSpec,
    Stratum,
    TaskSpec,
    TrainingHints,
)
from covey.protocol.types import Evaluation, Kind, TaskParams, Windows

if TYPE_CHECKING:
    from covey.lora.bases.resolve import BaseFolder

CVY = 10**18
HOSPITALS = ("Harbour Heart", "Mind & Nerve", "Ortho North", "Rosewood")
"""Trainers, in the order of `covey.devnet.icd10.HOSPITAL_STRATA`; each is named after its stratum."""
DISHONEST = "Shortcut Clinic"
VALIDATORS = (
    "Anchor Lab",
    "Beacon Lab",
    "Cedar Lab",
    "Delta Lab",
    "Ember Lab",
    "Fjord Lab",
    "Grove Lab",
    "Heath Lab",
    "Inlet Lab",
)
LAZY = "Idle Lab"
LAZY_SCORE = 9089
"""The lazy validator's score for every entry: a typical improvement, on the grid of rounded scores."""

STAKE = 20_000 * CVY
EARMARK = 15_000 * CVY
LAZY_EARMARK = 6_000 * CVY
BOUNTY = 10_000 * CVY
BOND = 500 * CVY
ENTRY_FEE = 20 * CVY
TARGET_SEATS = 31
VALIDATOR_BPS = 2_000
POWER = 2
FLOOR = 655
MAX_ENTRIES = 16
SEQUENCE_LENGTH = 64
MIN_RECORDS = 600
PASSES = "1"
"""Training epochs over a trainer's own records, so that a trainer with more records trains longer."""
SPREAD = 150
"""Standard deviation of an entry's score between bootstrap samples of MIN_RECORDS records, score units."""
HOUR = 3_600
# Longer than any machine needs; the driver ends a window as soon as all operators have acted.
WINDOWS = Windows(6 * HOUR, HOUR, HOUR, 0, 6 * HOUR, HOUR, 6 * HOUR, 0)


class Behaviour(StrEnum):
    """Behaviour of a participant."""

    HONEST = "honest"
    RANDOM_WEIGHTS = "random-weights"
    CONSTANT_SCORES = "constant-scores"


@dataclass(frozen=True, slots=True)
class Participant:
    """One operator. `index` is its data file among those of its role, `strata` the strata that only it holds."""

    name: str
    trainer: bool
    index: int
    behaviour: Behaviour = Behaviour.HONEST
    strata: tuple[str, ...] = ()

    @property
    def honest(self) -> bool:
        """True if it trains or scores as the protocol expects."""
        return self.behaviour == Behaviour.HONEST

    @property
    def slug(self) -> str:
        """The name as a folder name."""
        return "-".join(self.name.lower().replace("&", "and").split())


def participants(validators: int, hospital_strata: Sequence[str]) -> list[Participant]:
    """All participants: trainers first, the dishonest and the lazy one last of their role.

    Raises:
        ValueError: fewer than three honest validators, whose majority would depend on one, or more than there are
            names.
    """
    if not 3 <= validators <= len(VALIDATORS):
        raise ValueError(f"validators must be 3 to {len(VALIDATORS)}, not {validators}")
    everyone = [
        Participant(name, True, index, strata=(stratum,))
        for index, (name, stratum) in enumerate(zip(HOSPITALS, hospital_strata, strict=True))
    ]
    everyone.append(Participant(DISHONEST, True, 0, Behaviour.RANDOM_WEIGHTS))
    everyone += [Participant(name, False, index) for index, name in enumerate(VALIDATORS[:validators])]
    everyone.append(Participant(LAZY, False, 0, Behaviour.CONSTANT_SCORES))
    return everyone


def public_name(name: str) -> str:
    """A base's name for the spec: a hub name, or a folder's last component, with disallowed characters replaced."""
    if name.startswith(("/", ".", "~")) or name.count("/") > 1:
        name = Path(name).expanduser().resolve().name
    return re.sub(r"[^A-Za-z0-9_./+-]", "-", name).lstrip("_./+-")[:128] or "base"


def task_spec(base: BaseFolder, strata: Sequence[str], spread: int = SPREAD) -> TaskSpec:
    """The task spec, with equal weights for all strata. `spread` is the bootstrap's standard deviation, score units."""
    weight, rest = divmod(10_000, len(strata))
    each = MIN_RECORDS // len(strata)
    return TaskSpec(
        base=Base(
            name=public_name(base.name),
            revision=base.revision or "local",
            digest=base.digest,
            family="qwen3" if base.config["model_type"] == "qwen3" else "qwen2",
            upcast="float32",
        ),
        adapter=Adapter(
            target_modules=["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"],
            max_rank=16,
            max_bytes=64 << 20,
        ),
        domain="titles and inclusion terms of ICD-10-CM diagnoses, April 2026, in English",
        strata=[
            Stratum(name=name, weight=weight + (rest if index == 0 else 0), min_records=each, min_tokens=10 * each)
            for index, name in enumerate(strata)
        ],
        evaluation=EvaluationSpec(
            source="local",
            sequence_length=SEQUENCE_LENGTH,
            min_records=each * len(strata),
            max_records=each * len(strata),
        ),
        scoring=ScoringSpec(
            h=round(1.5 * spread),
            tau=4 * spread,
            floor=FLOOR,
            bootstrap=Bootstrap(samples=400, records=each * len(strata), spread=spread),
        ),
        training=TrainingHints(rank=8, alpha=16, batch_records=16),
    )


def task_params(spec: TaskSpec, digest: bytes, min_stake: int) -> TaskParams:
    """The task's parameters on chain. `digest` is the spec's 32-byte CID word, `min_stake` in wei."""
    return TaskParams(
        spec_digest=digest,
        sealed_commitment=bytes(32),
        kind=Kind.ARENA,
        evaluation=Evaluation.LOCAL,
        validator_bps=VALIDATOR_BPS,
        target_seats=TARGET_SEATS,
        floor_score=spec.scoring.floor,
        h=spec.scoring.h,
        tau=spec.scoring.tau,
        power=POWER,
        max_entries=MAX_ENTRIES,
        min_entries=1,
        bounty=BOUNTY,
        bond=BOND,
        entry_fee=ENTRY_FEE,
        min_stake=min_stake,
        windows=WINDOWS,
    )
