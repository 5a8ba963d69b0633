"""Workers: results, deaths, limits, cancelling. The processes are real; what they run is a few lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from covey.daemon.workers.executor import Finished, Limits, ProcessExecutor

_WORKER = """
import json, os, signal, sys, time
print(json.dumps({"type": "hello", "pid": os.getpid()}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    job = request["job"]
    do = job["do"]
    def say(**fields): print(json.dumps({"id": request["id"], **fields}), flush=True)
    if do == "answer":
        print("noise from a library", flush=True)
        say(type="progress", stage="train", done=1, total=2)
        say(type="result", result={"value": job["value"]})
    elif do == "refuse": say(type="error", kind="bad_job", message="no such base", retry=False)
    elif do == "stumble": say(type="error", kind="oom", message="out of memory", retry=True)
    elif do == "crash":
        print("CUDA error: device-side assert", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGSEGV)
    elif do == "leave": sys.exit(3)
    elif do == "hang":
        say(type="progress", stage="train", done=1, total=100)
        time.sleep(600)
    elif do in ("eat", "eat_and_talk"):
        hoard = bytearray(300 << 20)
        for at in range(0, len(hoard), 4096): hoard[at] = 1
        while do == "eat_and_talk": say(type="progress", stage="train", done=1, total=2); time.sleep(0.01)
        time.sleep(600)
    elif do == "eat_in_a_child":
        if os.fork() == 0:
            hoard = bytearray(300 << 20)
            for at in range(0, len(hoard), 4096): hoard[at] = 1
        time.sleep(600)
    elif do == "limited":
        import resource
        resource.setrlimit(resource.RLIMIT_DATA, (64 << 20, 64 << 20))
        try: bytearray(256 << 20)
        except MemoryError: say(type="error", kind="oom", message="out of memory", retry=True)
    elif do == "vanish": os._exit(0)
    elif do == "abort": os.abort()
"""
ARGV = (sys.executable, "-c", _WORKER)


@pytest.fixture
def executor(tmp_path: Path) -> Iterator[ProcessExecutor]:
    limits = Limits(memory_bytes=200 << 20, seconds=60, threads=1)
    running = ProcessExecutor("subprocess", limits, tmp_path, argv=ARGV)
    yield running
    running.close()


def finish(executor: ProcessExecutor, count: int = 1, seconds: float = 30) -> list[Finished]:
    end, found = time.monotonic() + seconds, []
    while len(found) < count:
        assert time.monotonic() < end, "no answer from the worker"
        found += executor.poll()
        time.sleep(0.01)
    return found


def test_a_result_comes_back(executor: ProcessExecutor) -> None:
    executor.submit("a", {"do": "answer", "value": 7}, deadline=1)
    assert executor.active("a")
    [finished] = finish(executor)
    assert finished == Finished("a", {"value": 7}, None)
    assert not executor.active("a")
    assert executor.keys() == set()


@pytest.mark.parametrize(
    ("job", "retry", "says"),
    [
        ({"do": "refuse"}, False, "no such base"),
        ({"do": "stumble"}, True, "out of memory"),
        ({"do": "crash"}, True, "SIGSEGV: CUDA error: device-side assert"),
        ({"do": "leave"}, True, "exit code 3"),
        ({"do": "vanish"}, True, "exit code 0"),
        ({"do": "abort"}, True, "SIGABRT"),
        ({"do": "limited"}, True, "out of memory"),
        ({"do": "eat"}, True, "MiB resident, more than the limit of 200 MiB"),
        ({"do": "eat_and_talk"}, True, "MiB resident, more than the limit of 200 MiB"),
        ({"do": "eat_in_a_child"}, True, "MiB resident, more than the limit of 200 MiB"),
    ],
)
def test_a_failure_says_whose_it_is(executor: ProcessExecutor, job: dict[str, Any], retry: bool, says: str) -> None:
    executor.submit("a", job, deadline=1)
    [finished] = finish(executor)
    assert finished.result is None
    assert finished.failure is not None
    assert finished.failure.retry == retry
    assert says in finished.failure.message


def test_a_hang_is_ended(tmp_path: Path) -> None:
    executor = ProcessExecutor("subprocess", Limits(1 << 30, 0.5, 1), tmp_path, argv=ARGV)
    executor.submit("a", {"do": "hang"}, deadline=1)
    [finished] = finish(executor)
    assert finished.failure is not None
    assert finished.failure.message == "no result within 0.5 s"
    executor.close()


def test_a_worker_that_says_nothing_any_more_is_ended_before_its_time(tmp_path: Path) -> None:
    executor = ProcessExecutor("subprocess", Limits(1 << 30, 600, 1, silent_seconds=1.0), tmp_path, argv=ARGV)
    executor.submit("a", {"do": "hang"}, deadline=1)
    [finished] = finish(executor)
    assert finished.failure is not None
    assert (finished.failure.message, finished.failure.retry) == ("not a word for 1 s", True)
    executor.close()


def test_a_job_makes_way_for_one_that_is_due_before_it(executor: ProcessExecutor) -> None:
    executor.submit("training", {"do": "hang"}, deadline=9)
    end = time.monotonic() + 30
    while executor.progress()["training"].done != 1:
        assert time.monotonic() < end
        time.sleep(0.01)
    executor.submit("later", {"do": "answer", "value": 2}, deadline=10)
    executor.submit("score", {"do": "answer", "value": 1}, deadline=2)
    assert [one.key for one in finish(executor)] == ["score"]
    while executor.progress().get("training") is None or executor.progress()["training"].done != 1:
        assert time.monotonic() < end + 30, "set aside, not forgotten"
        time.sleep(0.01)
    assert executor.queued() == 1, "what is due after it waits"
    assert executor.poll() == [], "to be set aside is no failure"


def test_the_earliest_deadline_goes_first(executor: ProcessExecutor) -> None:
    executor.submit("first", {"do": "answer", "value": 0}, deadline=9)
    executor.submit("late", {"do": "answer", "value": 1}, deadline=8)
    executor.submit("soon", {"do": "answer", "value": 2}, deadline=2)
    assert [one.key for one in finish(executor, 3)] == ["soon", "late", "first"]


def test_a_job_is_not_started_twice(executor: ProcessExecutor) -> None:
    for _ in range(3):
        executor.submit("a", {"do": "answer", "value": 1}, deadline=1)
    finish(executor)
    time.sleep(0.1)
    assert executor.poll() == []


def test_a_cancelled_job_ends_and_is_not_reported(executor: ProcessExecutor) -> None:
    executor.submit("a", {"do": "hang"}, deadline=1)
    executor.submit("b", {"do": "hang"}, deadline=2)
    end = time.monotonic() + 30
    while executor.progress()["a"].done != 1:
        assert time.monotonic() < end
        time.sleep(0.01)
    executor.cancel("b")
    executor.cancel("a")
    while executor.keys():
        assert time.monotonic() < end
        time.sleep(0.01)
    executor.submit("c", {"do": "answer", "value": 3}, deadline=1)
    assert [one.key for one in finish(executor)] == ["c"]


def test_no_fork_server_is_a_failure_to_try_again(tmp_path: Path) -> None:
    executor = ProcessExecutor(f"unix:{tmp_path}/none.sock", Limits(1 << 30, 5, 1), tmp_path)
    executor.submit("a", {"do": "answer"}, deadline=1)
    [finished] = finish(executor)
    assert finished.failure is not None
    assert finished.failure.retry
    assert "no fork server at" in finished.failure.message


@pytest.mark.slow
def test_the_real_worker_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[4] / "node"))
    executor = ProcessExecutor("subprocess", Limits(4 << 30, 120, 1), tmp_path)
    executor.submit("a", {"kind": "probe"}, deadline=1)
    executor.submit("b", {"kind": "nonsense"}, deadline=2)
    probe, nonsense = finish(executor, 2, seconds=120)
    assert probe.result is not None
    assert probe.result["profile"]["threads"] == 1
    assert nonsense.failure is not None
    assert not nonsense.failure.retry
    executor.close()


def test_a_worker_is_not_given_the_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COVEY_PASSWORD", "hunter2")
    tell = "import os, json; print(json.dumps({'type': 'result', 'result': {'it': os.environ.get('COVEY_PASSWORD')}}))"
    executor = ProcessExecutor("subprocess", Limits(1 << 30, 30, 1), tmp_path, argv=(sys.executable, "-c", tell))
    executor.submit("a", {}, deadline=1)
    [finished] = finish(executor)
    assert finished.result == {"it": None}
    executor.close()
