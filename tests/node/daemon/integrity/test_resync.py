"""Endpoints that omit or forge events on a real chain: contract state reveals it, and events are read from others."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from tests.support.chain.anvil import CHAIN_ID, Chain
from tests.support.chain.scenario import Scenario
from tests.support.chain.servers import Answer, Server, proxy

from covey.chain.contracts import Call, Contracts
from covey.chain.events.decoder import Event, EventReader, topic_of
from covey.chain.events.follower import Follower
from covey.chain.rpc.client import Rpc
from covey.chain.rpc.finality import Finality
from covey.chain.rpc.http import HttpEndpoint
from covey.chain.signing.keystore import LocalSigner
from covey.chain.tx.store import SqliteTxStore, TxStatus
from covey.chain.units import CVY
from covey.config.types import Role
from covey.daemon.context import Context
from covey.daemon.duties import rows
from covey.daemon.integrity.crosscheck import first_missing_task
from covey.daemon.integrity.resync import EventResync
from covey.daemon.planning.duty import Duty, DutyKind, Identity
from covey.daemon.state.events import EventMissing
from covey.daemon.state.projection import ChainLog, HeadProjection
from covey.daemon.state.task import Task
from covey.daemon.state.world import ChainState
from covey.daemon.storage.commitments import CommittedRow
from covey.daemon.storage.journal import Journal
from covey.daemon.storage.secrets import SecretFile
from covey.daemon.workers.backoff import Backoff

pytestmark = pytest.mark.daemon

Logs = list[dict[str, Any]]
Tamper = Callable[[Logs], Logs]


def omit(contract: str, *names: str) -> Tamper:
    """Omit these events."""
    topics = {topic_of(contract, name) for name in names}
    return lambda logs: [log for log in logs if log["topics"][0] not in topics]


def omit_task(number: int) -> Tamper:
    """Omit all events of a task."""
    word = "0x" + number.to_bytes(32, "big").hex()
    return lambda logs: [log for log in logs if word not in log["topics"][1:2]]


def forge_seed(logs: Logs) -> Logs:
    """Replace the fixed seed by another one."""
    forged = copy.deepcopy(logs)
    for log in forged:
        if log["topics"][0] == topic_of("Scoring", "SeedFixed"):
            log["data"] = log["data"][:66] + "77" * 32 + log["data"][130:]
    return forged


class Node:
    """A node's follower and cross-checks, over endpoints of which some tamper with logs."""

    def __init__(self, folder: Path, urls: list[str], contracts: Contracts, operator: str) -> None:
        self.rpc = Rpc(urls, CHAIN_ID, timeout=60)
        folder.mkdir()
        self.journal = Journal(folder / "journal.sqlite", SecretFile(folder / "secrets", bytes(32)))
        self.store = SqliteTxStore(self.journal.db)
        self.contracts = Contracts(self.rpc, contracts.deployment)
        self.identity = Identity(
            operator,
            operator,
            tuple(Role),
            CHAIN_ID,
            contracts.scoring.address,
            appeal_committee=contracts.appeal_committee.address,
        )
        self.now = 0
        self.resyncs = 0
        self.backoff = Backoff()
        self.restart()

    def restart(self) -> None:
        deployment = self.contracts.deployment
        self.chain_log = ChainLog(self.journal)
        self.follower = Follower(self.rpc, deployment, self.chain_log, Finality(0))
        self.resync = EventResync(
            contracts=self.contracts,
            identity=self.identity,
            journal=self.journal,
            transactions=self.store,
            chain_log=self.chain_log,
            head=HeadProjection(self.rpc, deployment),
            backoff=self.backoff,
            on_resync=self._count_resync,
        )

    @property
    def context(self) -> Context:
        """The parts that rows of scores need."""
        parts = SimpleNamespace(
            contracts=self.contracts, journal=self.journal, identity=self.identity, network="localnet"
        )
        return cast(Context, parts)

    def _count_resync(self) -> None:
        self.resyncs += 1

    def tick(self) -> bool:
        """Run the checks of one cycle. Returns True after a resync or a failed projection."""
        try:
            progress = self.follower.poll(1_000)
        except EventMissing as error:
            self.resync.on_missing_event(error)
            return True
        head = self.rpc.block()
        self.now = head.timestamp
        return self.resync.check(self.now, head, progress, self.chain_log.state)

    def run_until_stable(self) -> int:
        """Run cycles until no resync follows. Returns the number of resyncs."""
        before = self.resyncs
        for _ in range(10):
            if not self.tick():
                return self.resyncs - before
        raise AssertionError(f"it resyncs without end: {dict(self.resync.problems)}")

    def task(self, number: int) -> Task:
        return self.chain_log.state.tasks[number]


