"""Compiled contracts in the package."""

from __future__ import annotations

import pytest

from covey.chain import artifacts
from covey.chain.errors import FatalError


def test_all_artifacts_load_and_an_unknown_name_is_refused() -> None:
    for name in artifacts.CONTRACTS:
        artifact = artifacts.load(name)
        assert artifact.name == name
        assert artifact.bytecode
        assert artifacts.immutable_values(name, artifact.runtime_bytecode) is not None
        assert artifacts.immutable_values(name, artifact.runtime_bytecode[:-1] + b"\xfe\xfe") is None
    with pytest.raises(FatalError, match="no compiled contract Nothing"):
        artifacts.load("Nothing")
