"""Types that several folders of `covey.lora` share. Does not import torch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
"""A tensor of an adapter."""
Losses = npt.NDArray[np.float64]
"""Negative log-likelihood in nats, one value per record: (records,)."""
Progress = Callable[[str, int, int], None]
"""Receives the stage, the number of steps done and the total."""


def no_progress(stage: str, done: int, total: int) -> None:
    """Ignore progress."""