@pytest.fixture
def scenario(chain: Chain, contracts: Contracts, deployer: LocalSigner) -> Scenario:
    return Scenario(chain, contracts, deployer, 5, entries=2, validators=3)


@pytest.fixture
def tampering(chain: Chain, serve: Callable[[Answer], Server]) -> Callable[[Tamper], Server]:
    """Starts a proxy of the chain that tampers with logs."""

    def change(tamper: Tamper) -> Callable[[str, list[Any], Any], Any]:
        return lambda method, _, reply: tamper(reply) if method == "eth_getLogs" else reply

    def forward(method: str, params: list[Any]) -> Any:
        return HttpEndpoint(chain.url).request(method, params, 30)

    return lambda tamper: serve(proxy(forward, change(tamper)))


@pytest.fixture
def node(tmp_path: Path, contracts: Contracts) -> Iterator[Callable[..., Node]]:
    nodes: list[Node] = []

    def make(operator: str, *urls: str) -> Node:
        folder = tmp_path / str(len(nodes))
        nodes.append(Node(folder, list(urls), contracts, operator))
        return nodes[-1]

    yield make
    for created in nodes:
        created.journal.close()


def true_state(chain: Chain, contracts: Contracts, tmp_path: Path) -> ChainState:
    """The state by the events of an honest endpoint."""
    journal = Journal(tmp_path / "honest.sqlite", None)
    chain_log = ChainLog(journal)
    Follower(chain.rpc, contracts.deployment, chain_log, Finality(0)).poll(1_000)
    journal.close()
    return chain_log.state


def true_events(chain: Chain, contracts: Contracts) -> list[Event]:
    """All events of the chain."""
    reader = EventReader.of(contracts.deployment)
    return reader.read_all(chain.rpc.logs(reader.addresses, 0, chain.rpc.block_number()))


def run_phases(scenario: Scenario) -> Iterator[str]:
    """Take a task through every phase; yields after each."""
    scenario.post()
    yield "posted"
    scenario.enter()
    yield "entered"
    scenario.draw()
    yield "seeded"
    scenario.score()
    yield "scored"
    scenario.finish()
    yield "paid"


def test_events_and_contracts_agree_in_every_phase(scenario: Scenario, chain: Chain, node: Callable[..., Node]) -> None:
    nodes: list[Node] = []
    for phase in run_phases(scenario):
        nodes = nodes or [node(who.address, chain.url) for who in (scenario.trainers[0], *scenario.scorers)]
        for each in nodes:
            assert each.run_until_stable() == 0, phase
            assert dict(each.resync.problems) == {}, phase


@pytest.mark.parametrize(
    ("contract", "name", "phase"),
    [
        ("TaskRegistry", "TaskCreated", "entered"),
        ("TaskRegistry", "EntryCommitted", "entered"),
        ("TaskRegistry", "EntryRevealed", "entered"),
        ("Scoring", "SeedRequested", "seeded"),
        ("Scoring", "SeedFixed", "seeded"),
        ("Scoring", "ScoresCommitted", "scored"),
        ("Scoring", "ScoresRevealed", "scored"),
        ("TaskRegistry", "TaskEnded", "paid"),
    ],
)
def test_events_omitted_by_one_endpoint_are_read_from_another(
    scenario: Scenario,
    chain: Chain,
    contracts: Contracts,
    tampering: Callable[[Tamper], Server],
    node: Callable[..., Node],
    tmp_path: Path,
    contract: str,
    name: str,
    phase: str,
) -> None:
    server = tampering(omit(contract, name))
    reader: Node | None = None
    for now in run_phases(scenario):
        reader = reader or node(scenario.scorers[0].address, server.url, chain.url)
        if now == phase:
            break
        reader.run_until_stable()
    assert reader is not None
    reader.run_until_stable()
    assert reader.resyncs == 1
    assert [health.bad_logs for health in reader.rpc.health] == [1, 0]
    assert not reader.rpc.report()[0].ok
    assert dict(reader.resync.problems) == {}
    assert reader.chain_log.state.tasks == true_state(chain, contracts, tmp_path).tasks


