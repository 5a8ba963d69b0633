"""TaskBounds: what a task may ask for."""

from __future__ import annotations

from dataclasses import dataclass

from covey.chain.contracts.base import Binding
from covey.protocol.types import Windows


@dataclass(frozen=True, slots=True)
class RegistryConfig:
    """Bounds on what a task may ask for; see ITaskRegistry.RegistryConfig."""

    min_windows: Windows
    min_bounty: int
    min_bond: int
    stake_multiple_bps: int
    max_entries: int
    max_target_seats: int
    max_h: int
    max_tau: int


class Bounds(Binding):
    """Reads of the bounds on tasks."""

    artifact = "TaskBounds"

    def config(self) -> RegistryConfig:
        """The governed bounds."""
        return self._read_struct(RegistryConfig, "config")

    def bounty_limit(self, stake: int) -> int:
        """The largest bounty, wei, that may be decided on with that stake behind the committee."""
        return int(self._read("bountyLimit", stake))

    def max_task_life(self) -> int:
        """The longest a task may take, second committee and appeal included, seconds."""
        return int(self._read("maxTaskLife"))
