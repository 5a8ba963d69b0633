"""Endpoints that leave events out, or invent some, on a real chain: what the contracts say shows it, and the events are
read again from others."""

from __future__ import annotations

import copy
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
from covey.config.node import Role
from covey.daemon.assemble import Parts
from covey.daemon.duties import rows
from covey.daemon.integrity import resync as doubts_module
from covey.daemon.integrity.crosscheck import gap
from covey.daemon.integrity.resync import EventResync
from covey.daemon.monitoring.health import HealthState
from covey.daemon.planning.duty import Duty, DutyKind, Identity
from covey.daemon.state.projection import ChainLog, HeadProjection
from covey.daemon.state.world import ChainState, EventMissing
from covey.daemon.storage.journal import Journal
from covey.daemon.storage.secrets import SecretFile
from covey.daemon.workers.backoff import Backoff

pytestmark = pytest.mark.daemon

Logs = list[dict[str, Any]]
Lie = Callable[[Logs], Logs]


def hides(contract: str, *names: str) -> Lie:
    topics = {topic_of(contract, name) for name in names}
    return lambda found: [one for one in found if one["topics"][0] not in topics]


def hides_task(number: int) -> Lie:
    word = "0x" + number.to_bytes(32, "big").hex()
    return lambda found: [one for one in found if word not in one["topics"][1:2]]


def another_seed(found: Logs) -> Logs:
    """A seed that was never fixed, where one was."""
    made_up = copy.deepcopy(found)
    for one in made_up:
        if one["topics"][0] == topic_of("Scoring", "SeedFixed"):
            one["data"] = one["data"][:66] + "77" * 32 + one["data"][130:]
    return made_up


class Node:
    """As much of a node as follows the chain and compares, over endpoints of which some lie about logs."""

    def __init__(self, folder: Path, urls: list[str], contracts: Contracts, operator: str) -> None:
        self.rpc = Rpc(urls, CHAIN_ID, timeout=60)
        folder.mkdir()
        self.journal = Journal(folder / "journal.sqlite", SecretFile(folder / "secrets", bytes(32)))
        self.store = SqliteTxStore(self.journal.db)
        mine = Contracts(self.rpc, contracts.deployment)
        committee = contracts.appeal_committee.address
        me = Identity(operator, operator, tuple(Role), CHAIN_ID, contracts.scoring.address, appeal_committee=committee)
        self.context: Any = SimpleNamespace(
            contracts=mine, journal=self.journal, me=me, now=0, backoff=Backoff(), network="here"
        )
        self.health_state = HealthState()
        self.restart()

    def restart(self) -> None:
        deployment = self.context.contracts.deployment
        self.log = ChainLog(self.journal)
        self.follower = Follower(self.rpc, deployment, self.log, Finality(0))
        self.head = HeadProjection(self.rpc, deployment)
        parts = SimpleNamespace(context=self.context, log=self.log, head=self.head)
        self.doubts = EventResync(cast(Parts, parts), self.health_state)

    def tick(self) -> bool:
        """As the daemon's: whether events were forgotten, or could not be folded."""
        try:
            progress = self.follower.poll(1_000)
        except EventMissing as error:
            self.doubts.missing(error)
            return True
        head = self.rpc.block()
        self.context.now = head.timestamp
        return self.doubts.check(head, progress, self.log.world)

    def looks(self) -> int:
        """Look until nothing more is read again; how often it was."""
        before = self.rereads
        for _ in range(10):
            if not self.tick():
                return self.rereads - before
        raise AssertionError(f"it reads again and again: {dict(self.doubts.problems)}")

    @property
    def rereads(self) -> int:
        value = self.health_state.registry.get_sample_value("covey_rereads_total")
        assert value is not None
        return int(value)


@pytest.fixture
def story(chain: Chain, contracts: Contracts, deployer: LocalSigner) -> Scenario:
    return Scenario(chain, contracts, deployer, 5, entries=2, validators=3)


@pytest.fixture
def lying(chain: Chain, serve: Callable[[Answer], Server]) -> Callable[[Lie], Server]:
    """Starts a proxy of the chain that changes logs."""

    def change(lie: Lie) -> Callable[[str, list[Any], Any], Any]:
        return lambda method, _, found: lie(found) if method == "eth_getLogs" else found

    def forward(method: str, params: list[Any]) -> Any:
        return HttpEndpoint(chain.url).request(method, params, 30)

    return lambda lie: serve(proxy(forward, change(lie)))


