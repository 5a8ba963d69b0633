"""TaskBounds: limits on the parameters of a task."""

from __future__ import annotations

from dataclasses import dataclass

from covey.chain.contracts.base import Binding
from covey.protocol.types import Windows


@dataclass(frozen=True, slots=True)
class RegistryConfig:
    """Limits on the parameters of a task; see ITaskRegistry.RegistryConfig."""

    min_windows: Windows
    min_bounty: int
    min_bond: int
    stake_multiple_bps: int
    max_entries: int
    max_target_seats: int
    max_h: int
    max_tau: int
    max_floor: int
    min_validator_bps: int
    min_seats: int
    min_sealed_tau: int


class Bounds(Binding):
    """Reads of TaskBounds."""

    artifact = "TaskBounds"

    def config(self) -> RegistryConfig:
        """The governed limits."""
        return self._read_struct(RegistryConfig, "config")

    def bounty_limit(self, stake: int) -> int:
        """The maximum bounty, wei, for a committee with that stake."""
        return int(self._read("bountyLimit", stake))

    def max_task_life(self) -> int:
        """The maximum duration of a task with a second committee and an appeal, seconds."""
        return int(self._read("maxTaskLife"))
