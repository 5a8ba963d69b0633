"""A sealed task whose median is contested: daemons do not score it, and take all its permissionless steps.

The test acts for the entrant and the validators through the contracts; the validator with most of the stake lies. Two
daemons that take no part request and fix seeds, settle, resolve the contest and report the liar. A command contests
the median.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.fork_pool import ForkPool
from tests.support.network import CVY, Network, tiny_params, tiny_spec

from covey.audit.replay import replay
from covey.chain.contracts import Call, Committee
from covey.chain.signing.keystore import LocalSigner
from covey.daemon.state.world import Task
from covey.devnet.local import Account
from covey.protocol.commitments import entry_commitment, score_commitment, sealed_commitment
from covey.protocol.faults import slash_of
from covey.protocol.scores import pack
from covey.protocol.types import AppealState, Evaluation, Fault, Outcome, RowStatus, Windows

pytestmark = [pytest.mark.daemon, pytest.mark.slow]

SALT, DIGEST = b"\1" * 32, b"\2" * 32
TRUTH, LIE = [9_000], [15_000]
WINDOWS = Windows(600, 300, 300, 300, 600, 300, 900, 600)


class ManualOperator:
    """An operator without a daemon."""

    def __init__(self, net: Network, name: str, stake: int) -> None:
        self.net, self.contracts = net, net.local.chain.contracts
        self.owner: Account = net.local.account(f"{name}-owner")
        self.signer: Account = net.local.account(name)
        net.local.fund({self.owner.address: stake, self.signer.address: 200 * CVY})
        net.local.register(self.owner, self.signer, stake)
        self.operator = self.owner.address

    def send(self, *calls: Call) -> None:
        self.net.local.send(self.signer.signer, list(calls))

    def commit(self, committee: Committee, task: int, scores: list[int]) -> None:
        """Commit a row, if the operator has a seat."""
        if committee.seats_of(task, self.operator):
            chain = self.net.local.rpc.chain_id
            args = (chain, committee.address, task, 0, self.operator, pack(scores), DIGEST, SALT)
            self.send(committee.commit_scores(task, self.operator, score_commitment(*args)))

    def reveal(self, committee: Committee, task: int, scores: list[int]) -> None:
        if committee.row_of(task, self.operator).status == RowStatus.COMMITTED:
            self.send(committee.reveal_scores(task, self.operator, pack(scores), DIGEST, SALT))


def post(net: Network) -> tuple[int, LocalSigner]:
    """The task's id and its creator."""
    local, contracts = net.local, net.local.chain.contracts
    spec = tiny_spec()
    evaluation = spec.evaluation.model_copy(update={"source": "sealed"})
    scoring = spec.scoring.model_copy(update={"h": 40, "tau": 700})
    spec = spec.model_copy(update={"evaluation": evaluation, "scoring": scoring})
    cid = net.store.add_directory({"spec.json": spec.canonical_bytes()})
    creator = local.account("creator")
    sealed = sealed_commitment(local.rpc.chain_id, contracts.registry.address, creator.address, DIGEST, SALT)
    params = replace(
        tiny_params(spec, cid.word), windows=WINDOWS, evaluation=Evaluation.SEALED, sealed_commitment=sealed
    )
    local.fund({creator.address: params.bounty + params.bond})
    approve = contracts.token.approve(contracts.rewards.address, params.bounty + params.bond)
    local.send(creator.signer, [approve, contracts.registry.create_task(params)])
    return contracts.registry.task_count(), creator.signer


def covey(net: Network, pool: ForkPool, *arguments: str, key: Path | None = None) -> subprocess.CompletedProcess[str]:
    """`covey … --json` on this network."""
    where = ["--rpc-urls", net.local.anvil.url, "--deployment", str(net.local.deployment_folder), "--json"]
    wallet = ["--keystore", str(key), "--password-file", str(net.local.password_file)] if key is not None else []
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(net.local.out)}
    return pool.covey(*arguments, *where, *wallet, environment=environment, folder=net.local.out)


def command(net: Network, pool: ForkPool, *arguments: str, key: Path | None = None) -> dict[str, object]:
    """The JSON that a successful command prints."""
    done = covey(net, pool, *arguments, key=key)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def error_line(net: Network, pool: ForkPool, *arguments: str, key: Path) -> str:
    """The error line of a command that fails."""
    done = covey(net, pool, *arguments, key=key)
    assert done.returncode == 2, done.stderr
    [line] = done.stderr.splitlines()
    return line


