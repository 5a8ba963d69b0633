"""Daemons on a real chain take a task from its posting to the last claim, killed in every phase on the way."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.e2e.nodes import CVY, Network, Node, network, tiny_spec

from covey.protocol.types import Outcome

pytestmark = [pytest.mark.daemon, pytest.mark.slow]


@pytest.fixture
def net(tmp_path: Path):  # type: ignore[no-untyped-def]
    with network(tmp_path) as running:
        yield running


def restart(*nodes: Node) -> None:
    for node in nodes:
        node.kill()
        node.start()


def test_a_task_is_earned_through_kills(net: Network) -> None:
    trainers = [net.add("trainer") for _ in range(2)]
    validators = [net.add("validator") for _ in range(2)]
    unlucky = (trainers[0], validators[0])
    net.start()
    task_id = net.post(tiny_spec())
    schedule = net.task(task_id).schedule

    net.wait("an entry", lambda: len(net.task(task_id).entries) >= 1)
    restart(*unlucky)
    net.wait("both entries", lambda: len(net.task(task_id).entries) == 2)
    net.jump(schedule.entry_commit_end)
    restart(*unlucky)
    net.wait("enrolment", lambda: len(net.task(task_id).enrolled) == 2)
    net.jump(schedule.enrol_end)
    restart(*unlucky)
    net.wait("entry reveals", lambda: len(net.task(task_id).lanes) == 2)
    net.jump(schedule.entry_reveal_end)
    net.wait("a first row", lambda: (c := net.task(task_id).committee) is not None and len(c.committed) >= 1)
    restart(*unlucky)
    net.wait("rows", lambda: (c := net.task(task_id).committee) is not None and len(c.committed) == 2)
    committee = net.task(task_id).committee
    assert committee is not None
    net.jump(committee.commit_end)
    restart(*unlucky)
    net.wait("the end", lambda: net.task(task_id).outcome != Outcome.RUNNING)
    restart(*unlucky)

    task = net.task(task_id)
    assert task.outcome == Outcome.PAID
    assert {entry.operator for entry in task.lanes} == {node.operator for node in trainers}
    net.wait("stake freed", lambda: net.task(task_id).freed == {node.operator for node in validators})
    contracts = net.local.chain.contracts
    net.wait("entries claimed", lambda: all(_entry_settled(net, task_id, lane) for lane in range(2)))
    net.wait("scoring claimed", lambda: all(_scoring_settled(net, task_id, node.operator) for node in validators))
    accounts = [node.signer for node in net.nodes]
    net.wait("tips withdrawn", lambda: all(contracts.rewards.owed_to(who) < CVY for who in accounts))
    for node in net.nodes:
        assert node.report()["missed"] == []
        assert node.stop() == 0
        assert "Traceback" not in node.log.read_text(encoding="utf-8")


def _entry_settled(net: Network, task_id: int, lane: int) -> bool:
    task, rewards = net.task(task_id), net.local.chain.contracts.rewards
    word = next(iter(task.committee.pages.values())).medians[0]  # type: ignore[union-attr]
    median = (word >> (16 * (15 - lane))) & 0x7FFF
    return rewards.entry_claimed(task_id, lane) or rewards.entry_reward(task_id, median) == 0


def _scoring_settled(net: Network, task_id: int, operator: str) -> bool:
    rewards = net.local.chain.contracts.rewards
    return rewards.scoring_claimed(task_id, operator) or rewards.scoring_reward(task_id, operator) == 0
