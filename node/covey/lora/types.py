"""Types that several folders of `covey.lora` share. Imports neither torch nor numpy."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:  # the daemon uses modules with these types and computes nothing
    import numpy as np
    import numpy.typing as npt

Array: TypeAlias = "npt.NDArray[np.float32]"
"""A tensor of an adapter."""
Losses: TypeAlias = "npt.NDArray[np.float64]"
"""Negative log-likelihood in nats, one value per record: (records,)."""
Progress = Callable[[str, int, int], None]
"""Receives the stage, the number of steps done and the total."""


def no_progress(stage: str, done: int, total: int) -> None:
    """Ignore progress."""
