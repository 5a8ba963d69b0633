"""`covey.client` on a local chain: operators with their records, positions, parameters, emissions and retirement."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.chain.anvil import Chain
from tests.support.chain.scenario import Scenario

from covey import client
from covey.chain.contracts import Contracts
from covey.chain.deployment import Deployment
from covey.chain.signing.keystore import LocalSigner
from covey.chain.units import CVY
from covey.client.retirement import read_retirement, retirement_calls
from covey.protocol.emissions import EmissionsConfig

pytestmark = pytest.mark.daemon


@pytest.fixture
def network(chain: Chain, deployment: Deployment, tmp_path: Path) -> client.Network:
    return client.connect(chain.url, deployment.save(tmp_path))


@pytest.fixture
def scenario(chain: Chain, contracts: Contracts, deployer: LocalSigner) -> Scenario:
    return Scenario(chain, contracts, deployer, seed=11)


def wallet_of(network: client.Network, scenario: Scenario, number: int, tokens: int) -> client.Wallet:
    """The wallet of a new account with tokens."""
    signer = scenario.chain.account(number)
    scenario.send(scenario.deployer, scenario.contracts.token.transfer(signer.address, tokens))
    return network.wallet(signer)


def test_records_of_a_whole_task_equal_what_the_contracts_did(network: client.Network, scenario: Scenario) -> None:
    assert network.operators() == []
    scenario.post()
    scenario.enter()
    scenario.draw()
    scenario.score()
    settlement = scenario.finish()
    c, task = scenario.contracts, scenario.task
    paid = {}
    for signer in scenario.scorers:
        if scenario.rows.get(signer.address) and (reward := c.rewards.scoring_reward(task, signer.address)):
            scenario.send(scenario.deployer, c.rewards.claim_scoring(task, signer.address))
            paid[signer.address] = reward
    assert settlement.pages
    found = {one.address: one for one in network.operators()}
    assert list(found) == [one.address for one in (*scenario.trainers, *scenario.scorers)], "in order of registration"
    for signer in scenario.trainers:
        assert (found[signer.address].record.entries, found[signer.address].record.seats) == (1, 0)
    for signer in scenario.scorers:
        record = found[signer.address].record
        assert record.seats == (c.scoring.seats_of(task, signer.address) if signer.address in scenario.rows else 0)
        assert record.rows == int(signer.address in scenario.rows)
        assert record.earned == paid.get(signer.address, 0)
        assert (record.faults, record.slashed, record.jailed) == (0, 0, 0)
        assert found[signer.address].eligible
        assert found[signer.address].pool == c.staking.pool_of(signer.address)


def test_silent_validators_have_a_fault_and_a_slash(network: client.Network, scenario: Scenario, chain: Chain) -> None:
    scenario.post()
    scenario.enter()
    scenario.draw()
    c, task = scenario.contracts, scenario.task
    silent = next(one for one in scenario.scorers if c.scoring.seats_of(task, one.address))
    chain.jump(c.scoring.round_of(task).score_commit_end)
    scenario.send(scenario.deployer, c.scoring.report_absent(task, 0, silent.address))
    [slash] = [event.args for event in network.events() if event.name == "Slashed"]
    record = {one.address: one.record for one in network.operators()}[silent.address]
    assert (record.absences, record.faults, record.rows) == (1, 1, 0)
    assert record.slashed == slash["fromActive"] + slash["fromUnbonding"] > 0


def test_position_follows_stake_in_and_out_of_pools(network: client.Network, scenario: Scenario, chain: Chain) -> None:
    one, two = scenario.join(0x901, 3_000 * CVY).address, scenario.join(0x902, 3_000 * CVY).address
    wallet = wallet_of(network, scenario, 0x777, 500 * CVY)
    empty = network.position(wallet.address)
    assert (empty.pools, empty.entries, empty.total) == ([], [], 500 * CVY)
    network.delegate(wallet, one, 300 * CVY)
    network.undelegate(wallet, one, 100 * CVY)
    network.undelegate(wallet, one, 40 * CVY)
    network.cancel(wallet, one, 1)
    network.redelegate(wallet, one, two, 50 * CVY)
    found = network.position(wallet.address)
    assert [(p.operator, p.value, p.gained) for p in found.pools] == [(one, 150 * CVY, 0)]
    assert [(e.operator, e.entry.worth, e.entry.moved) for e in found.entries] == [
        (one, 100 * CVY, False),
        (one, 50 * CVY, True),
    ]
    assert (found.tokens, found.credits, found.total) == (200 * CVY, 0, 500 * CVY)
    chain.jump(max(e.entry.until for e in found.entries))
    network.withdraw(wallet)
    after = network.position(wallet.address)
    assert {p.operator: (p.value, p.gained) for p in after.pools} == {one: (150 * CVY, 0), two: (50 * CVY, 0)}
    assert (after.entries, after.tokens, after.total) == ([], 300 * CVY, 500 * CVY)
    # A reward for the pool is a gain of whoever holds its shares, in proportion to them.
    c = scenario.contracts
    reward, backing = 315 * CVY, 3_150 * CVY
    add_reward = c.staking._write("add a reward", "addReward", one, reward, backing)
    scenario.send(scenario.deployer, c.token.approve(c.staking.address, reward), add_reward)
    chain.jump(network.now() + network.contracts.staking.read_number("dripPeriod"))
    [gained] = [p.gained for p in network.position(wallet.address).pools if p.operator == one]
    share = reward * 95 // 100 * 150 // 3_150
    assert abs(gained - share) <= 10**12, "5 % are the operator's commission"


def test_parameters_are_those_of_the_contracts(network: client.Network) -> None:
    found = {f"{one.contract}.{one.name}": one for one in network.parameters()}
    staking, bounds = network.contracts.staking, network.contracts.bounds.config()
    assert (found["Staking.minSelfBond"].value, found["Staking.minSelfBond"].unit) == (staking.min_self_bond(), "wei")
    assert found["Staking.unbondingPeriod"].value == staking.unbonding_period()
    assert found["TaskBounds.maxH"].value == bounds.max_h
    assert found["TaskBounds.minWindows.scoreCommit"].value == bounds.min_windows.score_commit
    assert found["Emissions.daily"].value == 0
    assert all(one.meaning and one.unit in ("", "wei", "s", "bps", "score", "1e-18") for one in found.values())


def test_emissions_are_voted_for_and_pushed(network: client.Network, scenario: Scenario, chain: Chain) -> None:
    c, task = scenario.contracts, scenario.post()
    assert network.emissions().shares == []
    with pytest.raises(client.InvalidInput, match=f"task {task} can receive no more emissions now"):
        client.vote_calls(network, scenario.scorers[0].address, task)
    scenario.enter()  # the bounty may be as large as the enrolled stake allows
    with pytest.raises(client.NothingToDo, match="no emissions to push into the bounty of any task"):
        client.push_calls(network)
    scenario.send(
        scenario.deployer, c.emissions.configure(EmissionsConfig(1_000 * CVY, 10**18, 10**6 * CVY, 10**5 * CVY, 0))
    )
    voter = network.wallet(scenario.scorers[0])
    power = c.emissions.voting_power(voter.address)
    with pytest.raises(client.InvalidInput, match="3000 CVY of its stake may vote, and 0 CVY vote for other tasks"):
        client.vote_calls(network, voter.address, task, power + 1)
    list(voter.send_all(client.vote_calls(network, voter.address, task)))
    assert c.emissions.vote_of(voter.address, task) == power
    with pytest.raises(client.NothingToDo, match=f"votes for task {task} with 3000 CVY already"):
        client.vote_calls(network, voter.address, task)
    with pytest.raises(client.InvalidInput, match="is not an operator"):
        client.vote_calls(network, scenario.deployer.address, task)
    chain.jump(network.now() + 60)
    [share] = network.emissions().shares
    assert (share.task, share.share.weight) == (task, power)
    assert share.ready > 0
    before = c.rewards.bounty_of(task)
    list(network.wallet(scenario.deployer).send_all(client.push_calls(network)))
    assert c.rewards.bounty_of(task) - before >= share.ready
    list(voter.send_all(client.vote_calls(network, voter.address, task, 0)))
    assert c.emissions.vote_of(voter.address, task) == 0


def test_an_operator_retires_in_three_steps(network: client.Network, scenario: Scenario, chain: Chain) -> None:
    task = scenario.post()
    scenario.enter()
    leaver = scenario.scorers[0]
    wallet = network.wallet(leaver)
    state = read_retirement(network, leaver.address)
    assert [(duty.task, duty.held) for duty in state.duties] == [(task, 2_000 * CVY)]
    assert (state.own_stake, state.done) == (3_000 * CVY, False)
    assert retirement_calls(network, state) == [], "a task holds the stake"

    chain.jump(network.contracts.registry.schedule_of(task).expires_at)
    scenario.send(scenario.deployer, network.contracts.registry.expire(task))
    while read_retirement(network, leaver.address).earmarked:  # claims and releases of the ended task
        calls = retirement_calls(network, read_retirement(network, leaver.address))
        assert calls
        list(wallet.send_all(calls))
    list(wallet.send_all(retirement_calls(network, read_retirement(network, leaver.address))))
    state = read_retirement(network, leaver.address)
    assert (state.own_stake, len(state.entries), state.done) == (0, 1, False)
    assert retirement_calls(network, state) == []
    chain.jump(state.entries[0].entry.until)
    before = network.contracts.token.balance_of(leaver.address)
    list(wallet.send_all(retirement_calls(network, state)))
    assert network.contracts.token.balance_of(leaver.address) - before == state.entries[0].entry.worth
    assert read_retirement(network, leaver.address).done
    with pytest.raises(client.InvalidInput, match="is not an operator"):
        read_retirement(network, scenario.deployer.address)
