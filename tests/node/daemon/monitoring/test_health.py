"""The health server, lateness, log lines, retry delays and background operations."""

from __future__ import annotations

import json
import logging
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPConnection
from typing import TypeVar

import pytest

from covey.chain.errors import Unreachable
from covey.chain.rpc.client import Rpc
from covey.config.logs import LineFormatter
from covey.daemon.monitoring.health import DueDuty, HealthError, HealthServer, HealthState, Lateness, Snapshot
from covey.daemon.workers.background import Background, Pending
from covey.daemon.workers.backoff import Backoff

T = TypeVar("T")


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.daemon
def test_health_is_green_only_without_problems() -> None:
    health_state = HealthState()
    server = HealthServer("127.0.0.1:0", health_state)
    try:
        status, body = get(f"{server.url}/health")
        assert (status, json.loads(body)["problems"]) == (503, ["starting"])
        due = (DueDuty("score/1/0/0", 50, "train 3/9"),)
        health_state.show(Snapshot(head_block=7, due=due, balance=3, transactions={"queued": 2}, problems=()))
        status, body = get(f"{server.url}/health")
        assert (status, json.loads(body)["status"]) == (200, "ok")
        assert json.loads(body)["due"] == [{"key": "score/1/0/0", "deadline": 50, "waits_for": "train 3/9"}]
        health_state.show(Snapshot(problems=("missed: score/1/0/0",), missed=("score/1/0/0",)))
        assert get(f"{server.url}/health")[0] == 503
        assert get(f"{server.url}/else")[0] == 404
    finally:
        server.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The value of `time.monotonic`, which stands still but for the test."""
    now = [1_000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_a_stuck_loop_turns_red_by_itself(clock: list[float]) -> None:
    health_state = HealthState(patience_s=60)
    sample = health_state.registry.get_sample_value
    health_state.show(Snapshot(problems=()))
    assert (health_state.snapshot.healthy, sample("covey_healthy")) == (True, 1.0)
    clock[0] += 61
    assert health_state.snapshot.problems[0] == "stuck: no cycle has ended for 61 s"
    assert sample("covey_healthy") == 0.0
    assert sample("covey_cycle_age_seconds") == 61
    health_state.show(Snapshot(problems=()))
    assert health_state.snapshot.healthy


@pytest.mark.daemon
def test_amounts_beyond_exact_json_numbers_are_text() -> None:
    health_state = HealthState()
    health_state.show(Snapshot(balance=10**18 + 1, earnings={"entries": 7}, seats={4: 2}, problems=()))
    server = HealthServer("127.0.0.1:0", health_state)
    try:
        report = json.loads(get(f"{server.url}/health")[1])
    finally:
        server.close()
    assert (report["balance"], report["earnings"], report["seats"]) == ("1000000000000000001", {"entries": 7}, {"4": 2})


@pytest.mark.daemon
def test_metrics_follow_the_snapshot() -> None:
    health_state = HealthState()
    health_state.show(Snapshot(head_block=7, balance=3, transactions={"queued": 2, "pending": 0}, problems=()))
    health_state.events.inc(5)
    server = HealthServer("127.0.0.1:0", health_state)
    try:
        status, body = get(f"{server.url}/metrics")
    finally:
        server.close()
    assert status == 200
    lines = body.splitlines()
    for line in (
        "covey_healthy 1.0",
        "covey_head_block 7.0",
        "covey_signer_balance_wei 3.0",
        'covey_transactions{status="queued"} 2.0',
        "covey_events_total 5.0",
    ):
        assert line in lines


@pytest.mark.daemon
def test_each_rpc_endpoint_is_reported_without_its_key() -> None:
    rpc = Rpc(["http://127.0.0.1:9/KEY", "/run/nothing.ipc"], chain_id=1, timeout=2)
    with pytest.raises(Unreachable):
        rpc.check()
    health_state = HealthState()
    health_state.show(Snapshot(endpoints=tuple(rpc.report()), problems=()))
    server = HealthServer("127.0.0.1:0", health_state)
    try:
        body = get(f"{server.url}/health")[1]
        first, second = json.loads(body)["endpoints"]
        assert (first["url"], first["ok"], first["failures"]) == ("http://127.0.0.1:9", False, 1)
        assert "cannot connect" in second["last_fault"]
        assert "KEY" not in body
        metrics = get(f"{server.url}/metrics")[1]
        assert 'covey_rpc_endpoint_up{endpoint="1 http://127.0.0.1:9"} 0.0' in metrics
    finally:
        server.close()


@pytest.mark.daemon
def test_a_port_in_use_is_an_error() -> None:
    server = HealthServer("127.0.0.1:0", HealthState())
    try:
        with pytest.raises(HealthError, match=r"cannot serve health at .* \(health_listen\)") as raised:
            HealthServer(server.url.removeprefix("http://"), HealthState())
        assert raised.value.passing  # a later start may succeed
    finally:
        server.close()


@pytest.mark.daemon
@pytest.mark.parametrize("listen", ["127.0.0.1:0", "[::1]:0"])
@pytest.mark.parametrize("path", ["/health", "/metrics", "/other"])
def test_head_has_the_headers_of_get_and_no_body(listen: str, path: str) -> None:
    server = HealthServer(listen, HealthState())
    try:
        host, _, port = server.url.removeprefix("http://").rpartition(":")
        answers = []
        for method in ("GET", "HEAD"):
            connection = HTTPConnection(host.strip("[]"), int(port), timeout=10)
            connection.request(method, path)
            response = connection.getresponse()
            answers.append((response.status, response.getheader("Content-Type"), response.read()))
            connection.close()
        get_answer, head_answer = answers
        assert head_answer == (*get_answer[:2], b"")
        assert get_answer[2]
    finally:
        server.close()


def test_a_duty_is_late_after_two_thirds_of_its_time() -> None:
    lateness = Lateness()
    assert lateness.late([("a", 100)], 40) == []
    assert lateness.late([("a", 100)], 80) == []
    assert lateness.late([("a", 100)], 81) == ["a"]
    assert lateness.late([], 90) == []
    assert lateness.late([("a", 100)], 91) == [], "due again, so its time starts again"


def test_the_head_ages_until_it_moves(clock: list[float]) -> None:
    lateness = Lateness()
    assert lateness.head_age(1) == 0
    clock[0] += 5
    assert lateness.head_age(1) == 5
    assert lateness.head_age(2) == 0


def record(level: int, message: str, **extra: object) -> logging.LogRecord:
    created = logging.makeLogRecord(
        {"name": "covey.daemon", "levelno": level, "levelname": logging.getLevelName(level)}
    )
    created.msg = message
    created.__dict__.update(extra)
    return created


def test_a_log_record_is_one_line() -> None:
    entry = record(logging.INFO, "duty done", duty="enter/1/0/0", note='two\nlines "quoted"', task=1)
    line = LineFormatter(as_json=False).format(entry)
    assert line.endswith('INFO    duty done  duty=enter/1/0/0 note="two\\nlines \\"quoted\\"" task=1')
    assert "\n" not in line
    fields = json.loads(LineFormatter(as_json=True).format(entry))
    assert (fields["message"], fields["duty"], fields["level"]) == ("duty done", "enter/1/0/0", "info")


def test_a_logged_exception_is_one_line() -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError as error:
        entry = record(logging.ERROR, "cycle failed", exc_info=(ValueError, error, error.__traceback__))
    for as_json in (False, True):
        line = LineFormatter(as_json=as_json).format(entry)
        assert "\n" not in line
        assert "ValueError" in line


class TestBackoff:
    def test_delays_grow_with_failures_and_end_with_success(self) -> None:
        backoff = Backoff()
        assert backoff.ready("a")
        backoff.failed("a")
        assert not backoff.ready("a")
        assert backoff.ready("b")
        first = backoff._until["a"] - time.monotonic()
        backoff.failed("a")
        assert backoff._until["a"] - time.monotonic() > first
        backoff.reset("a")
        assert backoff.ready("a")

    def test_a_one_off_delay_starts_with_the_first_request(self, clock: list[float]) -> None:
        backoff = Backoff()
        assert backoff.elapsed("a", 0.0)
        assert not backoff.elapsed("b", 5)
        clock[0] += 6
        assert backoff.elapsed("b", 5)


class TestBackground:
    def test_work_runs_once_and_its_result_is_kept(self) -> None:
        background = Background(retry_seconds=0.05)
        calls: list[int] = []

        def work() -> int:
            calls.append(1)
            return len(calls)

        assert _wait(background, "a", work) == 1
        assert background.get("a", lambda: 2) == 1
        background.forget("a")
        assert _wait(background, "a", lambda: 3) == 3
        background.close()

    def test_a_failure_is_raised_and_then_retried(self, clock: list[float]) -> None:
        background = Background(retry_seconds=5)
        with pytest.raises(ZeroDivisionError):
            _wait(background, "a", lambda: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            background.get("a", lambda: 5)
        clock[0] += 6
        assert _wait(background, "a", lambda: 5) == 5
        background.close()

    def test_a_permanent_failure_is_kept(self) -> None:
        background = Background(retry_seconds=0.0)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                _wait(background, "a", lambda: 1 // 0, (ZeroDivisionError,))
        with pytest.raises(ZeroDivisionError):
            background.get("a", lambda: 5, (ZeroDivisionError,))
        background.close()


def _wait(background: Background, name: str, work: Callable[[], T], permanent: tuple[type[Exception], ...] = ()) -> T:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        try:
            return background.get(name, work, permanent)
        except Pending:
            time.sleep(0.005)
    raise AssertionError("the operation did not end")
