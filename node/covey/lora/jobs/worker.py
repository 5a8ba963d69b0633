"""The worker process: one JSON request per line in, one JSON message per line out.

    python -m covey.lora.jobs.worker                     requests on stdin, messages on stdout
    python -m covey.lora.jobs.worker --listen SOCKET     imports torch once and forks a child per connection

:mod:`covey.lora.jobs.messages` defines the requests and messages.

Kinds of errors:

- ``bad_setup``: this machine's base model, records or device are wrong; every such job fails until its operator changes
  that;
- ``bad_job``: the job itself is wrong; the same job always fails;
- ``oom``: this machine ran out of memory, which implies nothing about an adapter;
- ``disk_full``: the disk had no space for the job's files; the same job succeeds once it has;
- ``internal``: any other error; the traceback is on stderr. The job may be retried.

A worker that exits without a result counts as ``internal``. Jobs of one connection run one after another. A forked
child ends at once when its connection closes. A worker on stdin finishes its requests, or stops when its output is
closed.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from covey.lora.errors import LoraError
from covey.lora.jobs.dispatch import Runner
from covey.lora.jobs.fork_server import ForkServer
from covey.lora.jobs.session import Session


def main(arguments: list[str] | None = None) -> int:
    """Run a worker; returns the process's exit code."""
    parser = argparse.ArgumentParser(prog="covey.lora.jobs.worker", description="Covey's training and scoring worker")
    parser.add_argument("--listen", type=Path, metavar="SOCKET", help="fork a child per connection to this Unix socket")
    parser.add_argument("--preload", metavar="BASE", help="load this base model (tiny, folder) before the first job")
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), default="float32", help="numeric type of --preload")
    parser.add_argument("--threads", type=int, help="CPU threads of jobs that do not set a number")
    options = parser.parse_args(arguments)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # spinning threads starve others on a busy machine
    runner = Runner(options.threads)

    def prepare() -> None:
        _import_stack()
        if options.preload:
            runner.preload(options.preload, options.dtype)

    try:
        if options.listen is not None:
            ForkServer(options.listen, runner, prepare).serve()
            return 0
        messages = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)  # keep the output of libraries out of the messages
        if options.preload:
            runner.preload(options.preload, options.dtype)
        Session(sys.stdin, messages, runner).serve()
        return 0
    except LoraError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _import_stack() -> None:
    """Import all modules that jobs need, with one thread: a pool of OpenMP threads does not survive a fork."""
    import torch

    torch.set_num_threads(1)
    from transformers.models.qwen2 import modeling_qwen2  # noqa: F401
    from transformers.models.qwen3 import modeling_qwen3  # noqa: F401

    from covey.lora.jobs import run_evaluate, run_score, run_train  # noqa: F401


if __name__ == "__main__":
    sys.exit(main())
