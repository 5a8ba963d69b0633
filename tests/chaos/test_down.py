"""Two validators of five go away: the task is paid by the three, the two lose what the rules say, once, nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.chaos.conftest import LONG
from tests.support.chaos.fork_pool import fork_pool
from tests.support.chaos.outcome_counts import OutcomeCounts, count
from tests.support.chaos.scenario import Scenario
from tests.support.network import CVY, Node, network

from covey.daemon.state.world import Task
from covey.protocol.faults import slash_of
from covey.protocol.types import Fault, Outcome
from covey.protocol.windows import Phase

pytestmark = [pytest.mark.daemon, pytest.mark.slow, pytest.mark.timeout(3600)]

long_only = pytest.mark.skipif(not LONG, reason="only in the long form: make chaos")

EARMARK = 900 * CVY
SEATS = 40
"""Many small seats: whatever the draw, three of five have more than half, and nobody has none."""


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Scenario]:
    """Two trainers and five validators with the same stake, started."""
    with fork_pool(tmp_path) as flock, network(tmp_path) as net:
        net.launch = flock.launch
        trainers = [net.add("trainer") for _ in range(2)]
        validators = [net.add("validator", **{"policy.earmark": "900 CVY"}) for _ in range(5)]
        net.start()
        yield Scenario(net, trainers, validators)


def test_two_of_five_go_away_for_good_after_enrolling(story: Scenario, tally: OutcomeCounts) -> None:
    gone = story.validators[3:]

    def go(story: Scenario, task: Task, phase: Phase) -> None:
        if phase == Phase.ENTRY_REVEAL:
            _leave(story, gone)

    _check(story, tally, go, gone, Fault.ABSENT)
    _see_what_a_tally_sees(story, gone)


@long_only
def test_two_of_five_go_away_after_committing(story: Scenario, tally: OutcomeCounts) -> None:
    gone = story.validators[3:]

    def go(story: Scenario, task: Task, phase: Phase) -> None:
        if phase == Phase.SCORE_REVEAL and gone[0].operator not in story.away:
            raise AssertionError("too late to keep them from revealing")

    def look(story: Scenario, task: Task, phase: Phase) -> None:
        c = task.committee
        if phase != Phase.SCORE_COMMIT or c is None or gone[0].operator in story.away:
            return
        if {node.operator for node in gone} <= set(c.committed):
            _leave(story, gone)

    story.on_look = look
    _check(story, tally, go, gone, Fault.UNREVEALED)


@long_only
def test_two_of_five_come_back_before_the_deadline(story: Scenario, tally: OutcomeCounts) -> None:
    """Away while entries are revealed and the seed is drawn, back for the scores: nothing is lost."""
    gone = story.validators[3:]

    def go(story: Scenario, task: Task, phase: Phase) -> None:
        if phase == Phase.ENTRY_REVEAL:
            for node in gone:
                node.kill()
        elif phase == Phase.SCORE_COMMIT:
            for node in gone:
                node.start()

    _check(story, tally, go, [], None)


@long_only
def test_two_of_five_come_back_after_the_deadline(story: Scenario, tally: OutcomeCounts) -> None:
    """Absent once, they lose for it once; being back, they do and lose nothing more."""
    gone = story.validators[3:]

    def go(story: Scenario, task: Task, phase: Phase) -> None:
        if phase == Phase.ENTRY_REVEAL:
            _leave(story, gone)
        elif phase == Phase.SCORE_REVEAL:
            for node in gone:
                node.start()

    _check(story, tally, go, gone, Fault.ABSENT)
    for node in gone:
        report = node.report()
        assert any("score/1/0/0" in key for key in report["missed"]), report["missed"]
    # The next task has all five again.
    story.away.clear()
    story.on_phase = None
    task = story.run()
    assert task.outcome == Outcome.PAID
    assert len(task.enrolled) == 5
    assert _slashes(story) == {node.operator: [slash_of(Fault.ABSENT, EARMARK)] for node in gone}


def _leave(story: Scenario, gone: list[Node]) -> None:
    for node in gone:
        node.kill()
        story.away.add(node.operator)


def _check(story: Scenario, tally: OutcomeCounts, go: object, gone: list[Node], fault: Fault | None) -> None:
    """Run a task; the quorum holds, those who stayed get all of the pay, those who went lose for it once."""
    net, staking = story.net, story.net.local.chain.contracts.staking
    before = {node.operator: staking.pool_of(node.operator).active_tokens for node in story.validators}
    story.on_phase = go  # type: ignore[assignment]
    task = story.run(target_seats=SEATS)
    lost = {node.operator for node in gone}
    stayed = {node.operator for node in story.validators} - lost
    expected = {} if fault is None else dict.fromkeys(lost, fault)
    net.wait("the reports", lambda: _faults(net.task(task.id)) == expected)
    story.rest()
    task = net.task(task.id)
    tally.add((counted := count(story)).tally)

    assert task.outcome == Outcome.PAID
    assert len(task.committees) == 1, "the first committee had its quorum"
    c = task.committees[0]
    assert {row.operator for row in c.revealed} == stayed
    rewards = net.local.chain.contracts.rewards
    claims = [e.args for e in net.events() if (e.contract, e.name) == ("Rewards", "ScoringRewardClaimed")]
    assert {claim["operator"] for claim in claims} <= stayed
    paid = {claim["operator"]: int(claim["amount"]) for claim in claims}
    earning = {one for one in stayed if rewards.scoring_reward(task.id, one) > 0}
    assert set(paid) == earning and earning
    pool = sum(rewards.scoring_reward(task.id, one) for one in stayed)
    assert sum(paid.values()) == pool
    assert _slashes(story) == {one: [slash_of(one_fault, EARMARK)] for one, one_fault in expected.items()}
    for one, amount in before.items():
        now = staking.pool_of(one).active_tokens
        if one in expected:
            assert amount - now == slash_of(expected[one], EARMARK)
        else:
            assert now >= amount, "nobody else is touched"
    counted.check()


def _faults(task: Task) -> dict[str, Fault]:
    return {operator: fault for c in task.committees for operator, fault in c.faults.items()}


def _slashes(story: Scenario) -> dict[str, list[int]]:
    """What was taken from whom, each time."""
    found: dict[str, list[int]] = {}
    for event in story.net.events():
        if event.name == "Slashed":
            taken = int(event.args["fromActive"]) + int(event.args["fromUnbonding"])
            found.setdefault(event.args["operator"], []).append(taken)
    return found


def _see_what_a_tally_sees(story: Scenario, gone: list[Node]) -> None:
    """Had they been up, the tally would say that rows were lost and honest nodes slashed; and it sees a repetition."""
    story.away.clear()
    counted = count(story)
    assert {f"score/1/0/{node.operator}" for node in gone} <= set(counted.lost)
    assert counted.tally.honest_slashes == len(gone)
    anvil, node = story.net.local.anvil, story.validators[0]
    head = int(anvil.rpc("eth_blockNumber"), 16)
    blocks = (anvil.rpc("eth_getBlockByNumber", hex(number), True) for number in range(head + 1))
    said = next(tx for block in blocks for tx in block["transactions"] if tx["from"] == node.signer.lower())
    again = {"from": node.signer, "to": said["to"], "input": said["input"], "gas": hex(1_000_000)}
    anvil.rpc("anvil_impersonateAccount", node.signer)
    anvil.rpc("eth_sendTransaction", again)
    anvil.mine()
    [twice] = count(story).twice
    assert twice.startswith(node.name)
