"""What a node does with a task's work. The honest way is the only one that a node can be configured to.

Tests and the local network replace it from outside, in code, to show what the protocol does to those who cheat.
"""

from __future__ import annotations

from typing import Any

from covey.protocol.spec import TaskSpec
from covey.protocol.types import TaskParams


class Strategy:
    """Honest: train as asked, score by running the model."""

    def decline(self, spec: TaskSpec, params: TaskParams) -> str | None:
        """Why not to enter or validate a task that the settings under `policy` accept; None takes part."""
        return None

    def training_job(self, job: dict[str, Any]) -> dict[str, Any]:
        """The training job to run, given the honest one (see `covey.lora.jobs.job.TrainJob`)."""
        return job

    def scoring_result(self, job: dict[str, Any]) -> dict[str, Any] | None:
        """A result to use instead of running the scoring job, or None to run it (`covey.lora.jobs.run_score`)."""
        return None