@pytest.fixture
def node(tmp_path: Path, contracts: Contracts) -> Iterator[Callable[..., Node]]:
    made: list[Node] = []

    def make(operator: str, *urls: str) -> Node:
        folder = tmp_path / str(len(made))
        made.append(Node(folder, list(urls), contracts, operator))
        return made[-1]

    yield make
    for one in made:
        one.journal.close()


def world_of(chain: Chain, contracts: Contracts, tmp_path: Path) -> ChainState:
    """What an honest endpoint tells."""
    journal = Journal(tmp_path / "honest.sqlite", None)
    log = ChainLog(journal)
    Follower(chain.rpc, contracts.deployment, log, Finality(0)).poll(1_000)
    journal.close()
    return log.world


def world_events(chain: Chain, contracts: Contracts) -> list[Event]:
    """All events, from the chain itself."""
    reader = EventReader.of(contracts.deployment)
    return reader.read_all(chain.rpc.logs(reader.addresses, 0, chain.rpc.block_number()))


def through(story: Scenario) -> Iterator[str]:
    """Every phase of a task."""
    story.post()
    yield "posted"
    story.enter()
    yield "entered"
    story.draw()
    yield "seeded"
    story.score()
    yield "scored"
    story.finish()
    yield "paid"


def test_events_and_contracts_agree_in_every_phase(story: Scenario, chain: Chain, node: Callable[..., Node]) -> None:
    nodes: list[Node] = []
    for phase in through(story):
        nodes = nodes or [node(who.address, chain.url) for who in (story.trainers[0], *story.scorers)]
        for one in nodes:
            assert one.looks() == 0, phase
            assert dict(one.doubts.problems) == {}, phase


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
def test_what_the_first_endpoint_hides_is_read_from_the_second(
    story: Scenario,
    chain: Chain,
    contracts: Contracts,
    lying: Callable[[Lie], Server],
    node: Callable[..., Node],
    tmp_path: Path,
    contract: str,
    name: str,
    phase: str,
) -> None:
    liar = lying(hides(contract, name))
    reader: Node | None = None
    for now in through(story):
        reader = reader or node(story.scorers[0].address, liar.url, chain.url)
        if now == phase:
            break
        reader.looks()
    assert reader is not None
    reader.looks()
    assert reader.rereads == 1
    assert [health.bad_logs for health in reader.rpc.health] == [1, 0]
    assert not reader.rpc.report()[0].ok
    assert dict(reader.doubts.problems) == {}
    assert reader.log.world.tasks == world_of(chain, contracts, tmp_path).tasks


def test_a_seed_that_was_never_fixed_is_not_believed(
    story: Scenario, chain: Chain, lying: Callable[[Lie], Server], node: Callable[..., Node]
) -> None:
    phases = through(story)
    while next(phases) != "seeded":
        pass
    liar = lying(another_seed)
    reader = node(story.scorers[0].address, liar.url, chain.url)
    reader.follower.poll(1_000)
    committee = reader.log.world.tasks[story.task].committee
    assert committee is not None
    assert committee.seed == b"\x77" * 32
    assert reader.looks() == 1
    committee = reader.log.world.tasks[story.task].committee
    assert committee is not None
    assert committee.seed == story.contracts.scoring.round_of(story.task).seed


def test_a_task_that_is_hidden_as_a_whole_is_found_after_a_start(
    story: Scenario, chain: Chain, lying: Callable[[Lie], Server], node: Callable[..., Node]
) -> None:
    """A lost database, and an endpoint that hides the task: stake is behind something that no event tells of."""
    phases = through(story)
    while next(phases) != "entered":
        pass
    reader = node(story.scorers[0].address, lying(hides_task(story.task)).url, chain.url)
    assert reader.looks() == 1
    assert story.scorers[0].address in reader.log.world.tasks[story.task].enrolled


def test_a_transaction_of_our_own_that_left_no_event_is_noticed(
    story: Scenario, chain: Chain, contracts: Contracts, lying: Callable[[Lie], Server], node: Callable[..., Node]
) -> None:
    """Its enrolment is hidden from a node that runs, so that it seems to have no part in the task."""
    phases = through(story)
    assert next(phases) == "posted"
    signer = story.scorers[0]
    reader = node(signer.address, lying(hides("TaskRegistry", "ValidatorEnrolled")).url, chain.url)
    reader.looks()
    assert next(phases) == "entered"
    enrolled = next(
        event
        for event in world_events(chain, contracts)
        if event.name == "ValidatorEnrolled" and event.args["operator"] == signer.address
    )
    request = reader.store.add(f"enrol/{story.task}/0/0", signer.address, Call(None, b"", "enrol"), None)
    reader.store.update(request.id, TxStatus.DONE, tx_hash=enrolled.tx_hash, block=enrolled.block)
    assert reader.looks() == 1
    assert signer.address in reader.log.world.tasks[story.task].enrolled
    assert dict(reader.doubts.problems) == {}


