"""`ape run deploy` on a new anvil: the records it writes, and its errors of one line."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from covey.audit.sources import from_deployment, input_hash, part_of
from covey.chain.deployment import Deployment

ROOT = Path(__file__).resolve().parents[2]


def run(*options: str) -> subprocess.CompletedProcess[str]:
    command = ["ape", "run", "deploy", "--network", "ethereum:local:foundry", "--account", "TEST::0", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.slow
def test_deployment_writes_records(tmp_path: Path) -> None:
    done = run("--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert f"records in {tmp_path / '31337'}" in done.stdout
    deployment = Deployment.load(tmp_path / "31337")
    assert deployment.chain_id == 31337
    assert all(record.address in done.stdout for record in deployment.contracts.values())
    kept = from_deployment(tmp_path / "31337")
    assert all(input_hash(part_of(kept, record)) == record.input_hash for record in deployment.contracts.values())


@pytest.mark.slow
def test_public_network_requires_a_governance_address(tmp_path: Path) -> None:
    done = run("--windows", "public", "--out", str(tmp_path))
    assert done.returncode != 0
    assert "a public network needs a governance address other than the deployer" in done.stderr + done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "value", "message"),
    [("--treasury", "0x" + "00" * 20, "deploy Staking: StakingZeroAddress()"), ("--guardian", "me", "not an address")],
)
def test_failed_deployment_writes_nothing(tmp_path: Path, option: str, value: str, message: str) -> None:
    done = run(option, value, "--out", str(tmp_path))
    assert done.returncode != 0
    assert message in done.stderr + done.stdout
    assert "Traceback" not in done.stderr + done.stdout
    assert list(tmp_path.iterdir()) == []
