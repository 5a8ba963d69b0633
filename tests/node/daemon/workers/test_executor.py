"""Worker processes: results, deaths, limits and cancellation. The processes are real; their jobs are a few lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.daemon.results import score_job, score_result

from covey.daemon.workers.executor import Finished, Limits, ProcessExecutor
from covey.lora.jobs.job import ProbeJob, ScoreJob
from covey.lora.jobs.result import ProbeResult

_WORKER = """
import json, os, signal, sys, time
RESULT = json.loads(sys.argv[1])
print(json.dumps({"type": "hello", "pid": os.getpid()}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    action, _, value = request["job"]["seed"].partition(" ")
    def send(**fields):
        message = {"type": fields.pop("type"), "id": request["id"], **fields}
        print(json.dumps(message, separators=(",", ":")), flush=True)
    if action == "score":
        print("noise from a library", flush=True)
        send(type="progress", stage="score", done=1, total=2)
        RESULT["entries"][0]["score"] = int(value)
        send(type="result", result=RESULT)
    elif action == "malformed": send(type="result", result={**RESULT, "entries": "none"})
    elif action == "refuse": send(type="error", kind="bad_job", message="no such base", retry=False)
    elif action == "fail": send(type="error", kind="oom", message="out of memory", retry=True)
    elif action == "crash":
        print("CUDA error: device-side assert", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGSEGV)
    elif action == "exit": sys.exit(int(value))
    elif action == "hang":
        send(type="progress", stage="score", done=1, total=100)
        time.sleep(600)
    elif action in ("allocate", "allocate-and-report"):
        memory = bytearray(300 << 20)
        for at in range(0, len(memory), 4096): memory[at] = 1
        while action == "allocate-and-report":
            send(type="progress", stage="score", done=1, total=2)
            time.sleep(0.01)
        time.sleep(600)
    elif action == "allocate-in-a-child":
        if os.fork() == 0:
            memory = bytearray(300 << 20)
            for at in range(0, len(memory), 4096): memory[at] = 1
        time.sleep(600)
    elif action == "limited":
        import resource
        resource.setrlimit(resource.RLIMIT_DATA, (64 << 20, 64 << 20))
        try: bytearray(256 << 20)
        except MemoryError: send(type="error", kind="oom", message="out of memory", retry=True)
    elif action == "vanish": os._exit(0)
    elif action == "abort": os.abort()
"""
ARGV = (sys.executable, "-c", _WORKER, score_result().model_dump_json())


@pytest.fixture
def executor(tmp_path: Path) -> Iterator[ProcessExecutor]:
    limits = Limits(memory_bytes=200 << 20, seconds=60, threads=1)
    executor = ProcessExecutor("subprocess", limits, tmp_path, argv=ARGV)
    yield executor
    executor.close()


def job(action: str) -> ScoreJob:
    """A job that makes the fake worker take this action."""
    return score_job(action)


def finish(executor: ProcessExecutor, count: int = 1, seconds: float = 600) -> list[Finished]:
    """Wait for `count` outcomes."""
    end, finished = time.monotonic() + seconds, list[Finished]()
    while len(finished) < count:
        assert time.monotonic() < end, "no outcome from the worker"
        finished += executor.poll()
        time.sleep(0.01)
    return finished


def wait_until(happened: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.01)


def is_at_work(executor: ProcessExecutor, key: str) -> bool:
    """Whether the worker of a hanging job has sent its progress."""
    progress = executor.progress().get(key)
    return progress is not None and progress.done == 1


def test_a_result_is_typed(executor: ProcessExecutor) -> None:
    executor.submit("a", job("score 7"), deadline=1)
    assert executor.active("a")
    [finished] = finish(executor)
    assert finished == Finished("a", score_result(7), None)
    assert not executor.active("a")
    assert executor.keys() == set()


@pytest.mark.parametrize(
    ("action", "retry", "message"),
    [
        ("malformed", True, "the worker returned a malformed result: result.result.score.entries"),
        ("refuse", False, "no such base"),
        ("fail", True, "out of memory"),
        ("crash", True, "SIGSEGV: CUDA error: device-side assert"),
        ("exit 3", True, "exit code 3"),
        ("vanish", True, "exit code 0"),
        ("abort", True, "SIGABRT"),
        ("limited", True, "out of memory"),
        ("allocate", True, "MiB resident, more than the limit of 200 MiB"),
        ("allocate-and-report", True, "MiB resident, more than the limit of 200 MiB"),
        ("allocate-in-a-child", True, "MiB resident, more than the limit of 200 MiB"),
    ],
)
def test_a_failure_has_its_reason_and_whether_to_retry(
    executor: ProcessExecutor, action: str, retry: bool, message: str
) -> None:
    executor.submit("a", job(action), deadline=1)
    [finished] = finish(executor)
    assert finished.result is None
    assert finished.failure is not None
    assert finished.failure.retry == retry
    assert message in finished.failure.message


def test_a_job_is_ended_after_its_time_limit(tmp_path: Path) -> None:
    executor = ProcessExecutor("subprocess", Limits(1 << 30, 0.5, 1), tmp_path, argv=ARGV)
    executor.submit("a", job("hang"), deadline=1)
    [finished] = finish(executor)
    assert finished.failure is not None
    assert finished.failure.message == "no result within 0.5 s"
    executor.close()


def test_a_silent_worker_is_ended_before_its_time_limit(tmp_path: Path) -> None:
    executor = ProcessExecutor("subprocess", Limits(1 << 30, 600, 1, heartbeat_seconds=1.0), tmp_path, argv=ARGV)
    executor.submit("a", job("hang"), deadline=1)
    [finished] = finish(executor)
    assert finished.failure is not None
    assert (finished.failure.message, finished.failure.retry) == ("no output for 1 s", True)
    executor.close()


def test_a_job_with_an_earlier_deadline_preempts(executor: ProcessExecutor) -> None:
    executor.submit("training", job("hang"), deadline=9)
    wait_until(lambda: is_at_work(executor, "training"))
    executor.submit("later", job("score 2"), deadline=10)
    executor.submit("score", job("score 1"), deadline=2)
    assert [finished.key for finished in finish(executor)] == ["score"]
    wait_until(lambda: is_at_work(executor, "training"))
    assert executor.queued() == 1, "a job with a later deadline waits"
    assert executor.poll() == [], "a preempted job has not failed"


def test_the_earliest_deadline_goes_first(executor: ProcessExecutor) -> None:
    executor.submit("first", job("score 0"), deadline=9)
    executor.submit("late", job("score 1"), deadline=8)
    executor.submit("soon", job("score 2"), deadline=2)
    finished = [outcome.key for outcome in finish(executor, 3)]
    assert finished == ["soon", "late", "first"]


def test_a_job_is_not_started_twice(executor: ProcessExecutor) -> None:
    for _ in range(3):
        executor.submit("a", job("score 1"), deadline=1)
    finish(executor)
    time.sleep(0.1)
    assert executor.poll() == []


def test_a_cancelled_job_ends_without_an_outcome(executor: ProcessExecutor) -> None:
    executor.submit("a", job("hang"), deadline=1)
    executor.submit("b", job("hang"), deadline=2)
    wait_until(lambda: is_at_work(executor, "a"))
    executor.cancel("b")
    executor.cancel("a")
    wait_until(lambda: not executor.keys())
    executor.submit("c", job("score 3"), deadline=1)
    assert [finished.key for finished in finish(executor)] == ["c"]


def test_a_missing_fork_server_is_a_failure_to_retry(tmp_path: Path) -> None:
    executor = ProcessExecutor(f"unix:{tmp_path}/none.sock", Limits(1 << 30, 5, 1), tmp_path)
    executor.submit("a", job("score 1"), deadline=1)
    [finished] = finish(executor)
    assert finished.failure is not None
    assert finished.failure.retry
    assert "no fork server at" in finished.failure.message


@pytest.mark.slow
def test_the_real_worker_returns_a_result_and_refuses_a_bad_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[4] / "node"))
    executor = ProcessExecutor("subprocess", Limits(4 << 30, 600, 1), tmp_path)
    executor.submit("a", ProbeJob(), deadline=1)
    executor.submit("b", job("a spec with a base that does not exist"), deadline=2)
    probe, refused = finish(executor, 2)
    assert isinstance(probe.result, ProbeResult)
    assert probe.result.profile.threads == 1
    assert refused.failure is not None
    assert not refused.failure.retry
    executor.close()


def test_a_worker_does_not_see_the_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COVEY_PASSWORD", "hunter2")
    worker = (
        "import os, json; message = f\"password {os.environ.get('COVEY_PASSWORD')}\";"
        "print(json.dumps({'type': 'error', 'id': 'a', 'kind': 'bad_job', 'message': message, 'retry': False}))"
    )
    executor = ProcessExecutor("subprocess", Limits(1 << 30, 30, 1), tmp_path, argv=(sys.executable, "-c", worker))
    executor.submit("a", job("score 1"), deadline=1)
    [finished] = finish(executor)
    assert finished.failure is not None
    assert finished.failure.message == "password None"
    executor.close()