def test_our_own_transactions_are_looked_up_once_each(
    story: Scenario, chain: Chain, contracts: Contracts, node: Callable[..., Node]
) -> None:
    phases = through(story)
    while next(phases) != "entered":
        pass
    signer = story.trainers[0]
    reader = node(signer.address, chain.url)
    told = {event.tx_hash: event.block for event in world_events(chain, contracts) if event.name == "EntryRevealed"}
    for number, (tx_hash, block) in enumerate(told.items()):
        request = reader.store.add(f"reveal-entry/{story.task}/{number}/0", signer.address, Call(None, b"", ""), None)
        reader.store.update(request.id, TxStatus.DONE, tx_hash=tx_hash, block=block)
    withdrawn = reader.store.add(f"withdraw/0/{signer.address}", signer.address, Call(None, b"", ""), None)
    reader.store.update(withdrawn.id, TxStatus.DONE, tx_hash="0x" + "00" * 32, block=1)
    assert reader.looks() == 0
    calls = reader.rpc.health[0].requests
    assert not reader.tick()
    assert reader.rpc.health[0].requests - calls == 3


def test_without_a_part_in_any_task_nothing_more_is_asked(
    story: Scenario, chain: Chain, deployer: LocalSigner, lying: Callable[[Lie], Server], node: Callable[..., Node]
) -> None:
    server = lying(lambda found: found)
    idle = node(deployer.address, server.url)
    for phase in through(story):
        idle.tick()
        server.calls.clear()
        assert not idle.tick()
        assert server.calls == ["eth_getBlockByNumber"] * 3, phase
    # The follower's two blocks, and the head that the loop looks at.


def test_comparing_costs_a_few_calls_a_phase(
    story: Scenario, chain: Chain, lying: Callable[[Lie], Server], node: Callable[..., Node]
) -> None:
    server = lying(lambda found: found)
    phases = through(story)
    while next(phases) != "seeded":
        pass
    reader = node(story.scorers[0].address, server.url)
    reader.tick()
    server.calls.clear()
    reader.tick()
    assert "eth_call" not in server.calls, "once a phase"
    schedule = story.contracts.scoring.round_of(story.task)
    chain.jump(schedule.score_commit_end - 100)
    server.calls.clear()
    reader.tick()
    assert server.calls.count("eth_call") == 5
    assert len(server.calls) == 5 + 7, "a look with a new block, and the head, its block and the contracts"


