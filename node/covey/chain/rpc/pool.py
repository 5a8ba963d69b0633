"""Several endpoints that answer as one: fail-over, a deadline on every call, chain id checked, back-off with jitter."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from covey.chain.errors import FatalError, RpcResponseError, TooSlow, Unreachable, WrongChain
from covey.chain.rpc import responses as answers
from covey.chain.rpc.endpoint import Endpoint, EndpointFault, printable
from covey.chain.rpc.endpoint_health import EndpointHealth, EndpointReport, Heads
from covey.chain.rpc.open import open_endpoint

_LEAST_SHARE_S = 0.5
_FIRST_REST_S = 0.25
_LONGEST_REST_S = 30.0
_DISTRUST_S = 30.0
"""Rest of an endpoint that claimed a head which it does not have; doubled each time."""
_DOUBT_S, _LONGEST_DOUBT_S = 600.0, 86_400.0
"""For how long others are asked before an endpoint that gave wrong logs; doubled each time."""
_ROUNDS = 3
"""Most times that one call goes round endpoints that say they are busy."""
_WATCH_TIMEOUT_S = 5.0


class Pool:
    """JSON-RPC calls over one or more endpoints of the same chain.

    Calls go to the first endpoint that is neither resting nor behind; one that fails rests for a growing, random while
    and the next is asked, until ``timeout`` seconds are over. A fault is never fatal, a wrong chain always is.

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
        self._heads = Heads()
        self._chain_id = chain_id
        self._random = random.Random()
        self._fatal: WrongChain | None = None
        self._closing: threading.Event | None = None

    @property
    def chain_id(self) -> int:
        """The chain's id, from the first endpoint that answers unless it was given."""
        if self._chain_id is None:
            self.request("eth_chainId", [])
        assert self._chain_id is not None
        return self._chain_id

    def request(
        self,
        method: str,
        params: list[Any],
        timeout: float | None = None,
        *,
        usable: Callable[[Any], bool] | None = None,
    ) -> Any:
        """The result of a JSON-RPC call.

        Args:
            usable: tells an answer from one that another endpoint may better, such as null for a block that this one
                does not have yet. If no endpoint has a better one, the last is returned.

        Raises:
            Unreachable: no endpoint gave a usable answer before the deadline; TooSlow, if asking for less may help.
            WrongChain: an endpoint serves another chain.
            TooManyResults: a log query was refused for its size.
            Reverted: the call reverted.
            Refused: the node answered with an error.
        """
        if self._fatal is not None:
            raise self._fatal
        return _Attempt(self, method, params, self.timeout if timeout is None else timeout, usable).run()

    def check(self) -> None:
        """Ask every endpoint for its chain once, so that a wrong one is found at the start and not at a fail-over.

        Raises:
            WrongChain: one serves another chain.
            Unreachable: none answers.
        """
        with ThreadPoolExecutor(len(self.health)) as threads:
            for health, fault in zip(self.health, threads.map(self._checked, self.health), strict=True):
                if isinstance(fault, WrongChain):
                    raise fault
                if fault is not None:
                    self.cool_down(health, fault)
        if not any(health.checked for health in self.health):
            told = "; ".join(f"{printable(health.endpoint.url)}: {health.last_fault}" for health in self.health)
            raise Unreachable(f"no RPC endpoint answered eth_chainId: {told}")

    def _checked(self, health: EndpointHealth) -> EndpointFault | RpcResponseError | WrongChain | None:
        try:
            self._check(health, self.timeout)
        except (EndpointFault, RpcResponseError, WrongChain) as fault:
            return fault
        return None

    # ------------------------------------------------------------------ health

    def report(self) -> list[EndpointReport]:
        """What is known of each endpoint, in order of preference, as of now; asks nobody."""
        return [self._heads.report(health) for health in self.health]

    def watch(self, every_s: float) -> None:
        """Ask every endpoint for its head from a background thread, until `close`: those that are not asked anything
        else would be found down, behind or on another chain only when they are needed."""
        if self._closing is None:
            self._closing = threading.Event()
            arguments = (self._closing, every_s)
            threading.Thread(target=self._watch, args=arguments, name="rpc-watch", daemon=True).start()

    def close(self) -> None:
        """End `watch`."""
        if self._closing is not None:
            self._closing.set()
            self._closing = None

    def _watch(self, closing: threading.Event, every_s: float) -> None:
        while not closing.wait(every_s):
            for health in self.health:
                if closing.is_set():
                    return
                if health.retry_at <= time.monotonic():
                    self.probe(health)

    def probe(self, health: EndpointHealth) -> None:
        """Ask one endpoint for its head. A wrong chain is told to the next `request`."""
        try:
            self.ask(health, "eth_blockNumber", [], min(self.timeout, _WATCH_TIMEOUT_S))
        except WrongChain as error:
            self._fatal = error
        except (EndpointFault, RpcResponseError) as fault:
            self.cool_down(health, fault)

    # ------------------------------------------------------------------ one endpoint

    def in_order(self) -> list[EndpointHealth]:
        """Endpoints as they should be asked now: those at the head, those behind, those doubted, those resting."""
        now = time.monotonic()
        resting = sorted((health for health in self.health if health.retry_at > now), key=lambda h: h.retry_at)
        ready = [health for health in self.health if health.retry_at <= now]
        doubted = sorted((health for health in ready if health.doubted_until > now), key=lambda h: h.doubted_until)
        trusted = [health for health in ready if health.doubted_until <= now]
        behind = [health for health in trusted if self._heads.behind(health)]
        return [health for health in trusted if health not in behind] + behind + doubted + resting

    def doubt_logs(self) -> list[str]:
        """The logs read since the last time were not the whole truth: ask others before those that gave them, for ten
        minutes at the first time and twice as long at each further one, at most a day. The addresses of those doubted.
        """
        found = [health for health in self.health if health.gave_logs]
        for health in found:
            health.gave_logs = False
            pause = min(_LONGEST_DOUBT_S, _DOUBT_S * 2.0 ** min(health.doubts, 8))
            health.doubts += 1
            health.doubted_until = time.monotonic() + pause
            health.last_fault = "logs were read from it that leave events out, or invent some"
        return [printable(health.endpoint.url) for health in found]

    def ask(self, health: EndpointHealth, method: str, params: list[Any], timeout: float) -> Any:
        """One call of one endpoint; what it shows of the endpoint is noted."""
        if not health.checked:
            self._check(health, timeout)
        started = time.monotonic()
        health.asked += 1
        result = health.endpoint.request(method, params, timeout)
        health.answered(time.monotonic() - started)
        health.gave_logs = health.gave_logs or method == "eth_getLogs"
        if (lie := self._heads.note(health, method, params, result)) is not None:
            health.failed(lie, _DISTRUST_S * 2.0 ** min(health.lies, 5))
        return result

    def _check(self, health: EndpointHealth, timeout: float) -> None:
        try:
            served = answers.quantity(health.endpoint.request("eth_chainId", [], timeout))
        except Unreachable as damaged:
            raise EndpointFault(f"eth_chainId: {damaged}") from None
        health.chain_id = served
        if self._chain_id is None:
            self._chain_id = served
        elif served != self._chain_id:
            where = printable(health.endpoint.url)
            raise WrongChain(f"{where} serves chain {served}, not {self._chain_id}: check rpc_urls and chain_id")
        health.checked = True

    def cool_down(self, health: EndpointHealth, fault: EndpointFault | RpcResponseError) -> None:
        """Leave an endpoint alone for 0.25·2ⁿ s at its nth fault in a row, at most 30 s, less a random half."""
        pause = min(_LONGEST_REST_S, _FIRST_REST_S * 2.0 ** min(health.faults + 1, 8)) * self._random.uniform(0.5, 1.0)
        told = fault.pause if isinstance(fault, EndpointFault) else 0.0
        health.failed(fault.message if isinstance(fault, RpcResponseError) else str(fault), max(pause, told))
        health.must_wait = told > 0


