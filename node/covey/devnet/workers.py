"""The worker server of a local network: it imports torch once, and every worker is a fork of it."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from covey.daemon.workers.executor import Limits, ProcessExecutor
from covey.devnet.anvil import last_line, stop_group
from covey.devnet.errors import DevnetError
from covey.devnet.process_guard import ProcessGuard
from covey.lora.jobs.job import EvaluateJob
from covey.lora.jobs.result import EvaluateResult

START_S = 180.0
_KEY = "job"


class WorkerServer:
    """Runs `covey.lora.jobs.worker --listen`, for the nodes and for the driver's own jobs."""

    def __init__(self, base: str, log: Path) -> None:
        # The path of a socket must be short, which that of the run's folder may not be.
        self._folder = Path(tempfile.mkdtemp(prefix="covey-"))
        self.socket = self._folder / "workers"
        self._log = log
        self._base = base
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: ProcessGuard | None = None

    def __enter__(self) -> WorkerServer:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "covey.lora.jobs.worker", "--listen", str(self.socket), "--threads", "1"]
        command += ["--preload", self._base]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
            )
        self._guard = ProcessGuard(self._process)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            stop_group(self._process, grace_s=3.0)
        if self._guard is not None:
            self._guard.release()
        shutil.rmtree(self._folder, ignore_errors=True)

    def check(self) -> None:
        """Raise DevnetError if the process has exited."""
        if self._process is not None and self._process.poll() is not None:
            raise DevnetError(
                f"the worker server exited (exit code {self._process.returncode}): {last_line(self._log)}"
            )

    def wait(self) -> None:
        """Wait until the server accepts connections. Raises DevnetError if it does not in time."""
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            self.check()
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(self.socket))
                return
            time.sleep(0.05)
        raise DevnetError(f"the worker server was not ready within {START_S:.0f} s: see {self._log}")

    def submit(self, job: EvaluateJob) -> Job:
        """Start a job."""
        return Job(self, job)


class Job:
    """A job running in a worker."""

    def __init__(self, server: WorkerServer, job: EvaluateJob) -> None:
        self._server = server
        self._executor = ProcessExecutor(f"unix:{server.socket}", Limits(16 << 30, 3_600.0, 1), server.socket.parent)
        self._executor.submit(_KEY, job, 0)

    def result(self) -> EvaluateResult:
        """Wait for the result. Raises DevnetError if the job fails."""
        try:
            while not (finished := self._executor.poll()):
                self._server.check()
                time.sleep(0.05)
        finally:
            self._executor.close()
        job = finished[0]
        if not isinstance(job.result, EvaluateResult):
            reason = job.failure.message if job.failure is not None else "no result"
            raise DevnetError(f"the evaluation failed: {reason}")
        return job.result
