"""Reasons of the contracts that keep an operator from earning."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest
from tests.support.daemon.scenario import identity

from covey.chain.errors import TransientError
from covey.daemon.monitoring.eligibility import Eligibility

CVY = 10**18


class Chain:
    """A staking contract with one pool."""

    def __init__(self) -> None:
        self.pool = SimpleNamespace(signer=identity().signer, self_bond=10 * CVY, jailed_until=0)
        self.reads = 0
        self.down = False

    def pool_of(self, operator: str) -> Any:
        assert operator == identity().operator
        self.reads += 1
        if self.down:
            raise TransientError("no endpoint answers")
        return self.pool

    def min_self_bond(self) -> int:
        return 10 * CVY


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_reasons_are_read_regularly_and_named(clock: list[float]) -> None:
    chain = Chain()
    contracts: Any = SimpleNamespace(staking=chain)
    eligibility = Eligibility(contracts, identity())
    assert eligibility.problems(now=100) == ()
    chain.pool.self_bond = 4 * CVY
    assert (eligibility.problems(100), chain.reads) == ((), 1)
    clock[0] += 60
    [problem] = eligibility.problems(100)
    assert problem.startswith("not eligible: the operator's own bond is 4 CVY, the minimum is 10 CVY: add 6 CVY")
    chain.down = True
    clock[0] += 10
    assert eligibility.problems(100) == (problem,), "endpoints that do not answer change nothing"
    chain.down, chain.pool.self_bond, chain.pool.jailed_until = False, 10 * CVY, 200
    clock[0] += 10
    assert "is jailed until 1970-01-01 00:03:20" in eligibility.problems(100)[0]
    clock[0] += 10
    assert "is still jailed, its time is over" in eligibility.problems(200)[0]
    chain.pool.jailed_until, chain.pool.signer = 0, "0x" + "99" * 20
    clock[0] += 10
    assert "the signer of" in eligibility.problems(300)[0]
    chain.pool.signer = identity().signer
    clock[0] += 10
    assert eligibility.problems(300) == ()
