"""How a node does its training and scoring. The settings always select the honest strategy.

Tests and the local network pass other strategies in code, to demonstrate how the protocol treats cheaters.
"""

from __future__ import annotations

from covey.lora.jobs.job import ScoreJob, TrainJob
from covey.lora.jobs.result import ScoreResult
from covey.protocol.spec import TaskSpec
from covey.protocol.types import TaskParams


class Strategy:
    """The honest strategy: train as specified, and score by running the model."""

    def decline(self, spec: TaskSpec, params: TaskParams) -> str | None:
        """Why not to enter or validate a task that the `policy` settings accept; None takes part."""
        return None

    def training_job(self, job: TrainJob) -> TrainJob:
        """The training job to run in place of the honest `job`."""
        return job

    def scoring_result(self, job: ScoreJob) -> ScoreResult | None:
        """A result to use instead of running the scoring job; None runs it."""
        return None
