"""`ape run deploy` on a new anvil: the records it writes, and its errors of one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.contracts.ape_commands import Ended, run_ape

from covey.audit.sources import from_deployment, input_hash, part_of
from covey.chain.deployment import Deployment

pytestmark = pytest.mark.slow

REFUSED = {
    "no governance": (
        ("--windows", "public"),
        "a public network needs a governance address other than the deployer",
    ),
    "zero treasury": (("--treasury", "0x" + "00" * 20), "deploy Staking: StakingZeroAddress()"),
    "malformed guardian": (("--guardian", "me"), "not an address"),
}
"""Options that are refused, and the error."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Ended, Path]]:
    """The output and the folder of records of each run, by name."""
    options: dict[str, tuple[str, ...]] = {"deployed": (), **{name: refused for name, (refused, _) in REFUSED.items()}}
    folders = {name: tmp_path_factory.mktemp("records") for name in options}
    script = ("run", "deploy", "--network", "ethereum:local:foundry", "--account", "TEST::0")
    ended = run_ape([(*script, *chosen, "--out", str(folders[name])) for name, chosen in options.items()])
    return {name: (done, folders[name]) for name, done in zip(options, ended, strict=True)}


def test_deployment_writes_records(runs: dict[str, tuple[Ended, Path]]) -> None:
    done, folder = runs["deployed"]
    assert done["code"] == 0, done["output"]
    assert f"records in {folder / '31337'}" in done["output"]
    deployment = Deployment.load(folder / "31337")
    assert deployment.chain_id == 31337
    assert all(record.address in done["output"] for record in deployment.contracts.values())
    kept = from_deployment(folder / "31337")
    assert all(input_hash(part_of(kept, record)) == record.input_hash for record in deployment.contracts.values())


@pytest.mark.parametrize("name", REFUSED)
def test_failed_deployment_writes_nothing(runs: dict[str, tuple[Ended, Path]], name: str) -> None:
    done, folder = runs[name]
    assert done["code"] == 1, done["output"]
    assert REFUSED[name][1] in done["output"]
    assert "Traceback" not in done["output"]
    assert list(folder.iterdir()) == []
