"""Several endpoints behind one `request`: fail-over, one deadline per call, chain id checks, back-off with jitter."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from covey.chain.errors import FatalError, RpcResponseError, TooSlow, Unreachable, WrongChain
from covey.chain.rpc.endpoint import Endpoint, EndpointFault, printable
from covey.chain.rpc.endpoint_health import EndpointHealth, EndpointReport, Heads
from covey.chain.rpc.open import open_endpoint
from covey.chain.rpc.refusals import (
    NO_SUCH_METHOD,
    blocks_of,
    is_busy,
    is_deserved,
    is_endpoint_trouble,
    is_too_many,
    may_shrink,
    narrow_error,
)
from covey.chain.rpc.responses import parse_quantity

_MIN_SHARE_S = 0.5
"""Minimum time that one endpoint of several gets of a call's deadline."""
_FIRST_COOL_DOWN_S, _MAX_COOL_DOWN_S = 0.25, 30.0
_FALSE_HEAD_S = 30.0
"""Cool-down of an endpoint that claimed a head it does not have; doubled each time."""
_PENALTY_S, _MAX_PENALTY_S = 600.0, 86_400.0
"""How long others are asked before an endpoint that returned wrong logs; doubled each time."""
_ROUNDS = 3
"""Maximum number of rounds of one call over endpoints that report that they are busy."""
_PROBE_TIMEOUT_S = 5.0
_OPTIONAL_METHODS = ("eth_maxPriorityFeePerGas", "eth_feeHistory")
"""Methods that good nodes may lack; a refusal says nothing about the endpoint's health."""