class _Attempt:
    """One call on its way round the endpoints."""

    def __init__(
        self, pool: Pool, method: str, params: list[Any], timeout: float, usable: Callable[[Any], bool] | None
    ) -> None:
        self._pool = pool
        self._method = method
        self._params = params
        self._end = time.monotonic() + timeout
        self._usable = usable
        self._faults: dict[str, str] = {}
        self._refusal: RpcResponseError | None = None
        self._slow = False
        self._passing: list[EndpointHealth] = []

    def run(self) -> Any:
        for _ in range(_ROUNDS):
            self._passing = []
            found = self._round(self._pool.in_order())
            if found is not None:
                return found[0]
            if not self._wait():
                break
        raise self._failure()

    def _round(self, order: list[EndpointHealth]) -> tuple[Any] | None:
        """Ask each once. The result, in a tuple because it may be None."""
        poor: tuple[Any] | None = None
        for position, health in enumerate(order, 1):
            left = self._end - time.monotonic()
            if left <= 0:
                break
            if health.must_wait and health.retry_at > time.monotonic():
                self._passing.append(health)  # it asked to be left alone
                self._faults.setdefault(printable(health.endpoint.url), health.last_fault)
                continue
            try:
                share = left if position == len(order) else max(left / 2, _LEAST_SHARE_S)
                result = self._pool.ask(health, self._method, self._params, share)
            except EndpointFault as fault:
                self._failed(health, fault)
            except RpcResponseError as error:
                if not answers.is_endpoints_own(error):
                    raise answers.specific(error) from None
                self._failed(health, error)
            else:
                if self._usable is None or self._usable(result):
                    return (result,)
                poor = (result,)
        return poor

    def _failed(self, health: EndpointHealth, fault: EndpointFault | RpcResponseError) -> None:
        self._pool.cool_down(health, fault)
        if isinstance(fault, RpcResponseError):
            self._refusal = fault
            passing = answers.is_busy(fault)
        else:
            self._faults[printable(health.endpoint.url)] = str(fault)
            self._slow = self._slow or fault.slow
            passing = fault.passing
        if passing:
            self._passing.append(health)

    def _wait(self) -> bool:
        """Until the first of those that were only busy may be asked again; False where that is no use."""
        if not self._passing:
            return False
        at = min(health.retry_at for health in self._passing)
        if at >= self._end:
            return False
        time.sleep(max(0.0, at - time.monotonic()))
        return True

    def _failure(self) -> Exception:
        if self._refusal is not None:
            told = answers.specific(self._refusal)
            if not isinstance(told, RpcResponseError) or self._refusal.code == answers.NO_SUCH_METHOD:
                return told
            self._faults["last answer"] = self._refusal.message
        each = "; ".join(f"{url}: {fault}" for url, fault in self._faults.items())
        kind = TooSlow if self._slow else Unreachable
        return kind(f"no RPC endpoint answered {self._method}: {each or 'deadline passed'}")