def test_an_endpoint_that_always_hides_is_not_read_without_end_and_told(
    story: Scenario, lying: Callable[[Lie], Server], node: Callable[..., Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The only endpoint there is: it is read again once, and after growing pauses; then it tells the truth."""
    lie = [hides("Scoring", "SeedFixed")]

    def by_now(found: Logs) -> Logs:
        return lie[0](found)

    phases = through(story)
    while next(phases) != "seeded":
        pass
    reader = node(story.scorers[0].address, lying(by_now).url)
    for _ in range(8):
        reader.tick()
    assert reader.rereads == 1
    [problem] = reader.doubts.problems.values()
    assert "left events out" in problem
    assert "seed 0x" in problem
    lie[0] = lambda found: found
    monkeypatch.setattr(doubts_module.time, "monotonic", _later(120))
    reader.looks()
    assert reader.rereads == 2
    assert dict(reader.doubts.problems) == {}
    committee = reader.log.world.tasks[story.task].committee
    assert committee is not None
    assert committee.seeded


def test_what_is_owed_is_known_from_the_contracts_where_no_endpoint_gives_all_events(
    story: Scenario, chain: Chain, lying: Callable[[Lie], Server], node: Callable[..., Node]
) -> None:
    """The only endpoint hides the seed, and so the seat and its own row: it can still abstain, or reveal."""
    phases = through(story)
    while next(phases) != "seeded":
        pass
    scoring, signer = story.contracts.scoring, story.scorers[0]
    assert scoring.seats_of(story.task, signer.address) > 0
    reader = node(signer.address, lying(hides("Scoring", "SeedFixed", "ScoresCommitted")).url)
    world = reader.log.world

    def owed() -> list[Duty]:
        reader.context.backoff.reset(f"compare task {story.task}")
        reader.tick()
        return reader.doubts.owed(reader.log.world, reader.context.now)

    reader.tick()
    assert reader.tick() is False
    assert reader.log.world is not world
    round_ = scoring.round_of(story.task)
    assert owed() == [Duty(round_.score_commit_end, DutyKind.SCORE, story.task)]
    duty = Duty(round_.score_reveal_end, DutyKind.REVEAL_SCORES, story.task)
    made = [{"words": ["0x1"], "evidence": salt * 32, "salt": salt * 32} for salt in ("aa", "bb")]
    for row in made:
        rows.keep(reader.context, duty, row)
    commitment = rows.commitment_of(reader.context, duty, made[1])
    story.send(signer, scoring.commit_scores(story.task, signer.address, commitment))
    assert owed() == [], "committed, and not yet to be revealed"
    chain.jump(round_.score_commit_end)
    assert owed() == [duty]
    assert rows.committed(reader.context, reader.log.world.tasks[story.task], duty) == made[1]
    chain.jump(round_.score_reveal_end)
    assert owed() == []


def test_an_entry_whose_commitment_is_hidden_is_still_revealed(
    story: Scenario, chain: Chain, lying: Callable[[Lie], Server], node: Callable[..., Node]
) -> None:
    """Its enrolled operators' events are hidden, so by events the task can only be closed."""
    story.post()
    c, signer = story.contracts, story.trainers[0]
    story.send(signer, c.registry.commit_entry(story.task, signer.address, b"\x55" * 32, 10 * CVY))
    schedule = c.registry.schedule_of(story.task)
    chain.jump(schedule.entry_commit_end)
    story.send(story.scorers[0], c.registry.enrol(story.task, story.scorers[0].address, 2_000 * CVY))
    chain.jump(schedule.enrol_end)
    reader = node(signer.address, lying(hides("TaskRegistry", "ValidatorEnrolled")).url)
    assert reader.looks() == 1
    owed = reader.doubts.owed(reader.log.world, reader.context.now)
    assert owed == [Duty(schedule.entry_reveal_end, DutyKind.REVEAL_ENTRY, story.task)]


def _later(seconds: float) -> Callable[[], float]:
    now = doubts_module.time.monotonic
    return lambda: now() + seconds


def test_a_gap_outlives_a_restart_and_is_mended(
    story: Scenario, chain: Chain, lying: Callable[[Lie], Server], node: Callable[..., Node]
) -> None:
    """Killed between storing what cannot be folded and reading it again."""
    phases = through(story)
    while next(phases) != "entered":
        pass
    reader = node(story.scorers[0].address, lying(hides("TaskRegistry", "TaskCreated")).url, chain.url)
    with pytest.raises(EventMissing, match=f"EntryCommitted of task {story.task} does not follow"):
        reader.follower.poll(1_000)
    reader.restart()
    assert reader.looks() == 1
    assert story.task in reader.log.world.tasks


def test_it_stays_forgotten_after_a_restart(
    story: Scenario, chain: Chain, lying: Callable[[Lie], Server], node: Callable[..., Node]
) -> None:
    """Killed right after the events were forgotten."""
    phases = through(story)
    while next(phases) != "seeded":
        pass
    reader = node(story.scorers[0].address, lying(hides("Scoring", "SeedFixed")).url, chain.url)
    assert reader.tick()
    reader.restart()
    created = reader.journal.checkpoints()[0].block
    assert all(event.block <= created for event in reader.journal.events())
    assert reader.looks() == 0
    committee = reader.log.world.tasks[story.task].committee
    assert committee is not None
    assert committee.seeded


def test_one_liar_about_state_makes_nothing_be_read_again(
    story: Scenario, chain: Chain, serve: Callable[[Answer], Server], node: Callable[..., Node]
) -> None:
    """Two endpoints that disagree about a contract: nobody knows who is right; it is told, and tried again."""

    def forward(method: str, params: list[Any]) -> Any:
        return HttpEndpoint(chain.url).request(method, params, 30)

    def denies(method: str, params: list[Any], found: Any) -> Any:
        return "0x" + "00" * ((len(found) - 2) // 2) if method == "eth_call" else found

    phases = through(story)
    while next(phases) != "seeded":
        pass
    reader = node(story.scorers[0].address, serve(proxy(forward, denies)).url, chain.url)
    assert reader.looks() == 0
    assert all("cannot be compared" in problem for problem in reader.doubts.problems.values())
    assert reader.doubts.problems


def test_numbers_of_tasks_have_no_gap() -> None:
    world = ChainState()
    assert gap(world) is None
    tasks: Any = world.tasks
    tasks[1] = tasks[3] = None
    assert gap(world) == 2
    cast(Any, world.past)[2] = None
    assert gap(world) is None
    tasks[5] = None
    assert gap(world) == 4