class Pool:
    """JSON-RPC calls over one or more endpoints of the same chain.

    Calls go to the first endpoint that is neither cooling down nor behind. One that fails cools down for a growing,
    random time, and the next is asked, until ``timeout`` seconds have passed. A fault is never fatal; a wrong chain
    always is.

    Args:
        urls: endpoints in order of preference; see `open_endpoint`.
        chain_id: the chain they must serve; None takes the first endpoint's answer.
        timeout: deadline of a call over all endpoints, seconds.
    """

    def __init__(
        self,
        urls: Sequence[str] | str,
        chain_id: int | None = None,
        timeout: float = 10.0,
        *,
        endpoints: Sequence[Endpoint] | None = None,
    ) -> None:
        addresses = [urls] if isinstance(urls, str) else list(urls)
        opened = [open_endpoint(url) for url in addresses] if endpoints is None else list(endpoints)
        if not opened:
            raise FatalError("no RPC endpoint given")
        self.timeout = timeout
        self.health = [EndpointHealth(endpoint) for endpoint in opened]
        self.heads = Heads()
        self._chain_id = chain_id
        self._random = random.Random()
        self._fatal: WrongChain | None = None
        self._closing: threading.Event | None = None

    @property
    def chain_id(self) -> int:
        """The chain's id: the given one, or the first endpoint's answer."""
        if self._chain_id is None:
            self.request("eth_chainId", [])
        if self._chain_id is None:
            raise Unreachable("no RPC endpoint reported its chain id")
        return self._chain_id

    def request(
        self,
        method: str,
        params: list[Any],
        timeout: float | None = None,
        *,
        usable: Callable[[Any], bool] | None = None,
    ) -> Any:
        """Make a JSON-RPC call and return its result.

        Args:
            usable: returns False for an answer that another endpoint may improve on, such as null for a block that this
                one does not have yet. If no endpoint has a usable answer, the last answer is returned.

        Raises:
            Unreachable: no endpoint gave an answer before the deadline; TooSlow if a smaller request may succeed.
            WrongChain: an endpoint serves another chain.
            TooManyResults: a log query was refused for its size.
            ContractReverted: the call reverted.
            RpcResponseError: the node answered with another error.
        """
        if self._fatal is not None:
            raise self._fatal
        return _PoolCall(self, method, params, self.timeout if timeout is None else timeout, usable).run()

    def check(self) -> None:
        """Ask every endpoint for its chain id, so that a wrong one is found at the start and not at a fail-over.

        Raises:
            WrongChain: an endpoint serves another chain.
            Unreachable: no endpoint answered.
        """
        with ThreadPoolExecutor(len(self.health)) as threads:
            for health, fault in zip(self.health, threads.map(self._find_fault, self.health), strict=True):
                if isinstance(fault, WrongChain):
                    raise fault
                if fault is not None:
                    self.cool_down(health, fault)
        if not any(health.checked for health in self.health):
            faults = "; ".join(f"{printable(health.endpoint.url)}: {health.last_fault}" for health in self.health)
            raise Unreachable(f"no RPC endpoint answered eth_chainId: {faults}")

    def _find_fault(self, health: EndpointHealth) -> EndpointFault | RpcResponseError | WrongChain | None:
        try:
            self._check(health, self.timeout)
        except (EndpointFault, RpcResponseError, WrongChain) as fault:
            return fault
        return None

    # ------------------------------------------------------------------ health

    def report(self) -> list[EndpointReport]:
        """Health of each endpoint, in order of preference. Makes no call."""
        return [self.heads.report(health) for health in self.health]

    def watch(self, every_s: float) -> None:
        """Probe every endpoint from a background thread until `close`.

        Without it, an idle endpoint that is down, behind or on another chain would be found out only when it is needed.
        """
        if self._closing is None:
            self._closing = threading.Event()
            arguments = (self._closing, every_s)
            threading.Thread(target=self._probe_forever, args=arguments, name="rpc-watch", daemon=True).start()

    def close(self) -> None:
        """Stop `watch`."""
        if self._closing is not None:
            self._closing.set()
            self._closing = None

    def _probe_forever(self, closing: threading.Event, every_s: float) -> None:
        while not closing.wait(every_s):
            for health in self.health:
                if closing.is_set():
                    return
                if health.retry_at <= time.monotonic():
                    self.probe(health)

    def probe(self, health: EndpointHealth) -> None:
        """Ask one endpoint for its head. After a wrong chain, every `request` raises WrongChain."""
        try:
            self.ask(health, "eth_blockNumber", [], min(self.timeout, _PROBE_TIMEOUT_S))
        except WrongChain as error:
            self._fatal = error
        except (EndpointFault, RpcResponseError) as fault:
            self.cool_down(health, fault)

    def penalise_log_sources(self) -> list[str]:
        """Ask other endpoints before those that returned logs since the last penalty, because the logs were wrong.

        The penalty lasts ten minutes and doubles each time, up to a day.

        Returns:
            The addresses of the penalised endpoints.
        """
        sources = [health for health in self.health if health.gave_logs]
        for health in sources:
            health.gave_logs = False
            penalty = min(_MAX_PENALTY_S, _PENALTY_S * 2.0 ** min(health.bad_logs, 8))
            health.bad_logs += 1
            health.penalised_until = time.monotonic() + penalty
            health.last_fault = "returned logs that omit or forge events"
        return [printable(health.endpoint.url) for health in sources]

    # ------------------------------------------------------------------ one endpoint

    def in_order(self) -> list[EndpointHealth]:
        """Endpoints in the order to ask them: at the head, behind, penalised, cooling down."""
        now = time.monotonic()
        cooling = sorted((h for h in self.health if h.retry_at > now), key=lambda h: h.retry_at)
        ready = [health for health in self.health if health.retry_at <= now]
        penalised = sorted(
            (health for health in ready if health.penalised_until > now), key=lambda h: h.penalised_until
        )
        trusted = [health for health in ready if health.penalised_until <= now]
        behind = [health for health in trusted if self.heads.is_behind(health)]
        return [health for health in trusted if health not in behind] + behind + penalised + cooling

    def ask(self, health: EndpointHealth, method: str, params: list[Any], timeout: float) -> Any:
        """Make one call to one endpoint and record what it shows of the endpoint's health."""
        if not health.checked:
            self._check(health, timeout)
        started = time.monotonic()
        health.requests += 1
        result = health.endpoint.request(method, params, timeout)
        health.record_answer(time.monotonic() - started)
        health.gave_logs = health.gave_logs or method == "eth_getLogs"
        if (fault := self.heads.observe(health, method, params, result)) is not None:
            health.record_fault(fault, _FALSE_HEAD_S * 2.0 ** min(health.false_heads, 5))
        return result

    def _check(self, health: EndpointHealth, timeout: float) -> None:
        """Verify an endpoint's chain id."""
        try:
            served = parse_quantity(health.endpoint.request("eth_chainId", [], timeout))
        except Unreachable as malformed:
            raise EndpointFault(f"eth_chainId: {malformed}") from None
        health.chain_id = served
        if self._chain_id is None:
            self._chain_id = served
        elif served != self._chain_id:
            where = printable(health.endpoint.url)
            raise WrongChain(f"{where} serves chain {served}, not {self._chain_id}: check rpc_urls and chain_id")
        health.checked = True

    def cool_down(self, health: EndpointHealth, fault: EndpointFault | RpcResponseError) -> None:
        """Leave an endpoint alone for 0.25·2ⁿ s at its nth consecutive fault, at most 30 s, less a random half."""
        longest = min(_MAX_COOL_DOWN_S, _FIRST_COOL_DOWN_S * 2.0 ** min(health.faults + 1, 8))
        requested = fault.pause if isinstance(fault, EndpointFault) else 0.0
        message = fault.message if isinstance(fault, RpcResponseError) else str(fault)
        health.record_fault(message, max(longest * self._random.uniform(0.5, 1.0), requested))
        health.must_wait = requested > 0


