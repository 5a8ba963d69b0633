"""A worker server whose workers die: `python dying_workers.py SOCKET HOW [DEATHS REAL_SOCKET]`.

It has the protocol of `covey.lora.jobs.worker --listen`: each connection gets a forked worker that greets, takes a job
and dies. After DEATHS of them, connections are forwarded to a server of real workers.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import select
import signal
import socket
import sys
import time


def die(how: str) -> None:
    if how == "segfault":
        ctypes.string_at(0)
    elif how == "cuda-assert":  # what torch does on an uncaught device-side assertion
        sys.stderr.write("CUDA error: device-side assert triggered\n")
        sys.stderr.flush()
        os.abort()
    elif how == "out-of-memory":
        resource.setrlimit(resource.RLIMIT_AS, (256 << 20, 256 << 20))
        blocks = []
        while True:
            blocks.append(bytearray(16 << 20))
    elif how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == "exit":
        os._exit(0)
    elif how == "hang":
        time.sleep(3600)
    elif how == "nonsense":
        os.write(1, b"")
        raise SystemExit(1)


def worker(connection: socket.socket, how: str) -> None:
    connection.sendall(json.dumps({"type": "hello", "pid": os.getpid()}).encode() + b"\n")
    connection.recv(1 << 20)
    connection.sendall(json.dumps({"type": "progress", "stage": "score", "done": 1, "total": 9}).encode() + b"\n")
    if how == "nonsense":
        connection.sendall(b'{"type": "result", "result": "0"}\n\xff\xfe\n{"type": "result"}\n')
    die(how)


def forward(connection: socket.socket, real: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        other.connect(real)
        while True:
            ready, _, _ = select.select([connection, other], [], [])
            for source in ready:
                data = source.recv(1 << 16)
                if not data:
                    return
                (other if source is connection else connection).sendall(data)


def main() -> None:
    path, how, *rest = sys.argv[1:]
    deaths, real = (int(rest[0]), rest[1]) if rest else (1 << 30, "")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen()
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            if deaths > 0:
                worker(connection, how)
            else:
                forward(connection, real)
            os._exit(1)
        connection.close()
        deaths -= 1


if __name__ == "__main__":
    main()
