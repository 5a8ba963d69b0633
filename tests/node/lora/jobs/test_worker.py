"""The worker process from the outside: requests in, messages out, killed at any time."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest
from pydantic import BaseModel
from tests.support.lora.fixtures import Trained

COMMAND = [sys.executable, "-m", "covey.lora.jobs.worker"]


def request(job: Any, identity: str | None = None) -> str:
    fields = json.loads(job.model_dump_json()) if isinstance(job, BaseModel) else job
    return json.dumps({"id": identity, "job": fields})


def ask(requests: IO[str], messages: IO[str], job: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Send a job, or a line as it is; return the progress messages and the last message."""
    requests.write((job if isinstance(job, str) else request(job)) + "\n")
    requests.flush()
    progress = []
    while (message := json.loads(messages.readline()))["type"] == "progress":
        progress.append(message)
    return progress, message


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    path = tmp_path_factory.mktemp("run") / "worker.sock"
    process = subprocess.Popen(
        [*COMMAND, "--listen", str(path), "--preload", "tiny", "--threads", "1"], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    assert "listening" in process.stderr.readline()
    yield path, process
    process.terminate()
    assert process.wait(60) == 0
    assert not path.exists()


@pytest.fixture
def connection(server: tuple[Path, subprocess.Popen[str]]) -> Iterator[tuple[IO[str], IO[str], int]]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect(str(server[0]))
        with client.makefile("w") as lines, client.makefile("r") as answers:
            hello = json.loads(answers.readline())
            assert hello["type"] == "hello"
            yield lines, answers, hello["pid"]


def ended(pid: int) -> bool:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False


def test_subprocess_runs_jobs_one_after_another(train_job: Any, tmp_path: Path) -> None:
    process = subprocess.Popen(
        COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert json.loads(process.stdout.readline()) == {"type": "hello", "pid": process.pid}
    job = train_job(tmp_path / "out", steps=2).model_copy(update={"threads": 1})
    progress, answer = ask(process.stdin, process.stdout, request(job, "first"))
    assert [(line["stage"], line["done"], line["total"]) for line in progress] == [("train", 1, 2), ("train", 2, 2)]
    assert answer["type"] == "result", answer
    assert answer["id"] == "first"
    assert len(answer["result"]["losses"]) == 2
    for bad, kind, message in (
        ("not json", "bad_job", "request: Invalid JSON"),
        ("[1]", "bad_job", "request: Input should be an object"),
        (job.model_copy(update={"records": "/no/such/file"}), "bad_setup", "no records at /no/such/file"),
        ({"kind": "train"}, "bad_job", "Field required"),
    ):
        _, answer = ask(process.stdin, process.stdout, bad)
        assert (answer["type"], answer["kind"], answer["retry"]) == ("error", kind, False)
        assert message in answer["message"]
    _, answer = ask(process.stdin, process.stdout, {"kind": "probe"})
    assert "torch" in answer["result"]["profile"]["software"]
    process.stdin.close()
    assert process.wait(60) == 0


def test_forked_child_computes_the_same_losses(
    connection: tuple[IO[str], IO[str], int],
    trained: Trained,
    train_job: Any,
    tmp_path: Path,
) -> None:
    lines, answers, _ = connection
    _, answer = ask(lines, answers, train_job(tmp_path / "out").model_copy(update={"threads": 1}))
    assert answer["type"] == "result", answer
    assert answer["result"]["losses"] == pytest.approx(trained["first"][1].losses, rel=1e-6)
    _, answer = ask(lines, answers, {"kind": "nothing"})
    assert answer["kind"] == "bad_job"


@pytest.mark.parametrize(
    ("memory_mb", "message"),
    [(2048, "allocate"), (256, "out of memory: the job may use 256 MB, and the worker holds")],
    ids=["during the job", "before the job"],
)
def test_out_of_memory_is_reported_as_such(
    connection: tuple[IO[str], IO[str], int], train_job: Any, tmp_path: Path, memory_mb: int, message: str
) -> None:
    lines, answers, pid = connection
    job = train_job(tmp_path / "out", steps=2, batch_records=30_000).model_copy(update={"memory_mb": memory_mb})
    _, answer = ask(lines, answers, job)
    assert (answer["type"], answer["kind"], answer["retry"]) == ("error", "oom", True), answer
    assert message in answer["message"]
    _, answer = ask(lines, answers, train_job(tmp_path / "out", steps=2))
    assert answer["type"] == "result", answer
    assert not ended_now(pid)


def ended_now(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def test_killed_child_closes_only_its_own_connection(
    server: tuple[Path, subprocess.Popen[str]], connection: tuple[IO[str], IO[str], int]
) -> None:
    _, answers, pid = connection
    os.kill(pid, signal.SIGKILL)
    assert answers.readline() == ""
    assert server[1].poll() is None
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect(str(server[0]))
        assert json.loads(client.makefile("r").readline())["type"] == "hello"


def test_child_ends_when_its_connection_closes_during_a_job(
    server: tuple[Path, subprocess.Popen[str]], train_job: Any, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect(str(server[0]))
        answers = client.makefile("r")
        pid = json.loads(answers.readline())["pid"]
        client.sendall(request(train_job(tmp_path / "out", steps=100_000)).encode() + b"\n")
        assert json.loads(answers.readline())["type"] == "progress"
        client.shutdown(socket.SHUT_RDWR)
    assert ended(pid)
    assert not (tmp_path / "out").exists()


def test_only_the_owner_may_connect(server: tuple[Path, subprocess.Popen[str]]) -> None:
    assert server[0].stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--listen", "FILE"], "exists and is not a socket"),
        (["--listen", "/no/such/folder/socket"], "cannot listen on"),
        (["--preload", "nowhere"], "no base model 'nowhere'"),
    ],
)
def test_bad_arguments_end_with_one_line_and_exit_code_2(arguments: list[str], message: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("precious")
    command = [str(file) if argument == "FILE" else argument for argument in arguments]
    done = subprocess.run([*COMMAND, *command], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert file.read_text() == "precious"
