"""`run`: a node from its settings until it is told to stop."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib import import_module
from types import FrameType
from typing import TypeVar

from covey.chain.errors import FatalError, TransientError
from covey.config import logs
from covey.config.credentials import token_of, unlock, webhook_of
from covey.config.node import ConfigError, NodeConfig
from covey.daemon.assemble import Parts, assemble
from covey.daemon.context import log
from covey.daemon.loop import Daemon
from covey.daemon.monitoring.health import HealthError, HealthServer, HealthState, Snapshot
from covey.daemon.monitoring.notifications import Notifications
from covey.daemon.monitoring.webhook import Webhook
from covey.daemon.storage.disk_space import is_full, told_full
from covey.daemon.storage.journal import JournalError
from covey.daemon.strategy import Strategy
from covey.ipfs import IpfsError

T = TypeVar("T")

STARTING = Snapshot().problems
_FULL_PAUSE = 5.0  # most seconds between two tries on a full disk

STOPPED = 0
FAILED = 1
MISCONFIGURED = 2


def run(config: NodeConfig, *, strategy: Strategy | None = None, stop: threading.Event | None = None) -> int:
    """Run a node until SIGTERM, SIGINT or `stop`. Returns the exit code: 0 stopped, 1 failed, 2 must be mended.

    `strategy` is for tests and the local network; a real node is honest. Signals are caught only in the main thread.
    """
    logs.configure(config.log_level, config.log_json)
    stop = threading.Event() if stop is None else stop
    started = time.monotonic()
    with ExitStack() as stack:
        stack.enter_context(_stop_on_signals(stop))
        health_state = HealthState(patience_s=max(300.0, config.max_head_age_seconds))
        try:
            if config.health_listen is not None:
                server = HealthServer(config.health_listen, health_state)
                stack.callback(server.close)
                log.info("health served", extra={"url": server.url})
            # Here, while nothing else runs: two threads that import parts of web3 at once can end in a deadlock error.
            import_module("web3")
            signer = _patiently(partial(unlock, config), stop, health_state, config)
            if signer is None:
                return STOPPED
            parts = _patiently(partial(assemble, config, strategy or Strategy(), signer), stop, health_state, config)
            if parts is None:
                return STOPPED
            stack.callback(parts.close)
            me = parts.context.me
            told = {"operator": me.operator, "signer": me.signer, "roles": ",".join(config.roles)}
            log.info("started", extra={**told, "seconds": round(time.monotonic() - started, 2)})
            Daemon(parts, health_state, stop, _notices(config, parts, health_state, stack)).run()
        except (ConfigError, HealthError, JournalError, IpfsError) as error:
            log.error(str(error))
            return MISCONFIGURED
        except FatalError as error:
            log.error(str(error))
            return FAILED
        log.info("stopped")
    return STOPPED


def _notices(config: NodeConfig, parts: Parts, health_state: HealthState, stack: ExitStack) -> Notifications | None:
    """What the operator is told by webhook; None without one."""
    address = webhook_of(config.webhook_url_file)
    if address is None:
        return None
    webhook = Webhook(address, token_of("webhook_token_file", config.webhook_token_file), health_state.notices)
    stack.callback(webhook.close)
    me = parts.context.me
    return Notifications(
        webhook, parts.context.journal, me.operator, me.chain_id, steady_s=config.webhook_debounce_seconds
    )


def _patiently(
    attempt: Callable[[], T], stop: threading.Event, health_state: HealthState, config: NodeConfig
) -> T | None:
    """Endpoints and signers that do not answer, and a full disk, are no reason to give up. None when told to stop."""
    pause = 1.0
    while not stop.is_set():
        try:
            return attempt()
        except Exception as error:
            full = is_full(error)
            if not full and not isinstance(error, TransientError):
                raise
            told = told_full(config, error) if full else str(error)
            log.warning("not started yet", extra={"reason": told})
            health_state.show(Snapshot(problems=(*STARTING, told)))
            stop.wait(pause)
            pause = min(_FULL_PAUSE if full else 30.0, 2 * pause)
    return None


@contextmanager
def _stop_on_signals(stop: threading.Event) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def caught(number: int, frame: FrameType | None) -> None:
        log.info("stopping", extra={"signal": signal.Signals(number).name})
        stop.set()

    before = {number: signal.signal(number, caught) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
