"""A temporary Kubo node on loopback, for tests and benchmarks."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Self

from tests.support.go_programs import Program, Server

PROFILES = "test,unixfs-v1-2025"  # no bootstrap peers, no mDNS, free ports on loopback; the same CIDs as Covey

KUBO = Program("Kubo", "kubo", "github.com/ipfs/kubo", "ipfs", ("version", "--number"), "{}\n", 3)


class Kubo(Server):
    """A node with its repository in ``repo``. `run` always works; network and RPC only between `start` and `stop`."""

    def __init__(self, repo: Path, *, token: str | None = None) -> None:
        self.repo = repo
        self.token = token
        self._binary = KUBO.find()
        self._log = repo.with_name(repo.name + ".log")
        self.run("init", f"--profile={PROFILES}")
        self.run("config", "--json", "Addresses.Swarm", '["/ip4/127.0.0.1/tcp/0"]')
        if token is not None:
            rule = {"covey": {"AuthSecret": f"bearer:{token}", "AllowedPaths": ["/api/v0"]}}
            self.run("config", "--json", "API.Authorizations", json.dumps(rule))

    def run(self, *arguments: str, data: bytes | None = None) -> str:
        """Run `ipfs <arguments>`, through the daemon if it is running, and return the output."""
        auth = [f"--api-auth=bearer:{self.token}"] if self.token and self._process else []
        done = subprocess.run(
            [self._binary, *auth, *arguments], env=self._environment(), input=data, capture_output=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"ipfs {' '.join(arguments)}: {done.stderr.decode().strip()}")
        return done.stdout.decode().strip()

    def start(self, timeout_s: float = 200.0) -> Self:
        """Start the daemon and wait until its RPC is ready."""
        (self.repo / "api").unlink(missing_ok=True)
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                [self._binary, "daemon", "--migrate=false"],
                env=self._environment(),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        deadline = time.monotonic() + timeout_s
        while b"Daemon is ready" not in self._log.read_bytes():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"Kubo did not start: {self._log.read_text()[-2000:]}")
            time.sleep(0.05)
        return self

    @property
    def rpc(self) -> str:
        """The RPC's multiaddr."""
        return (self.repo / "api").read_text().strip()

    @property
    def gateway(self) -> str:
        """The gateway's URL."""
        return (self.repo / "gateway").read_text().strip()

    def connect(self, other: Kubo, timeout_s: float = 120.0) -> None:
        """Connect to another node on loopback; both reconnect if the connection is lost."""
        for node, peer in ((self, other), (other, self)):
            node.run("swarm", "peering", "add", peer.address(timeout_s))
        deadline = time.monotonic() + timeout_s
        while not self.run("swarm", "peers"):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.repo} and {other.repo} did not connect within {timeout_s:g} s")
            time.sleep(0.1)

    def address(self, timeout_s: float = 120.0) -> str:
        """The multiaddr for other nodes on this machine. Waits, because a new daemon may not know it yet."""
        deadline = time.monotonic() + timeout_s
        while True:
            for address in json.loads(self.run("id"))["Addresses"] or ():
                if address.startswith("/ip4/127.0.0.1/tcp/"):
                    return str(address)
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.repo} does not listen on loopback: {self._log.read_text()[-2000:]}")
            time.sleep(0.1)

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "IPFS_PATH": str(self.repo)}
