"""Two validators of five go away: the other three get the task paid, and only the two are slashed, once each."""

from __future__ import annotations

import pytest
from tests.support.chaos.outcome_counts import OutcomeCounts, count_outcomes
from tests.support.chaos.scenario import Hook, Scenario
from tests.support.network import CVY, Network, Node

from covey.daemon.state.world import Task
from covey.protocol.faults import slash_of
from covey.protocol.types import Fault, Outcome
from covey.protocol.windows import Phase

pytestmark = [pytest.mark.daemon, pytest.mark.slow, pytest.mark.timeout(3600)]

SEATS = 40
"""Of the five equal validators each has exactly eight, so three of them have more than half."""
UNIT = 200 * CVY // SEATS
"""The bounty of a seat."""


@pytest.fixture
def scenario(net: Network) -> Scenario:
    """Two trainers and five validators with the same stake, started."""
    trainers = [net.add("trainer") for _ in range(2)]
    validators = [net.add("validator", **{"policy.earmark": "900 CVY"}) for _ in range(5)]
    net.start()
    return Scenario(net, trainers, validators)


def test_two_of_five_go_away_for_good_after_enrolling(scenario: Scenario, outcome_counts: OutcomeCounts) -> None:
    gone = scenario.validators[3:]

    def change_nodes(scenario: Scenario, task: Task, phase: Phase) -> None:
        if phase == Phase.ENTRY_REVEAL:
            _leave(scenario, gone)

    _check(scenario, outcome_counts, change_nodes, gone, Fault.ABSENT)
    _check_that_losses_are_counted(scenario, gone)


@pytest.mark.long
def test_two_of_five_go_away_after_committing(scenario: Scenario, outcome_counts: OutcomeCounts) -> None:
    gone = scenario.validators[3:]

    def change_nodes(scenario: Scenario, task: Task, phase: Phase) -> None:
        if phase == Phase.SCORE_REVEAL and gone[0].operator not in scenario.away:
            raise AssertionError("too late to keep them from revealing")

    def leave_after_commit(scenario: Scenario, task: Task, phase: Phase) -> None:
        c = task.committee
        if phase != Phase.SCORE_COMMIT or c is None or gone[0].operator in scenario.away:
            return
        if {node.operator for node in gone} <= set(c.committed):
            _leave(scenario, gone)

    scenario.on_poll = leave_after_commit
    _check(scenario, outcome_counts, change_nodes, gone, Fault.UNREVEALED)


@pytest.mark.long
@pytest.mark.ci
def test_two_of_five_come_back_before_the_deadline(scenario: Scenario, outcome_counts: OutcomeCounts) -> None:
    """They are away while entries are revealed and the seed is drawn, and back for the scores: no duty is lost."""
    gone = scenario.validators[3:]

    def change_nodes(scenario: Scenario, task: Task, phase: Phase) -> None:
        if phase == Phase.ENTRY_REVEAL:
            for node in gone:
                node.kill()
        elif phase == Phase.SCORE_COMMIT:
            for node in gone:
                node.start()

    _check(scenario, outcome_counts, change_nodes, [], None)


@pytest.mark.long
def test_two_of_five_come_back_after_the_deadline(scenario: Scenario, outcome_counts: OutcomeCounts) -> None:
    """They are slashed once for being absent; after their return they are slashed no more."""
    gone = scenario.validators[3:]

    def change_nodes(scenario: Scenario, task: Task, phase: Phase) -> None:
        if phase == Phase.ENTRY_REVEAL:
            _leave(scenario, gone)
        elif phase == Phase.SCORE_REVEAL:
            for node in gone:
                node.start()

    _check(scenario, outcome_counts, change_nodes, gone, Fault.ABSENT)
    for node in gone:
        report = node.report()
        assert any("score/1/0/0" in key for key in report["missed"]), report["missed"]
    # All five take part in the next task.
    scenario.away.clear()
    scenario.on_phase = None
    task = scenario.run()
    assert task.outcome == Outcome.PAID
    assert len(task.enrolled) == 5
    assert _slashes(scenario) == {node.operator: [_penalty(Fault.ABSENT)] for node in gone}


