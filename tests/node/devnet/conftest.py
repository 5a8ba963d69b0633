"""Fixtures for the tests of `covey.devnet`."""

from tests.support.lora.fixtures import cache, split

__all__ = ["cache", "split"]
