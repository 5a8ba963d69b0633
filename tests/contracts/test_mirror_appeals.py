"""Compares contracts, projection and audit on random tasks with faults, second committees and appeals.

Each task is driven to its end with everything claimed and freed. The projection's seats and open duties are compared
with the contracts' on the way; at the end the audit recomputes every figure from the events alone and must find no
difference.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import ape
import pytest
from tests.support.contracts.system import CVY, STAKE_MULTIPLE, TIP, System
from tests.support.contracts.task_steps import EVIDENCE, LOCAL, STAKE, People, Task, salt_of, sealed

from covey.audit.replay import Audit, replay
from covey.audit.rules import HashDomain
from covey.chain.events.decoder import EventReader, followed
from covey.config.types import Role
from covey.daemon.duties.settle import settlement_arguments
from covey.daemon.planning.faults import owes, seats_in, silent_in_appeal, silent_seats
from covey.daemon.planning.plan import Identity
from covey.daemon.state.folds import apply_event
from covey.daemon.state.world import ChainState, Committee
from covey.daemon.state.world import Task as Projected
from covey.protocol import merkle
from covey.protocol.appeals import AppealPhase, contest_bond, least_stake, settle_contests
from covey.protocol.commitments import score_commitment
from covey.protocol.faults import missed_slash, slash_of
from covey.protocol.scores import LANES, pack, unpack
from covey.protocol.settlement import RevealedRow
from covey.protocol.types import AppealState, Fault, Outcome, RowStatus, TaskParams

NAMES = {
    "AppealCommittee": "committee",
    "Appeals": "appeals",
    "BeaconRandomness": "randomness",
    "Faults": "faults",
    "Rewards": "rewards",
    "Scoring": "scoring",
    "Staking": "staking",
    "TaskBounds": "bounds",
    "TaskRegistry": "registry",
}


class Mirror:
    """The node's projection and audit state of the chain's events."""

    def __init__(self, system: System, chain: Any, task: Task) -> None:
        self.system, self.chain, self.task = system, chain, task
        contracts = {name: str(getattr(system, field).address) for name, field in NAMES.items() if name in followed()}
        self.reader = EventReader(contracts)
        scoring, committee = str(system.scoring), str(system.committee)
        self.me = Identity("0x" + "00" * 19 + "01", scoring, (Role.VALIDATOR,), chain.chain_id, scoring)
        self.me = replace(self.me, appeal_committee=committee)
        self.domain = HashDomain(chain.chain_id, str(system.registry), scoring, committee)

    def events(self) -> list[Any]:
        wanted = {"fromBlock": "0x0", "toBlock": "latest", "address": self.reader.addresses}
        return self.reader.read_all(self.chain.provider.make_request("eth_getLogs", [wanted]))

    def projected(self) -> Projected:
        world = ChainState()
        for event in self.events():
            apply_event(world, event)
        return world.tasks[self.task.id]

    def compare_committee(self, number: int, validators: Sequence[Any]) -> Committee:
        """Compare every operator's seats and open faults between projection and contract."""
        scoring, task = self.system.scoring, self.projected()
        c = next(c for c in task.committees if c.number == number)
        for validator in validators:
            drawn = scoring.seatsAt(self.task.id, number, validator)
            assert seats_in(task, c, self.me, str(validator)) == drawn
            ours = any(owes(task, one, self.me, str(validator)) for one in task.committees)
            assert ours == scoring.owesFault(self.task.id, validator)
        return c

    def silent(self, validators: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """Rounds and operators with silent seats that can be reported; compared with the contract."""
        task, now = self.projected(), self.chain.blocks.head.timestamp
        for c in task.committees:
            for validator in validators:
                seats = silent_seats(task, c, self.me, str(validator), now)
                assert seats == self.system.faults.silentSeatsOf(self.task.id, c.number, validator)
                if seats:
                    yield c.number, validator

    def audit(self) -> Audit:
        found = replay(self.events(), self.domain, [self.task.id])
        assert [str(one) for one in found.differences] == []
        assert found.unclaimed == []
        return found


def small_params(rng: random.Random, params: TaskParams) -> TaskParams:
    tau, bounty = rng.choice([655, 1_200, 4_095]), rng.randrange(10 * CVY, 400 * CVY)
    return replace(
        params,
        validator_bps=rng.randrange(500, 9_500),
        target_seats=rng.choice([9, 21, 51]),
        h=rng.choice([8, 24, tau // 16]),
        tau=tau,
        power=rng.randrange(1, 4),
        bounty=bounty,
        min_stake=STAKE_MULTIPLE * bounty // 10_000 + 1,
    )


def act(
    rng: random.Random, task: Task, seated: list[Any], entries: int, weights: Sequence[int], void: bool = False
) -> dict[Any, list[int]]:
    """Let each seated operator randomly reveal, withhold, abstain or be absent; return the revealed rows in order.

    In a `void` round all scores are 0.
    """
    choices = {validator: rng.choices(("reveal", "hide", "abstain", "silent"), weights)[0] for validator in seated}
    centres = [rng.randrange(700, 30_000) for _ in range(entries)]
    rows = {validator: [centre + rng.randrange(-900, 900) for centre in centres] for validator in seated}
    rows = {validator: [0 if void else max(0, score) for score in row] for validator, row in rows.items()}
    for validator, choice in choices.items():
        if choice in ("reveal", "hide"):
            task.commit_scores(validator, rows[validator])
        elif choice == "abstain":
            task.abstain(validator)
    task.warp(task.round().scoreCommitEnd)
    order = [validator for validator in seated if choices[validator] == "reveal"]
    rng.shuffle(order)
    for validator in order:
        task.reveal_scores(validator, rows[validator])
    task.warp(task.round().scoreRevealEnd)
    return {validator: rows[validator] for validator in order}


def report(system: System, task: Task, c: Committee, validators: Sequence[Any], people: People, contract: Any) -> int:
    """Report every fault of a round. Return the number of faults."""
    told = 0
    for validator in validators:
        row = contract.rowAt(task.id, c.number, validator)
        if row.status == RowStatus.COMMITTED:
            contract.reportUnrevealed(task.id, c.number, validator, sender=people.keeper)
            told += 1
        elif row.status == RowStatus.NONE and contract.seatsAt(task.id, c.number, validator):
            contract.reportAbsent(task.id, c.number, validator, sender=people.keeper)
            told += 1
    return told


def finish(
    system: System, task: Task, mirror: Mirror, trainers: Sequence[Any], validators: Sequence[Any], keeper: Any
) -> None:
    """Claim and release everything, from an uninvolved account."""
    projected = mirror.projected()
    if projected.outcome == Outcome.PAID:
        committee = projected.committee
        assert committee is not None
        medians = committee.pages[0].medians
        for lane, _ in enumerate(trainers):
            median = unpack([medians[0]], LANES)[lane]
            if system.rewards.entryReward(task.id, median):
                system.rewards.claimEntry(task.id, lane, medians[0], merkle.proof(medians, 0), sender=keeper)
        for validator in validators:
            if system.rewards.scoringReward(task.id, validator):
                system.rewards.claimScoring(task.id, validator, sender=keeper)
    elif not system.scoring.hasVoidRound(task.id):
        for trainer in trainers:
            system.rewards.claimFee(task.id, trainer, sender=keeper)
    for number, validator in list(mirror.silent(validators)):
        with ape.reverts(system.registry.RegistryFaultOpen):
            system.registry.releaseEarmark(task.id, validator, sender=keeper)
        before = system.registry.heldOf(task.id, validator)
        receipt = system.faults.reportMissed(task.id, number, validator, sender=keeper)
        (told,) = receipt.decode_logs(system.faults.MissedReported)
        failed = projected.outcome == Outcome.FAILED
        most = missed_slash(told.seats, system.scoring.unitOf(task.id, number), failed)
        assert told.taken == before - system.registry.heldOf(task.id, validator) <= min(most, before)
        if failed:
            assert told.taken == min(most, before), "not capped"
    assert not list(mirror.silent(validators))
    for validator in validators:
        system.registry.releaseEarmark(task.id, validator, sender=keeper)
        assert system.registry.heldOf(task.id, validator) == 0
    assert system.rewards.escrowOf(task.id).remaining <= len(trainers) + len(validators)


@pytest.mark.parametrize("case", range(6))
def test_random_task_with_second_committee_matches_the_protocol(
    system: System, chain: Any, people: People, case: int
) -> None:
    rng = random.Random(f"reseat {case}")
    params = small_params(rng, LOCAL)
    trainers, validators = people.operators[:2], people.operators[2:]
    stakes = [rng.randrange(1000 * CVY, STAKE) for _ in validators]
    task = Task(system, chain, people, params)
    mirror = Mirror(system, chain, task)
    task.fill(trainers, validators, stakes)
    if rng.random() < 0.7:  # others add to the bounty
        extra = min(rng.randrange(1, 50 * CVY), system.registry.bountyLimitOf(task.id) - params.bounty)
        if extra > 0:
            system.give(people.keeper, extra, system.rewards)
            system.rewards.topUp(task.id, extra, sender=people.keeper)

    has_void_round = False
    for number, weights in ((0, (3, 3, 2, 3)), (1, (6, 1, 1, 1))):
        task.draw_seed()
        mirror.compare_committee(number, validators)
        seated = [validator for validator in validators if system.scoring.seatsOf(task.id, validator)]
        void = rng.random() < 0.4
        rows = act(rng, task, seated, len(trainers), (9, 1, 1, 1) if void else weights, void)
        c = mirror.compare_committee(number, validators)
        if rng.random() < 0.6:
            report(system, task, c, validators, people, system.scoring)
            mirror.compare_committee(number, validators)
        projected = mirror.projected()
        state = projected.round()
        assert state is not None
        quorum = 2 * state.revealed_seats > max(state.committed_seats, params.target_seats)
        if quorum:
            task.settle(rows)
            assert system.scoring.roundAt(task.id, number).isVoid == void
            has_void_round |= void
            if not void:
                task.finalise()
                break
        else:
            system.scoring.failRound(task.id, sender=people.keeper)
        if task.outcome() != Outcome.RUNNING:
            break
        assert (number, task.round().number) == (0, 1)
        projected = mirror.projected()
        assert projected.schedule.expires_at == system.registry.scheduleOf(task.id).expiresAt
        assert projected.request_from == system.scoring.requestFromOf(task.id)
        assert projected.has_void_round == has_void_round

    for c in mirror.projected().committees:
        report(system, task, c, validators, people, system.scoring)
        mirror.compare_committee(c.number, validators)
    finish(system, task, mirror, trainers, validators, people.keeper)
    found = mirror.audit()
    if task.outcome() == Outcome.PAID:
        rows_paid = found.rulings[task.id].rows
        assert {row.operator: row.gain for row in rows_paid} == {
            str(validator): system.scoring.gainOf(task.id, validator) for validator in rows
        }


@pytest.mark.parametrize("case", range(6))
def test_random_sealed_task_with_appeal_matches_the_protocol(
    system: System, chain: Any, people: People, case: int
) -> None:
    rng = random.Random(f"appeal {case}")
    params = small_params(rng, sealed(system, chain.chain_id))
    trainers, validators, jurors = people.operators[:2], people.operators[2:4], people.operators[4:6]
    stakes = [rng.randrange(1500 * CVY, STAKE // 2) for _ in validators]
    task = Task(system, chain, people, params)
    mirror = Mirror(system, chain, task)
    task.fill(trainers, validators, stakes)
    task.draw_seed()
    seated = [validator for validator in validators if system.scoring.seatsOf(task.id, validator)]
    centres = [rng.randrange(5_000, 20_000) for _ in trainers]
    rows = {validator: [centre + rng.randrange(-20, 20) for centre in centres] for validator in seated}
    if rng.random() < 0.7:  # somebody with many seats lies, and may move the medians
        liar = max(seated, key=lambda validator: system.scoring.seatsOf(task.id, validator))
        rows[liar] = [centre + 9_000 for centre in centres]
    task.score(rows)
    task.settle(rows)

    # Somebody contests the only word.
    appellant = people.keeper
    bond = system.appeals.bondOf(task.id)
    pool = system.rewards.validatorsPoolOf(task.id)
    assert bond == contest_bond(pool, len(trainers), TIP)
    system.give(appellant, bond, system.appeals)
    committee = mirror.projected().committee
    assert committee is not None
    medians = committee.pages[0].medians
    proof = merkle.proof(medians, 0)
    system.appeals.contest(task.id, 0, medians[0], proof, sender=appellant)
    ends = system.appeals.appealOf(task.id)
    assert ends.leastStake == least_stake(params.min_stake, sum(stakes))
    with ape.reverts(system.appeals.AppealsWasSeated):
        system.committee.enrol(task.id, seated[0], STAKE // 4, sender=people.signer(seated[0]))
    task.warp(ends.contestEnd)
    backers = jurors if rng.random() < 0.8 else []
    for juror in backers:
        amount = rng.randrange(3000 * CVY, STAKE)
        system.committee.enrol(task.id, juror, amount, sender=people.signer(juror))
    task.warp(ends.enrolEnd)
    settled = _appeal_round(rng, system, chain, task, mirror, people, backers, centres)
    before = system.token.balanceOf(system.appeals)
    system.appeals.resolve(task.id, 0, proof, sender=people.keeper)
    assert system.token.balanceOf(system.appeals) >= before

    projected = mirror.projected()
    assert projected.appeal is not None
    assert (projected.appeal.state == AppealState.SETTLED, projected.appeal.is_open) == (settled, False)
    owed = system.appeals.owedTo(appellant)
    task.finalise()
    if settled:
        _slash_overturned(system, task, mirror, people)
        _slash_jurors(system, task, mirror, people)
    appeal_round = mirror.projected().appeal
    assert appeal_round is not None
    if appeal_round.committee is not None:
        report(system, task, appeal_round.committee, backers, people, system.committee)
    _slash_silent_jurors(system, task, mirror, people, backers)
    for juror in backers:
        if system.committee.paidSeatsOf(task.id, juror) and system.appeals.appealOf(task.id).pool:
            system.appeals.claimAppeal(task.id, juror, sender=people.keeper)
    if owed:
        system.appeals.withdraw(appellant, sender=people.keeper)
    task.warp(system.appeals.appealOf(task.id).reportEnd)
    for juror in backers:
        system.committee.release(task.id, juror, sender=people.keeper)
    finish(system, task, mirror, trainers, validators, people.keeper)
    found = mirror.audit()
    ruling = found.appeals[task.id]
    assert ruling.pool == system.appeals.appealOf(task.id).pool
    paid = {operator: amount for operator, amount in ruling.rewards.items() if amount}
    assert all(system.appeals.claimed(task.id, operator) for operator in paid)
    totals = system.scoring.totalsOf(task.id)
    assert found.rulings[task.id].total_weights == totals.weights
    assert all(system.staking.poolOf(juror).earmarked == 0 for juror in jurors)


def _appeal_round(
    rng: random.Random, system: System, chain: Any, task: Task, mirror: Mirror, people: People, backers: list[Any],
    centres: list[int],
) -> bool:  # fmt: skip
    """Draw the committee and let it act. Return whether the appeal settled."""
    contract = system.committee
    now = chain.blocks.head.timestamp
    appeal = mirror.projected().appeal
    assert appeal is not None
    phase = appeal.phase(task.params, now)
    assert (phase == AppealPhase.FAIL) == (not backers)
    if not backers:
        with ape.reverts(contract.ScoringNotReady):
            contract.requestSeed(task.id, sender=people.keeper)
        system.appeals.failAppeal(task.id, sender=people.keeper)
        return False
    contract.requestSeed(task.id, sender=people.keeper)
    target = contract.roundOf(task.id).target
    chain.mine(int(target) + 1 - chain.blocks.head.number)
    contract.fixSeed(task.id, task.header(target), sender=people.keeper)
    projected = mirror.projected()
    appeal = projected.appeal
    assert appeal is not None and appeal.committee is not None
    drawn = {backer: contract.seatsOf(task.id, backer) for backer in backers}
    assert drawn == {
        backer: seats_in(projected, appeal.committee, mirror.me, str(backer), appeal) for backer in backers
    }
    seated = [backer for backer, seats in drawn.items() if seats]
    choices = {backer: rng.choices(("reveal", "hide", "abstain", "silent"), (8, 1, 1, 1))[0] for backer in seated}
    rows: dict[Any, list[int]] = {}
    h = task.params.h
    for backer, choice in choices.items():
        words = pack([centre + rng.choice([0, h, -h, rng.randrange(-3_000, 3_000)]) for centre in centres])
        if choice in ("reveal", "hide"):
            commitment = score_commitment(
                chain.chain_id, str(contract), task.id, 0, str(backer), words, EVIDENCE, salt_of(backer)
            )
            contract.commitScores(task.id, backer, commitment, sender=people.signer(backer))
            rows[backer] = words
        elif choice == "abstain":
            contract.abstain(task.id, backer, sender=people.signer(backer))
    task.warp(contract.roundOf(task.id).scoreCommitEnd)
    for backer, words in rows.items():
        if choices[backer] == "reveal":
            contract.revealScores(task.id, backer, words, EVIDENCE, salt_of(backer), sender=people.keeper)
    task.warp(contract.roundOf(task.id).scoreRevealEnd)
    projected = mirror.projected()
    appeal = projected.appeal
    assert appeal is not None and appeal.committee is not None
    for backer in backers:
        ours = owes(projected, appeal.committee, mirror.me, str(backer), appeal)
        assert ours == contract.owesFault(task.id, backer)
    revealed = appeal.committee.revealed
    if contract.isLost(task.id):
        system.appeals.failAppeal(task.id, sender=people.keeper)
        return False
    heads, found, words = settlement_arguments(revealed, LANES, appeal.words_per_page, 0)
    contract.settleContests(task.id, 0, heads, found, words, sender=people.keeper)
    mirrored = settle_contests(
        [RevealedRow(row.operator, row.seats, unpack(row.words, LANES)) for row in revealed],
        task.params.h, task.params.tau,
    )  # fmt: skip
    assert [contract.foundOf(task.id, 0)] == mirrored.found
    assert system.appeals.appealOf(task.id).paidSeats == mirrored.paid_seats
    assert [contract.paidSeatsOf(task.id, row.operator) for row in revealed] == mirrored.paid
    return True


def _slash_silent_jurors(
    system: System, task: Task, mirror: Mirror, people: People, backers: Sequence[Any]
) -> None:  # fmt: skip
    """Report the silence that the projection finds in a failed appeal; check it against the contract."""
    projected = mirror.projected()
    assert projected.appeal is not None
    for juror in backers:
        seats = silent_in_appeal(projected, projected.appeal, mirror.me, str(juror))
        assert seats == system.faults.silentJurorSeatsOf(task.id, juror)
        if seats:
            with ape.reverts(system.committee.CommitteeFaultOpen):
                system.committee.release(task.id, juror, sender=people.keeper)
            system.faults.reportSilentJuror(task.id, juror, sender=people.keeper)


def _slash_jurors(system: System, task: Task, mirror: Mirror, people: People) -> None:
    """Report the rows of jurors that the projection plans; check that the contract accepts these and no others."""
    from covey.daemon.planning.appeals import appeal_steps

    projected = mirror.projected()
    now = mirror.chain.blocks.head.timestamp
    planned = {duty.account for duty in appeal_steps(projected, mirror.me, now) if duty.kind == "report-juror"}
    assert projected.appeal is not None
    for row in projected.appeal.drawn_committee.revealed:
        report = system.faults.reportJuror
        if row.operator in planned:
            receipt = report(task.id, row.operator, list(row.words), sender=people.keeper)
            (told,) = receipt.decode_logs(system.faults.JurorReported)
            assert told.taken == slash_of(Fault.OVERTURNED, row.seats, system.committee.unitOf(task.id, 0))
        else:
            with ape.reverts(system.faults.FaultsNoFault):
                report(task.id, row.operator, list(row.words), sender=people.keeper)


def _slash_overturned(system: System, task: Task, mirror: Mirror, people: People) -> None:
    """Report the faults that the projection plans; check that the contract accepts these and no others."""
    from covey.daemon.planning.appeals import appeal_steps

    projected = mirror.projected()
    now = mirror.chain.blocks.head.timestamp
    planned = [duty for duty in appeal_steps(projected, mirror.me, now) if duty.kind == "report-overturned"]
    assert projected.committee is not None
    for row in projected.committee.revealed:
        held = system.registry.heldOf(task.id, row.operator)
        if row.operator in {duty.account for duty in planned}:
            receipt = system.appeals.reportOverturned(task.id, row.operator, 0, list(row.words), sender=people.keeper)
            (slashed,) = receipt.decode_logs(system.appeals.RowOverturned)
            assert slashed.taken == held - system.registry.heldOf(task.id, row.operator) > 0
            assert slashed.taken == slash_of(Fault.OVERTURNED, row.seats, system.scoring.unitOf(task.id, 0))
        else:
            with ape.reverts(system.appeals.AppealsNoFault):
                system.appeals.reportOverturned(task.id, row.operator, 0, list(row.words), sender=people.keeper)