def test_a_forged_seed_is_replaced(
    scenario: Scenario, chain: Chain, tampering: Callable[[Tamper], Server], node: Callable[..., Node]
) -> None:
    phases = run_phases(scenario)
    while next(phases) != "seeded":
        pass
    server = tampering(forge_seed)
    reader = node(scenario.scorers[0].address, server.url, chain.url)
    reader.follower.poll(1_000)
    committee = reader.task(scenario.task).committee
    assert committee is not None
    assert committee.seed == b"\x77" * 32
    assert reader.run_until_stable() == 1
    committee = reader.task(scenario.task).committee
    assert committee is not None
    assert committee.seed == scenario.contracts.scoring.round_of(scenario.task).seed


def test_a_task_omitted_entirely_is_found_after_a_start(
    scenario: Scenario, chain: Chain, tampering: Callable[[Tamper], Server], node: Callable[..., Node]
) -> None:
    """The database is lost and the endpoint omits the task, so the stake is behind a task without events."""
    phases = run_phases(scenario)
    while next(phases) != "entered":
        pass
    reader = node(scenario.scorers[0].address, tampering(omit_task(scenario.task)).url, chain.url)
    assert reader.run_until_stable() == 1
    assert scenario.scorers[0].address in reader.task(scenario.task).enrolled


def test_an_own_transaction_without_its_event_is_detected(
    scenario: Scenario,
    chain: Chain,
    contracts: Contracts,
    tampering: Callable[[Tamper], Server],
    node: Callable[..., Node],
) -> None:
    """The enrolment's event is omitted while the node runs, so by events it has no part in the task."""
    phases = run_phases(scenario)
    assert next(phases) == "posted"
    signer = scenario.scorers[0]
    reader = node(signer.address, tampering(omit("TaskRegistry", "ValidatorEnrolled")).url, chain.url)
    reader.run_until_stable()
    assert next(phases) == "entered"
    enrolled = next(
        event
        for event in true_events(chain, contracts)
        if event.name == "ValidatorEnrolled" and event.args["operator"] == signer.address
    )
    request = reader.store.add(f"enrol/{scenario.task}/0/0", signer.address, Call(None, b"", "enrol"), None)
    reader.store.update(request.id, TxStatus.DONE, tx_hash=enrolled.tx_hash, block=enrolled.block)
    assert reader.run_until_stable() == 1
    assert signer.address in reader.task(scenario.task).enrolled
    assert dict(reader.resync.problems) == {}


def test_each_own_transaction_is_verified_once(
    scenario: Scenario, chain: Chain, contracts: Contracts, node: Callable[..., Node]
) -> None:
    phases = run_phases(scenario)
    while next(phases) != "entered":
        pass
    signer = scenario.trainers[0]
    reader = node(signer.address, chain.url)
    revealed = {event.tx_hash: event.block for event in true_events(chain, contracts) if event.name == "EntryRevealed"}
    for number, (tx_hash, block) in enumerate(revealed.items()):
        request = reader.store.add(
            f"reveal-entry/{scenario.task}/{number}/0", signer.address, Call(None, b"", ""), None
        )
        reader.store.update(request.id, TxStatus.DONE, tx_hash=tx_hash, block=block)
    withdrawn = reader.store.add(f"withdraw/0/{signer.address}", signer.address, Call(None, b"", ""), None)
    reader.store.update(withdrawn.id, TxStatus.DONE, tx_hash="0x" + "00" * 32, block=1)
    assert reader.run_until_stable() == 0
    calls = reader.rpc.health[0].requests
    assert not reader.tick()
    assert reader.rpc.health[0].requests - calls == 3