def test_daemons_finish_a_sealed_task_and_its_appeal(net: Network, pool: ForkPool) -> None:
    local, contracts = net.local, net.local.chain.contracts
    entrant, liar = ManualOperator(net, "entrant", 200 * CVY), ManualOperator(net, "liar", 3_000 * CVY)
    honest = [ManualOperator(net, "first", 1_000 * CVY), ManualOperator(net, "second", 1_000 * CVY)]
    jurors = [ManualOperator(net, "third", 1_500 * CVY), ManualOperator(net, "fourth", 1_500 * CVY)]
    daemons = [net.add("trainer"), net.add("validator")]
    net.start()
    task_id, creator = post(net)
    schedule = net.task(task_id).schedule
    registry = contracts.registry
    fee = contracts.token.approve(contracts.rewards.address, 100 * CVY)
    named = (local.rpc.chain_id, registry.address, task_id, entrant.operator, DIGEST, SALT)
    entrant.send(fee, registry.commit_entry(task_id, entrant.operator, entry_commitment(*named), 100 * CVY))
    net.jump(schedule.entry_commit_end)
    liar.send(registry.enrol(task_id, liar.operator, 3_000 * CVY))
    for validator in honest:
        validator.send(registry.enrol(task_id, validator.operator, 500 * CVY))
    net.wait("a refusal", lambda: "sealed evaluation is not supported yet" in daemons[1].log.read_text("utf-8"))
    net.jump(schedule.enrol_end)
    entrant.send(registry.reveal_entry(task_id, entrant.operator, DIGEST, SALT))
    net.jump(schedule.entry_reveal_end)
    local.send(creator, [registry.open_sealed(task_id, DIGEST, SALT)])

    rows = {liar: LIE, honest[0]: TRUTH, honest[1]: TRUTH}
    net.wait("the seed", lambda: (c := net.task(task_id).committee) is not None and c.seeded)
    for validator, scores in rows.items():
        validator.commit(contracts.scoring, task_id, scores)
    early = error_line(net, pool, "appeal", "contest", str(task_id), "0", key=entrant.signer.keystore)
    assert "not settled yet" in early
    net.jump(contracts.scoring.round_of(task_id).score_commit_end)
    for validator, scores in rows.items():
        validator.reveal(contracts.scoring, task_id, scores)
    net.wait("settlement", lambda: contracts.scoring.is_settled(task_id))
    assert _medians(net.task(task_id)) == tuple(pack(LIE)), "the majority lied"
    poor = local.account("poor").keystore
    assert "less than the bond of" in error_line(net, pool, "appeal", "contest", str(task_id), "0", key=poor)

    contest = command(net, pool, "appeal", "contest", str(task_id), "0", key=entrant.signer.keystore)
    assert (contest["word"], contest["bond"]) == (0, str(contracts.appeals.bond_of(task_id)))
    key = entrant.signer.keystore
    assert "contested already" in error_line(net, pool, "appeal", "contest", str(task_id), "0", key=key)
    assert "there is no lane 7" in error_line(net, pool, "appeal", "contest", str(task_id), "7", key=key)
    assert "there is no task 9" in error_line(net, pool, "appeal", "contest", "9", "0", key=key)
    appeal = contracts.appeals.appeal_of(task_id)
    committee = contracts.appeal_committee
    for juror in jurors:
        juror.send(committee.enrol(task_id, juror.operator, 1_500 * CVY))
    net.jump(appeal.enrol_end)
    # From the log: a call may see the block that anvil is still mining, and the next call not.
    seed = ("AppealCommittee", "SeedFixed")
    net.wait("the appeal's seed", lambda: seed in {(event.contract, event.name) for event in net.events()})
    for juror in jurors:
        juror.commit(committee, task_id, TRUTH)
    net.jump(committee.round_of(task_id).score_commit_end)
    for juror in jurors:
        juror.reveal(committee, task_id, TRUTH)
    net.wait("the appeal's answer", lambda: contracts.appeals.appeal_of(task_id).state == AppealState.SETTLED)
    net.wait("the contest resolved", lambda: not contracts.appeals.is_open(task_id))
    net.wait("the liar reported", lambda: contracts.appeals.overturned(task_id, liar.operator))
    net.wait("the end", lambda: net.task(task_id).outcome == Outcome.PAID)

    task = net.task(task_id)
    assert _medians(task) == tuple(pack(TRUTH))
    assert task.appeal is not None and task.appeal.overturned == {liar.operator}
    [slash] = [event.args for event in net.events() if event.name == "Slashed"]
    seats, unit = contracts.scoring.seats_of(task_id, liar.operator), contracts.scoring.unit_of(task_id, 0)
    assert (slash["operator"], slash["fromActive"]) == (liar.operator, slash_of(Fault.OVERTURNED, seats, unit))
    share = slash["fromActive"] // 10
    [reporter] = [node for node in daemons if node.signer == slash["reporter"]]
    net.wait("the reporter's share", lambda: contracts.staking.owed_to(reporter.signer) == 0)
    earned = command(net, pool, "status", "--config", str(reporter.settings))["earnings"]
    assert earned["reports"] == str(slash["reporterReward"]) == str(share)  # type: ignore[index]
    net.wait("the report of its earnings", lambda: reporter.report()["earnings"]["reports"] == str(share))
    assert "its appeal window ended at" in error_line(net, pool, "appeal", "contest", str(task_id), "0", key=key)
    listed = command(net, pool, "appeal", "list", str(task_id))
    assert [contest["moved"] for contest in listed["contests"]] == [True]  # type: ignore[attr-defined]
    found = replay(net.events(), local.chain.domain)
    assert [str(difference) for difference in found.differences] == []
    for node in daemons:
        assert node.report()["missed"] == []
        assert node.stop() == 0
        assert "Traceback" not in node.log.read_text(encoding="utf-8")


def _medians(task: Task) -> tuple[int, ...]:
    assert task.committee is not None
    return task.committee.pages[0].medians