class _PoolCall:
    """One call on its way through the endpoints."""

    def __init__(
        self, pool: Pool, method: str, params: list[Any], timeout: float, usable: Callable[[Any], bool] | None
    ) -> None:
        self._pool = pool
        self._method = method
        self._params = params
        self._end = time.monotonic() + timeout
        self._usable = usable
        self._faults: dict[str, str] = {}
        self._blocks = blocks_of(method, params)
        self._refusal: RpcResponseError | None = None
        self._doubted: list[tuple[EndpointHealth, RpcResponseError]] = []
        """Endpoints whose refusal may be their own fault or the call's; an answer of another decides."""
        self._slow = False
        self._busy: list[EndpointHealth] = []

    def run(self) -> Any:
        for _ in range(_ROUNDS):
            self._busy = []
            found = self._ask_each(self._pool.in_order())
            if found is not None:
                return found[0]
            if not self._wait_for_busy():
                break
        raise self._failure()

    def _ask_each(self, order: list[EndpointHealth]) -> tuple[Any] | None:
        """Ask each endpoint once; return the result in a tuple, because it may be None."""
        unusable: tuple[Any] | None = None
        for position, health in enumerate(order, 1):
            remaining = self._end - time.monotonic()
            if remaining <= 0:
                break
            if health.must_wait and health.retry_at > time.monotonic():
                self._busy.append(health)
                self._faults.setdefault(printable(health.endpoint.url), health.last_fault)
                continue
            try:
                share = remaining if position == len(order) else max(remaining / 2, _MIN_SHARE_S)
                result = self._pool.ask(health, self._method, self._params, share)
            except EndpointFault as fault:
                self._record_fault(health, fault)
            except RpcResponseError as error:
                if is_deserved(error) or is_too_many(error, self._blocks):
                    raise narrow_error(error, self._blocks) from None
                if is_endpoint_trouble(error):
                    self._record_fault(health, error)
                else:
                    self._refusal = error
                    self._doubted.append((health, error))
            else:
                for refusing, refusal in self._doubted:
                    self._pool.cool_down(refusing, refusal)
                self._doubted = []
                if self._usable is None or self._usable(result):
                    return (result,)
                unusable = (result,)
        return unusable

    def _record_fault(self, health: EndpointHealth, fault: EndpointFault | RpcResponseError) -> None:
        if self._method not in _OPTIONAL_METHODS or not isinstance(fault, RpcResponseError):
            self._pool.cool_down(health, fault)
        if isinstance(fault, RpcResponseError):
            self._refusal = self._refusal or fault
            self._faults[printable(health.endpoint.url)] = fault.message
            busy = is_busy(fault)
        else:
            self._faults[printable(health.endpoint.url)] = str(fault)
            self._slow = self._slow or fault.slow
            busy = fault.passing
        if busy:
            self._busy.append(health)

    def _wait_for_busy(self) -> bool:
        """Sleep until a busy endpoint may be asked again; False if none is busy or the deadline comes first."""
        if not self._busy:
            return False
        at = min(health.retry_at for health in self._busy)
        if at >= self._end:
            return False
        time.sleep(max(0.0, at - time.monotonic()))
        return True

    def _failure(self) -> Exception:
        """The error that describes why no endpoint answered."""
        if self._doubted:  # no endpoint answered otherwise, so the refusal is the answer
            refusal = self._doubted[-1][1]
            if self._method != "eth_getLogs" or may_shrink(refusal, self._blocks):
                return narrow_error(refusal, self._blocks)
            self._faults |= {printable(health.endpoint.url): error.message for health, error in self._doubted}
        elif self._refusal is not None:
            if may_shrink(self._refusal, self._blocks):
                return narrow_error(self._refusal, self._blocks)
            if self._refusal.code == NO_SUCH_METHOD:
                return self._refusal
        faults = "; ".join(f"{url}: {fault}" for url, fault in self._faults.items())
        kind = TooSlow if self._slow else Unreachable
        return kind(f"no RPC endpoint answered {self._method}: {faults or 'deadline passed'}")