def test_an_operator_without_a_part_makes_no_extra_request(
    scenario: Scenario,
    chain: Chain,
    deployer: LocalSigner,
    tampering: Callable[[Tamper], Server],
    node: Callable[..., Node],
) -> None:
    server = tampering(lambda logs: logs)
    idle = node(deployer.address, server.url)
    for phase in run_phases(scenario):
        idle.tick()
        server.calls.clear()
        assert not idle.tick()
        assert server.calls == ["eth_getBlockByNumber"] * 3, phase
    # Two blocks of the follower, and the head of the main loop.


def test_a_comparison_makes_few_calls_once_per_phase(
    scenario: Scenario, chain: Chain, tampering: Callable[[Tamper], Server], node: Callable[..., Node]
) -> None:
    server = tampering(lambda logs: logs)
    phases = run_phases(scenario)
    while next(phases) != "seeded":
        pass
    reader = node(scenario.scorers[0].address, server.url)
    reader.tick()
    server.calls.clear()
    reader.tick()
    assert "eth_call" not in server.calls, "once per phase"
    schedule = scenario.contracts.scoring.round_of(scenario.task)
    chain.jump(schedule.score_commit_end - 100)
    server.calls.clear()
    reader.tick()
    assert server.calls.count("eth_call") == 5
    assert len(server.calls) == 5 + 7, "a cycle with a new block, the head, its block and the contracts"


