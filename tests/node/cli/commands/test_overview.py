"""`covey operators`, `position`, `network`, `emissions` and `retire` on a chain."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.chain.anvil import Chain
from tests.support.chain.scenario import Scenario
from tests.support.cli.command_line import Covey

from covey.chain.contracts import Contracts
from covey.chain.deployment import Deployment
from covey.chain.signing.keystore import LocalSigner, create_keystore
from covey.chain.units import CVY, cvy, format_time
from covey.daemon.storage.retiring import is_retiring
from covey.protocol.emissions import EmissionsConfig

pytestmark = pytest.mark.daemon

PASSWORD = "a password"


@pytest.fixture
def operator(
    folder: Path, chain: Chain, contracts: Contracts, deployment: Deployment, deployer: LocalSigner
) -> LocalSigner:
    """An operator that signs for itself, with 2,000 CVY in its pool; its keystore and settings are in the folder."""
    joined = Scenario(chain, contracts, deployer, seed=5).join(0x61, 2_000 * CVY)
    create_keystore(folder / "key.json", PASSWORD, key=joined.key, iterations=1 << 10)
    (folder / "password").write_text(f"{PASSWORD}\n")
    records = deployment.save(folder / "deployments")
    (folder / "covey.toml").write_text(
        f'rpc_urls = ["{chain.url}"]\ndeployment = "{records}"\nkeystore = "key.json"\npassword_file = "password"\n'
        'data_dir = "data"\n'
    )
    return joined


def test_operators_are_listed_with_stake_and_record(operator: LocalSigner, covey: Covey) -> None:
    shown = covey("operators")
    assert shown.code == 0
    line = next(line for line in shown.out.splitlines() if operator.address in line)
    assert line.split()[1:6] == ["2,000.0000", "2,000.0000", "5%", "eligible", "0"]
    [found] = [one for one in covey("operators", "--json").json if one["operator"] == operator.address]
    assert (found["active_tokens"], found["eligible"], found["record"]["faults"]) == (str(2_000 * CVY), True, 0)


def test_a_narrow_terminal_shows_whole_addresses(
    operator: LocalSigner, covey: Covey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    for command in (("operators",), ("position", operator.address)):
        assert operator.address in covey(*command).out


def test_position_adds_up(operator: LocalSigner, covey: Covey, contracts: Contracts) -> None:
    covey("undelegate", operator.address, "500CVY")
    shown = covey("position")
    assert shown.code == 0
    assert "500.0000" in shown.out
    assert "slashable until then" in shown.out
    found = covey("position", "--json").json
    assert int(found["total"]) == 3_000 * CVY
    assert [int(one["value"]) for one in found["pools"]] == [1_500 * CVY]
    assert [int(one["worth"]) for one in found["entries"]] == [500 * CVY]
    assert int(found["tokens"]) == contracts.token.balance_of(operator.address)
    nobody = covey("position", "0x" + "12" * 20)
    assert (nobody.code, "It holds no stake." in nobody.out) == (0, True)
    wrong = covey("position", "0x1234")
    assert (wrong.code, "is not an address" in wrong.err) == (2, True)


def test_every_parameter_has_a_value_and_a_meaning(operator: LocalSigner, covey: Covey, contracts: Contracts) -> None:
    shown = covey("network")
    assert shown.code == 0
    lines = {line.split()[0]: line for line in shown.out.splitlines() if line}
    assert cvy(contracts.staking.min_self_bond()) in lines["Staking.minSelfBond"]
    assert contracts.staking.address in lines["Staking"]
    facts = covey("network", "--json").json
    assert facts["contracts"]["Staking"] == contracts.staking.address
    assert {one["name"] for one in facts["parameters"]} >= {"unbondingPeriod", "maxFloor", "tipAmount", "quorum"}


def test_emissions_are_off_then_voted_for(
    operator: LocalSigner, covey: Covey, chain: Chain, contracts: Contracts, deployer: LocalSigner
) -> None:
    assert "emissions are off until governance configures them" in covey("emissions", "show").out
    missing = covey("emissions", "vote", "1", "all")
    assert (missing.code, "there is no task 1" in missing.err) == (2, True)
    nothing = covey("emissions", "push")
    assert (nothing.code, "no emissions to push" in nothing.out) == (0, True)
    scenario = Scenario(chain, contracts, deployer, seed=6)
    task = scenario.post()
    config = EmissionsConfig(1_000 * CVY, 10**18, 10**6 * CVY, 10**5 * CVY, 0)
    scenario.send(deployer, contracts.emissions.configure(config))
    early = covey("emissions", "vote", str(task), "all")
    assert (early.code, "can receive no more emissions now" in early.err) == (2, True)
    scenario.enter()
    voted = covey("emissions", "vote", str(task), "250CVY")
    assert (voted.code, f"vote for task {task} with 250 CVY" in voted.out) == (0, True)
    again = covey("emissions", "vote", str(task), "250CVY")
    assert (again.code, "already" in again.out) == (0, True)
    chain.jump(chain.rpc.block().timestamp + 60)
    [share] = covey("emissions", "show", "--json").json["shares"]
    assert (share["task"], int(share["weight"]) == 250 * CVY, int(share["ready"]) > 0) == (task, True, True)
    assert f"into the bounty of task {task}" in covey("emissions", "push", str(task)).out
    assert covey("emissions", "vote", str(task), "none").code == 0
    assert contracts.emissions.vote_of(operator.address, task) == 0


def test_retiring_is_marked_sent_and_cancelled(
    operator: LocalSigner, covey: Covey, folder: Path, contracts: Contracts
) -> None:
    assert "was not retiring" in covey("retire", "--cancel").out
    first = covey("retire")
    assert (first.code, "unbond 2,000 CVY" in first.out) == (0, True)
    assert "Run `covey retire` again after" in first.out
    assert is_retiring(folder / "data")
    assert contracts.staking.pool_of(operator.address).self_bond == 0
    again = covey("retire", "--json").json
    assert (again["done"], again["transactions"], again["own_stake"]) == (False, [], 0)
    assert "takes tasks again" in covey("retire", "--cancel").out
    assert not is_retiring(folder / "data")


def test_retiring_waits_for_the_tasks_that_hold_stake(
    operator: LocalSigner, covey: Covey, folder: Path, chain: Chain, contracts: Contracts, deployer: LocalSigner
) -> None:
    scenario = Scenario(chain, contracts, deployer, seed=8)
    task = scenario.post()
    scenario.enter()
    create_keystore(folder / "leaver.json", PASSWORD, key=scenario.scorers[0].key, iterations=1 << 10)
    owner = ("--owner-keystore", "leaver.json", "--owner-password-file", "password")
    shown = covey("retire", *owner)
    assert shown.code == 0, shown.err
    ends = format_time(contracts.registry.schedule_of(task).expires_at)
    assert f"task      {task} holds 2,000 CVY until it ends, at {ends} UTC at the latest" in shown.out
    assert "stake     3,000 CVY of your own: undelegated once no task holds stake" in shown.out
    assert f"Run `covey retire` again after {ends} UTC, or earlier if the tasks have ended." in shown.out
    assert contracts.staking.pool_of(scenario.scorers[0].address).self_bond == 3_000 * CVY, "nothing was sent"