def _leave(scenario: Scenario, gone: list[Node]) -> None:
    for node in gone:
        node.kill()
        scenario.away.add(node.operator)


def _check(
    scenario: Scenario,
    outcome_counts: OutcomeCounts,
    on_phase: Hook,
    gone: list[Node],
    fault: Fault | None,
) -> None:
    """Run a task: the quorum holds, validators that stayed get all of the pay, those gone are slashed once."""
    net, staking = scenario.net, scenario.net.local.chain.contracts.staking
    before = {node.operator: staking.pool_of(node.operator).active_tokens for node in scenario.validators}
    scenario.on_phase = on_phase
    task = scenario.run(target_seats=SEATS)
    lost = {node.operator for node in gone}
    stayed = {node.operator for node in scenario.validators} - lost
    expected = {} if fault is None else dict.fromkeys(lost, fault)
    net.wait("the reports", lambda: _faults(net.task(task.id)) == expected)
    scenario.wait_until_idle()
    task = net.task(task.id)
    outcomes = count_outcomes(scenario)
    outcome_counts.add(outcomes.counts)

    assert task.outcome == Outcome.PAID
    assert len(task.committees) == 1, "the first committee had its quorum"
    c = task.committees[0]
    assert {row.operator for row in c.revealed} == stayed
    rewards = net.local.chain.contracts.rewards
    claims = [e.args for e in net.events() if (e.contract, e.name) == ("Rewards", "ScoringRewardClaimed")]
    assert {claim["operator"] for claim in claims} <= stayed
    paid = {claim["operator"]: int(claim["amount"]) for claim in claims}
    earning = {operator for operator in stayed if rewards.scoring_reward(task.id, operator) > 0}
    assert set(paid) == earning and earning
    pool = sum(rewards.scoring_reward(task.id, operator) for operator in stayed)
    assert sum(paid.values()) == pool
    assert _slashes(scenario) == {operator: [_penalty(fault)] for operator, fault in expected.items()}
    for operator, amount in before.items():
        now = staking.pool_of(operator).active_tokens
        if operator in expected:
            assert amount - now == _penalty(expected[operator])
        else:
            assert now >= amount, "no other operator is slashed"
    outcomes.check()


def _penalty(fault: Fault) -> int:
    return slash_of(fault, SEATS // 5, UNIT)


def _faults(task: Task) -> dict[str, Fault]:
    return {operator: fault for c in task.committees for operator, fault in c.faults.items()}


def _slashes(scenario: Scenario) -> dict[str, list[int]]:
    """The amounts slashed, by operator."""
    slashes: dict[str, list[int]] = {}
    for event in scenario.net.events():
        if event.name == "Slashed":
            taken = int(event.args["fromActive"]) + int(event.args["fromUnbonding"])
            slashes.setdefault(event.args["operator"], []).append(taken)
    return slashes


def _check_that_losses_are_counted(scenario: Scenario, gone: list[Node]) -> None:
    """Count the two as present: their rows are lost, their slashes honest. A repeated call is counted too."""
    scenario.away.clear()
    outcomes = count_outcomes(scenario)
    assert {f"score/1/0/{node.operator}" for node in gone} <= set(outcomes.lost)
    assert outcomes.counts.honest_slashes == len(gone)
    anvil, node = scenario.net.local.anvil, scenario.validators[0]
    head = int(anvil.rpc("eth_blockNumber"), 16)
    blocks = (anvil.rpc("eth_getBlockByNumber", hex(number), True) for number in range(head + 1))
    first = next(tx for block in blocks for tx in block["transactions"] if tx["from"] == node.signer.lower())
    repeated = {"from": node.signer, "to": first["to"], "input": first["input"], "gas": hex(1_000_000)}
    anvil.rpc("anvil_impersonateAccount", node.signer)
    anvil.rpc("eth_sendTransaction", repeated)
    anvil.mine()
    [twice] = count_outcomes(scenario).twice
    assert twice.startswith(node.name)