def test_an_endpoint_that_keeps_omitting_events_is_reported_and_resynced_with_growing_delays(
    scenario: Scenario,
    tampering: Callable[[Tamper], Server],
    node: Callable[..., Node],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The only endpoint is read again once, then after growing delays, until it delivers all events."""
    tamper = [omit("Scoring", "SeedFixed")]

    def current(logs: Logs) -> Logs:
        return tamper[0](logs)

    phases = run_phases(scenario)
    while next(phases) != "seeded":
        pass
    reader = node(scenario.scorers[0].address, tampering(current).url)
    for _ in range(8):
        reader.tick()
    assert reader.resyncs == 1
    [problem] = reader.resync.problems.values()
    assert "omitted or forged events" in problem
    assert "seed 0x" in problem
    tamper[0] = lambda logs: logs
    monkeypatch.setattr(time, "monotonic", _later(120))
    reader.run_until_stable()
    assert reader.resyncs == 2
    assert dict(reader.resync.problems) == {}
    committee = reader.task(scenario.task).committee
    assert committee is not None
    assert committee.seeded


def test_owed_duties_follow_from_the_contracts_while_events_are_omitted(
    scenario: Scenario, chain: Chain, tampering: Callable[[Tamper], Server], node: Callable[..., Node]
) -> None:
    """The only endpoint omits the seed and the own row, so the seat is unknown by events. The node can still abstain or
    reveal."""
    phases = run_phases(scenario)
    while next(phases) != "seeded":
        pass
    scoring, signer = scenario.contracts.scoring, scenario.scorers[0]
    assert scoring.seats_of(scenario.task, signer.address) > 0
    reader = node(signer.address, tampering(omit("Scoring", "SeedFixed", "ScoresCommitted")).url)
    before = reader.chain_log.state

    def owed() -> list[Duty]:
        reader.backoff.reset(f"compare task {scenario.task}")
        reader.tick()
        return reader.resync.owed_duties(reader.chain_log.state, reader.now)

    reader.tick()
    assert reader.tick() is False
    assert reader.chain_log.state is not before
    round_ = scoring.round_of(scenario.task)
    assert owed() == [Duty(round_.score_commit_end, DutyKind.SCORE, scenario.task)]
    duty = Duty(round_.score_reveal_end, DutyKind.REVEAL_SCORES, scenario.task)
    committed = [CommittedRow(words=(1,), evidence=salt * 32, salt=salt * 32, sheet=b"{}") for salt in (b"a", b"b")]
    for row in committed:
        rows.save(reader.context, duty, row)
    commitment = rows.commitment_of(reader.context, duty, committed[1])
    scenario.send(signer, scoring.commit_scores(scenario.task, signer.address, commitment))
    assert owed() == [], "committed, and the reveal window is not open yet"
    chain.jump(round_.score_commit_end)
    assert owed() == [duty]
    assert rows.committed(reader.context, reader.task(scenario.task), duty) == committed[1]
    chain.jump(round_.score_reveal_end)
    assert owed() == []


def test_an_entry_is_revealed_although_enrolments_are_omitted(
    scenario: Scenario, chain: Chain, tampering: Callable[[Tamper], Server], node: Callable[..., Node]
) -> None:
    """Without the events of enrolments, the task could only be closed."""
    scenario.post()
    c, signer = scenario.contracts, scenario.trainers[0]
    scenario.send(signer, c.registry.commit_entry(scenario.task, signer.address, b"\x55" * 32, 10 * CVY))
    schedule = c.registry.schedule_of(scenario.task)
    chain.jump(schedule.entry_commit_end)
    scenario.send(scenario.scorers[0], c.registry.enrol(scenario.task, scenario.scorers[0].address, 2_000 * CVY))
    chain.jump(schedule.enrol_end)
    reader = node(signer.address, tampering(omit("TaskRegistry", "ValidatorEnrolled")).url)
    assert reader.run_until_stable() == 1
    owed = reader.resync.owed_duties(reader.chain_log.state, reader.now)
    assert owed == [Duty(schedule.entry_reveal_end, DutyKind.REVEAL_ENTRY, scenario.task)]


def _later(seconds: float) -> Callable[[], float]:
    now = time.monotonic
    return lambda: now() + seconds


def test_a_gap_is_resynced_after_a_restart(
    scenario: Scenario, chain: Chain, tampering: Callable[[Tamper], Server], node: Callable[..., Node]
) -> None:
    """The node is killed after it stored events that cannot be applied, before the resync."""
    phases = run_phases(scenario)
    while next(phases) != "entered":
        pass
    reader = node(scenario.scorers[0].address, tampering(omit("TaskRegistry", "TaskCreated")).url, chain.url)
    with pytest.raises(EventMissing, match=f"EntryCommitted of task {scenario.task} does not follow"):
        reader.follower.poll(1_000)
    reader.restart()
    assert reader.run_until_stable() == 1
    assert scenario.task in reader.chain_log.state.tasks


def test_deleted_events_stay_deleted_after_a_restart(
    scenario: Scenario, chain: Chain, tampering: Callable[[Tamper], Server], node: Callable[..., Node]
) -> None:
    """The node is killed right after the resync deleted them."""
    phases = run_phases(scenario)
    while next(phases) != "seeded":
        pass
    reader = node(scenario.scorers[0].address, tampering(omit("Scoring", "SeedFixed")).url, chain.url)
    assert reader.tick()
    reader.restart()
    created = reader.journal.checkpoints()[0].block
    assert all(event.block <= created for event in reader.journal.events())
    assert reader.run_until_stable() == 0
    committee = reader.task(scenario.task).committee
    assert committee is not None
    assert committee.seeded


def test_endpoints_that_disagree_about_state_cause_no_resync(
    scenario: Scenario, chain: Chain, serve: Callable[[Answer], Server], node: Callable[..., Node]
) -> None:
    """Neither endpoint is known to be right, so the disagreement is reported and the comparison retried."""

    def forward(method: str, params: list[Any]) -> Any:
        return HttpEndpoint(chain.url).request(method, params, 30)

    def zero_calls(method: str, params: list[Any], reply: Any) -> Any:
        return "0x" + "00" * ((len(reply) - 2) // 2) if method == "eth_call" else reply

    phases = run_phases(scenario)
    while next(phases) != "seeded":
        pass
    reader = node(scenario.scorers[0].address, serve(proxy(forward, zero_calls)).url, chain.url)
    assert reader.run_until_stable() == 0
    assert all("cannot be compared" in problem for problem in reader.resync.problems.values())
    assert reader.resync.problems


def test_a_gap_in_task_numbers_is_found() -> None:
    state = ChainState()
    assert first_missing_task(state) is None
    tasks: Any = state.tasks
    tasks[1] = tasks[3] = None
    assert first_missing_task(state) == 2
    cast(Any, state.past)[2] = None
    assert first_missing_task(state) is None
    tasks[5] = None
    assert first_missing_task(state) == 4
