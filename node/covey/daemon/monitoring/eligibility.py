"""Whether the contracts let this operator earn: its own bond reaches the minimum, and it is not jailed."""

from __future__ import annotations

import contextlib
import time

from covey.chain.contracts import Contracts
from covey.chain.errors import ChainError
from covey.chain.units import cvy, format_time
from covey.daemon.planning.duty import Identity

_EVERY_S = 60.0
_EVERY_WHILE_BAD_S = 10.0


class Eligibility:
    """Reads the operator's pool once a minute, and more often while something is wrong. For one thread."""

    def __init__(self, contracts: Contracts, identity: Identity) -> None:
        self._staking = contracts.staking
        self._identity = identity
        self._read_at: float | None = None
        self._problems: tuple[str, ...] = ()

    def problems(self, now: int) -> tuple[str, ...]:
        """Why the operator can neither train nor validate; the last known answer while no endpoint answers.

        Args:
            now: chain time.
        """
        pause = _EVERY_WHILE_BAD_S if self._problems else _EVERY_S
        if self._read_at is None or time.monotonic() - self._read_at >= pause:
            self._read_at = time.monotonic()
            with contextlib.suppress(ChainError):  # the loop reports endpoints that do not answer
                self._problems = self._read(now)
        return self._problems

    def _read(self, now: int) -> tuple[str, ...]:
        operator, problems = self._identity.operator, []
        pool = self._staking.pool_of(operator)
        if pool.signer != self._identity.signer:
            problems.append(f"the signer of {operator} is now {pool.signer}, not this node's {self._identity.signer}")
        minimum = self._staking.min_self_bond()
        if pool.self_bond < minimum:
            problems.append(
                f"not eligible: the operator's own bond is {cvy(pool.self_bond)}, the minimum is {cvy(minimum)}: "
                f"add {cvy(minimum - pool.self_bond)} with `covey stake`"
            )
        if pool.jailed_until > now:
            problems.append(f"not eligible: {operator} is jailed until {format_time(pool.jailed_until)}")
        elif pool.jailed_until:
            problems.append(f"not eligible: {operator} is still jailed, its time is over: have its owner call unjail")
        return tuple(problems)
