"""Runs a node from its settings until it is stopped."""

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
from covey.config.credentials import unlock
from covey.config.errors import ConfigError
from covey.config.node import NodeConfig
from covey.daemon.assemble import assemble
from covey.daemon.context import log
from covey.daemon.live import LiveAdapters
from covey.daemon.loop import Daemon
from covey.daemon.monitoring.health import HealthError, HealthServer, HealthState, Snapshot
from covey.daemon.storage.data_dir import refuse_if_running
from covey.daemon.storage.disk_space import disk_full_message, is_full
from covey.daemon.storage.journal import JournalError, JournalLocked
from covey.daemon.strategy import Strategy
from covey.ipfs import IpfsError

T = TypeVar("T")

_STOP_PATIENCE_S = 5.0  # seconds that a call may go on after a stop signal

STARTING = Snapshot().problems
_FULL_PAUSE = 5.0  # maximum seconds between two attempts on a full disk

STOPPED = 0
FAILED = 1
MISCONFIGURED = 2


def run(config: NodeConfig, *, strategy: Strategy | None = None, stop: threading.Event | None = None) -> int:
    """Run a node until SIGTERM, SIGINT, SIGHUP or `stop`. Signals are handled only in the main thread.

    Args:
        strategy: for tests and the local network; None is the honest strategy.

    Returns:
        The exit code: 0 stopped, 1 failed, 2 misconfigured.
    """
    logs.configure(config.log_level, config.log_json)
    stop = threading.Event() if stop is None else stop
    started = time.monotonic()
    with ExitStack() as stack:
        stack.enter_context(_stop_on_signals(stop))
        health = HealthState(patience_s=max(300.0, config.max_head_age_seconds))
        try:
            refuse_if_running(config.data_dir)  # before the health server finds its address in use
            if config.health_listen is not None:
                server = HealthServer(config.health_listen, health)
                stack.callback(server.close)
                log.info("health served", extra={"url": server.url})
            # Import web3 before other threads run: two threads importing parts of it at once can deadlock.
            import_module("web3")
            signer = _retry(partial(unlock, config), stop, health, config)
            if signer is None:
                return _stopped()
            adapters = LiveAdapters(config, signer, strategy or Strategy(), health)
            parts = _retry(partial(assemble, config, adapters), stop, health, config)
            if parts is None:
                return _stopped()
            stack.callback(parts.close)
            identity = parts.context.identity
            fields = {"operator": identity.operator, "signer": identity.signer, "roles": ",".join(config.roles)}
            log.info("started", extra={**fields, "seconds": round(time.monotonic() - started, 2)})
            Daemon(parts, stop).run()
        except _Overdue:
            log.warning("stopped in the middle of a call that does not end; nothing is lost")
        except HealthError as error:
            log.error(str(error))
            return FAILED if error.passing else MISCONFIGURED  # the service manager starts a failed node again
        except (ConfigError, JournalError, IpfsError) as error:
            log.error(str(error))
            return MISCONFIGURED
        except FatalError as error:
            log.error(str(error))
            return FAILED
        finally:
            if threading.current_thread() is threading.main_thread():
                signal.setitimer(signal.ITIMER_REAL, 0)
    return _stopped()


def _stopped() -> int:
    log.info("stopped")
    return STOPPED


def _retry(attempt: Callable[[], T], stop: threading.Event, health: HealthState, config: NodeConfig) -> T | None:
    """Repeat a step of the start while endpoints or a remote signer do not answer, or the disk is full.

    Returns None if `stop` is set first.
    """
    pause = 1.0
    while not stop.is_set():
        try:
            return attempt()
        except Exception as error:
            full = is_full(error)
            if not full and not isinstance(error, TransientError | JournalLocked):
                raise
            reason = disk_full_message(config, error) if full else str(error)
            log.warning("not started yet", extra={"reason": reason})
            health.show(Snapshot(problems=(*STARTING, reason)))
            stop.wait(pause)
            pause = min(_FULL_PAUSE if full else 30.0, 2 * pause)
    return None


class _Overdue(BaseException):
    """The node was told to stop, but a call goes on. No handler of errors catches this. Raised at any instruction, as a
    kill would be, for which the journal is made; a transaction that is open is rolled back."""


@contextmanager
def _stop_on_signals(stop: threading.Event) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_signal(number: int, frame: FrameType | None) -> None:
        log.info("stopping", extra={"signal": signal.Signals(number).name})
        stop.set()
        signal.setitimer(signal.ITIMER_REAL, _STOP_PATIENCE_S)

    def on_overdue(number: int, frame: FrameType | None) -> None:
        raise _Overdue

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as nohup sets it
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, on_signal)
    before[signal.SIGALRM] = signal.signal(signal.SIGALRM, on_overdue)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
