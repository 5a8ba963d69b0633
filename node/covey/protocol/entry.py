"""The manifest of an entry: the task an adapter was trained for, and how. Only its CID authenticates it.

It is stored in the entry's directory with ``adapter_model.safetensors`` and ``adapter_config.json``. Validators check
only the fields that affect the score (task, operator, base); the other fields are the trainer's unchecked statement.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from covey.protocol.document import AddressHex, Count, DecimalText, Document, Hex32, Name, Positive, Strict, Version1

MANIFEST_NAME = "manifest.json"
ADAPTER_NAME = "adapter_model.safetensors"
CONFIG_NAME = "adapter_config.json"
ENTRY_FILES = (CONFIG_NAME, ADAPTER_NAME, MANIFEST_NAME)
"""The files of an entry's directory, sorted; any other file makes the entry invalid."""


class TaskReference(Strict):
    """A task on a chain."""

    chain_id: Positive
    registry: AddressHex
    task_id: Positive
    spec: Hex32
    """Digest of the spec's CID."""


class TrainingSettings(Strict):
    """How the adapter was trained."""

    optimiser: Name
    learning_rate: DecimalText
    schedule: Name
    warmup_steps: Count = 0
    steps: Count
    batch_records: Positive
    sequence_length: Positive
    rank: Annotated[int, Field(ge=1, le=1024)]
    alpha: Positive
    dropout: DecimalText = "0"
    weight_decay: DecimalText = "0"
    seed: Count


class PrivacyAccount(Strict):
    """Privacy cost of DP-SGD: (epsilon, delta) of this entry by the named accountant."""

    epsilon: DecimalText
    delta: DecimalText
    noise_multiplier: DecimalText
    max_gradient_norm: DecimalText
    sample_rate: DecimalText
    accountant: Name


class Manifest(Document):
    """An entry's manifest, version 1."""

    title: ClassVar[str] = "manifest"

    version: Version1 = 1
    task: TaskReference
    operator: AddressHex
    base_digest: Hex32
    records: Count | None = None
    """Distinct records trained on. Public and not needed for scoring, so the node leaves it out."""
    tokens_seen: Count | None = None
    """Target tokens over all steps, repeats counted. As `records`."""
    training: TrainingSettings | None = None
    """As `records`. The seed shows nothing about other nodes' data, but repeats this node's choices."""
    privacy: PrivacyAccount | None = None
    software: Annotated[dict[Name, Name], Field(max_length=32)] | None = None
    """Package versions, for instance {"torch": "2.13.0"}. As `records`."""
