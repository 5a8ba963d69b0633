"""A whole arena task over IPFS: nodes publish to Kubo, and fetch what others published over libp2p.

Two Kubo daemons are connected on loopback: the creator and the trainers use one, the validators the other. No Covey
node has another node's gateway as a peer, so specs and adapters can only travel over libp2p.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.kubo.daemon import Kubo
from tests.support.kubo.fixtures import new_kubo
from tests.support.network import CVY, Network, Shared, network, tiny_spec

from covey.daemon.state.world import Committee, Task
from covey.ipfs import Cid, open_fetcher, open_store
from covey.protocol.scores import unpack
from covey.protocol.sheet import SHEET_NAME, ScoreSheet
from covey.protocol.types import Outcome

pytestmark = [pytest.mark.daemon, pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture
def kubos(tmp_path: Path) -> Iterator[tuple[Kubo, Kubo]]:
    """Two connected Kubo daemons: one for the trainers, one for the validators."""
    with new_kubo(tmp_path / "kubo-trainers") as trainers, new_kubo(tmp_path / "kubo-validators") as validators:
        validators.connect(trainers)
        yield trainers, validators


def committee_of(task: Task) -> Committee:
    assert task.committee is not None
    return task.committee


def start_without_peers(net: Network) -> None:
    for node in net.nodes:
        with node.settings.open("a", encoding="utf-8") as file:
            file.write("peers = []\n")
        node.start()


def test_an_arena_task_over_kubo(kubos: tuple[Kubo, Kubo], shared: Shared, tmp_path: Path) -> None:
    trainers_kubo, validators_kubo = kubos
    spec = tiny_spec()
    with open_store(trainers_kubo.rpc) as creator, network(tmp_path, shared) as net:
        for _ in range(2):
            net.add("trainer", store=trainers_kubo.rpc)
        validators = [
            net.add("validator", store=validators_kubo.rpc, **{"policy.earmark": "2100 CVY"}) for _ in range(2)
        ]
        start_without_peers(net)
        creator.add_directory({"spec.json": spec.canonical_bytes()}, name="spec")
        task_id = net.post(spec)
        schedule = net.task(task_id).schedule

        net.wait("entries", lambda: len(net.task(task_id).entries) == 2)
        net.jump(schedule.entry_commit_end)
        net.wait("enrolment", lambda: len(net.task(task_id).enrolled) == 2)
        net.jump(schedule.enrol_end)
        net.wait("entry reveals", lambda: len(net.task(task_id).lanes) == 2)
        net.jump(schedule.entry_reveal_end)
        net.wait("the seed", lambda: (c := net.task(task_id).committee) is not None and c.seeded)
        net.wait("rows", lambda: len(committee_of(net.task(task_id)).committed) == 2)
        net.jump(committee_of(net.task(task_id)).commit_end)
        net.wait("the end", lambda: net.task(task_id).outcome != Outcome.RUNNING)

        task = net.task(task_id)
        assert task.outcome == Outcome.PAID
        net.wait(
            "evidence",
            lambda: evidence_holds(task, [n.operator for n in validators], trainers_kubo, tmp_path / "auditor"),
        )
        net.wait("pins", lambda: all_is_pinned(task, trainers_kubo, validators_kubo))
        rewards = net.local.chain.contracts.rewards
        accounts = [node.signer for node in net.nodes]
        net.wait("tips withdrawn", lambda: all(rewards.owed_to(account) < CVY for account in accounts))
        for node in net.nodes:
            assert node.stop() == 0


def evidence_holds(task: Task, operators: list[str], kubo: Kubo, cache: Path) -> bool:
    """Fetch the validators' score sheets through the trainers' Kubo, and check that they match the rows.

    Raises `SourceError` or `NotFound` while a sheet is not published: a validator publishes after its reveal.
    """
    with open_store(kubo.rpc) as store, open_fetcher(store, cache=cache) as fetcher:
        for operator in operators:
            row = next(row for row in committee_of(task).revealed if row.operator == operator)
            sheet = ScoreSheet.from_bytes(fetcher.read(Cid.directory(row.evidence), SHEET_NAME))
            assert sheet.scores() == unpack(row.words, 2)
            assert all(score >= 1 for score in sheet.scores())
    return True


def all_is_pinned(task: Task, trainers_kubo: Kubo, validators_kubo: Kubo) -> bool:
    """Whether the trainers have pinned their entries, and the validators their evidence.

    Content is pinned a moment after it can be fetched.
    """
    with open_store(trainers_kubo.rpc) as store:
        entries = {Cid.directory(entry.digest) for entry in task.entries.values() if entry.digest is not None}
        assert len(entries) == 2
        entries_pinned = entries <= {pin.cid for pin in store.pins()}
    with open_store(validators_kubo.rpc) as store:
        sheets = {Cid.directory(row.evidence) for row in committee_of(task).revealed}
        assert len(sheets) == 2
        return entries_pinned and sheets <= {pin.cid for pin in store.pins()}
