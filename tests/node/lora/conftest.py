"""Fixtures for the tests of `covey.lora`."""

from tests.support.lora.fixtures import cache, runner, spec, split, tiny, train_job, trained

__all__ = ["cache", "runner", "spec", "split", "tiny", "train_job", "trained"]
