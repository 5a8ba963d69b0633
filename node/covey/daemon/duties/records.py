"""The record files of the settings. The settings require them by role, so a missing one is a configuration error."""

from __future__ import annotations

from pathlib import Path

from covey.config.errors import ConfigError
from covey.config.shared import RoleSettings


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
