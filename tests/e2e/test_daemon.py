"""Daemons on a real chain take a task from its posting to the last claim, and are killed in every phase on the way.

A trainer and a validator lose their journals between commit and reveal, and use the second copy of their secrets.

Besides two trainers and two validators that work, one trainer's files cannot be fetched, and one validator's workers
cannot start: the first gets a zero, the second abstains, and no other node is affected.
"""

from __future__ import annotations

from functools import partial

import pytest
from tests.support.network import CVY, WINDOWS, Network, Node, spawn, tiny_spec, write_records

from covey.chain.units import about_cvy
from covey.daemon.state.world import Committee, Task
from covey.ipfs import BlockStore, Cid, GatewaySource, NotFound, SourceError, open_fetcher
from covey.protocol.faults import missed_slash, slash_of
from covey.protocol.scores import unpack
from covey.protocol.sheet import SHEET_NAME, ScoreSheet
from covey.protocol.types import Fault, Outcome

pytestmark = [pytest.mark.daemon, pytest.mark.slow]


def restart(*nodes: Node) -> None:
    for node in nodes:
        node.kill()
        node.start()


def committee_of(task: Task) -> Committee:
    assert task.committee is not None
    return task.committee


def test_a_task_is_paid_despite_kills_a_missing_entry_and_broken_workers(net: Network) -> None:
    trainers = [net.add("trainer"), net.add("trainer")]
    trainers[0].launch = spawn  # a new interpreter, as an operator starts a daemon
    vanished = net.add("trainer")
    vanished.hidden = True
    earmark = {"policy.earmark": "2100 CVY"}
    validators = [net.add("validator", **earmark), net.add("validator", **earmark)]
    broken = net.add("validator", executor="unix:/nonexistent/workers.sock", **{"policy.earmark": "600 CVY"})
    net.start()
    task_id = net.post(tiny_spec())
    schedule = net.task(task_id).schedule

    net.wait("an entry", lambda: len(net.task(task_id).entries) >= 1)
    restart(trainers[0])
    net.wait("all entries", lambda: len(net.task(task_id).entries) == 3)
    net.jump(schedule.entry_commit_end)
    restart(validators[0])
    net.wait("enrolment", lambda: len(net.task(task_id).enrolled) == 3)
    trainers[0].lose_journal()
    net.jump(schedule.enrol_end)
    trainers[0].start()
    net.wait("entry reveals", lambda: len(net.task(task_id).lanes) == 3)
    net.jump(schedule.entry_reveal_end)
    net.wait("the seed", lambda: (c := net.task(task_id).committee) is not None and c.seeded)
    committee = committee_of(net.task(task_id))
    net.wait("reports of a missing entry", lambda: all(_misses_one(node) for node in validators))
    net.jump(committee.commit_end - 290)
    net.wait("a first row", lambda: len(committee_of(net.task(task_id)).committed) >= 1)
    restart(validators[0])
    net.wait("rows", lambda: len(committee_of(net.task(task_id)).committed) == 2)
    net.wait("an abstention", lambda: set(committee_of(net.task(task_id)).abstained) == {broken.operator})
    validators[0].lose_journal()
    net.jump(committee.commit_end)
    validators[0].start()
    net.wait("the end", lambda: net.task(task_id).outcome != Outcome.RUNNING)
    restart(trainers[0], validators[0])

    task = net.task(task_id)
    assert task.outcome == Outcome.PAID
    assert _faults(net, task_id) == set(), "kills cause no fault"
    lane = task.entries[vanished.operator].lane
    assert lane is not None
    for row in committee_of(task).revealed:
        scores = unpack(row.words, 3)
        assert scores[lane] == 0
        assert all(score >= 1 for other, score in enumerate(scores) if other != lane)
    _check_claims(net, task_id, [*validators, broken], vanished)
    _check_sheets(net, task, validators)
    _check_alarm(net, task, validators[1])
    _stop_all(net)


def test_tasks_that_cannot_be_paid_end_with_refunds(net: Network) -> None:
    """No trainer enters the first task, and no validator can evaluate the second. Two nodes decline with a reason. One
    node, for which no block is ever final, acts on the head in the last third of each window."""
    trainer = net.add("trainer", **{"policy.domains": ["weather and kitchen reports"]})
    thrifty = net.add("trainer", **{"policy.max_fee": "4 CVY"})
    never = {"executor": "unix:/nonexistent/workers.sock", "max_job_attempts": 1}
    broken = net.add("validator", **never)
    without = net.add("validator")
    write_records(without.settings.parent / "records.jsonl", 12, 0, ("weather",))
    blind = net.add("validator", confirmations=1_000_000, **never)
    net.start()
    wanted = tiny_spec()
    unwanted = wanted.model_copy(update={"domain": "something else"})
    failing, lonely = net.post(wanted), net.post(unwanted)
    owners = (trainer.operator, trainer.signer)
    contracts = net.local.chain.contracts

    net.wait("the entry", lambda: set(net.task(failing).entries) == {trainer.operator})
    net.wait("a refusal of the domain", lambda: _declined(trainer, lonely, "domain 'something else'"))
    net.wait("a refusal of the fee", lambda: _declined(thrifty, failing, "more than policy.max_fee"))
    net.jump(net.task(lonely).schedule.entry_commit_end)
    net.wait("the lonely task's refund", lambda: net.task(lonely).outcome == Outcome.REFUNDED)
    net.wait("enrolment", lambda: set(net.task(failing).enrolled) == {broken.operator})
    net.jump(net.task(failing).schedule.enrol_end - WINDOWS.enrol // 3)
    net.wait("enrolment by the head", lambda: blind.operator in net.task(failing).enrolled)
    net.wait("a refusal of the records", lambda: _declined(without, failing, "stratum 'kitchen' needs 8"))
    net.jump(net.task(failing).schedule.enrol_end)
    net.wait("the reveal", lambda: len(net.task(failing).lanes) == 1)
    net.jump(net.task(failing).schedule.entry_reveal_end)
    net.wait("an abstention", lambda: (c := net.task(failing).committee) is not None and len(c.abstained) == 1)
    net.jump(committee_of(net.task(failing)).commit_end - WINDOWS.score_commit // 3)
    net.wait("an abstention by the head", lambda: blind.operator in committee_of(net.task(failing)).abstained)
    net.jump(committee_of(net.task(failing)).commit_end)
    net.wait("the failure", lambda: net.task(failing).outcome == Outcome.FAILED)
    net.wait("the fee back", lambda: net.task(failing).claimed_fees == {trainer.operator})
    net.wait("reports of their silence", lambda: _silent(net, failing) == {broken.operator, blind.operator})
    net.wait("stake freed", lambda: net.task(failing).freed == {broken.operator})
    assert _faults(net, failing) == set(), "abstaining is no fault of a row"
    net.wait("credits withdrawn", lambda: all(contracts.rewards.owed_to(account) < CVY for account in owners))
    assert contracts.token.balance_of(trainer.operator) == contracts.registry.params_of(failing).entry_fee
    _stop_all(net)


def test_an_absent_validator_is_reported_and_a_second_committee_pays(net: Network) -> None:
    """One of two validators with half of the stake each dies, so the quorum is missed. It is reported and not drawn
    again. The other, whose row alone is not enough, gets a seat in the second committee and is paid."""
    paid_at_once = {"policy.min_withdrawal": "0.1 CVY"}  # a share of the smaller slash, whoever reports it, is 0.5 CVY
    trainer = net.add("trainer", **paid_at_once)
    earmark = {"policy.earmark": "2000 CVY"}
    steady = net.add("validator", **earmark, **paid_at_once)
    gone = net.add("validator", **earmark)
    net.start()
    task_id = net.post(tiny_spec(), target_seats=10)  # five each: one alone has no quorum
    schedule = net.task(task_id).schedule
    contracts = net.local.chain.contracts

    net.wait("the entry", lambda: len(net.task(task_id).entries) == 1)
    net.jump(schedule.entry_commit_end)
    net.wait("enrolment", lambda: len(net.task(task_id).enrolled) == 2)
    gone.kill()
    net.nodes.remove(gone)
    net.jump(schedule.enrol_end)
    net.wait("the reveal", lambda: len(net.task(task_id).lanes) == 1)
    net.jump(schedule.entry_reveal_end)
    net.wait("a row", lambda: (c := net.task(task_id).committee) is not None and len(c.committed) == 1)
    first = committee_of(net.task(task_id))
    assert contracts.scoring.seats_of(task_id, gone.operator) > 0
    held = contracts.staking.pool_of(gone.operator).active_tokens
    net.jump(first.commit_end)
    net.wait("the report", lambda: _faults(net, task_id) == {(0, gone.operator, Fault.ABSENT)})
    net.wait("the end of the first round", lambda: contracts.scoring.round_of(task_id).number == 1)
    net.jump(contracts.scoring.request_from_of(task_id))
    net.wait("a second seed", lambda: _seeded_round(net.task(task_id)) == 1)
    second = committee_of(net.task(task_id))
    assert second.total == 2000 * CVY, "drawn from stake that neither failed nor abstained"
    assert net.task(task_id).schedule.expires_at > schedule.expires_at
    net.wait("a second row", lambda: len(committee_of(net.task(task_id)).committed) == 1)
    net.jump(second.commit_end)
    net.wait("the end", lambda: net.task(task_id).outcome != Outcome.RUNNING)
    net.wait("pay", lambda: net.task(task_id).claimed_scoring == {steady.operator})
    net.wait("stake freed", lambda: net.task(task_id).freed == {steady.operator})

    task = net.task(task_id)
    assert task.outcome == Outcome.PAID
    net.wait("the report of its silence", lambda: _silent(net, task_id) == {gone.operator})
    lost = held - contracts.staking.pool_of(gone.operator).active_tokens
    unit = 200 * CVY // 10
    slashes = [event.args for event in net.events() if event.name == "Slashed"]
    assert [slash["fromActive"] for slash in slashes] == [slash_of(Fault.ABSENT, 5, unit), missed_slash(5, unit, False)]
    assert lost == sum(slash["fromActive"] for slash in slashes)
    for slash in slashes:
        assert slash["reporter"] in {trainer.signer, steady.signer}
        assert slash["reporterReward"] == slash["fromActive"] // 10
        assert (slash["operator"], slash["toTreasury"]) == (
            gone.operator,
            slash["fromActive"] - slash["reporterReward"],
        )
        net.wait("the reporter's share", partial(_is_paid, net, slash["reporter"]))
        paid = f"(shares of slashes and undripped rewards) to {slash['reporter']}"
        assert any(paid in node.log.read_text("utf-8") for node in (trainer, steady))
    [reward] = [event.args for event in net.events() if event.name == "ScoringRewardClaimed"]
    said = f"claim {about_cvy(reward['amount'])} for scoring task {task_id} into the pool of {steady.operator}"
    assert said in steady.log.read_text("utf-8")
    # Anyone can free its stake now.
    keeper = net.local.account("keeper")
    net.local.send(keeper.signer, [contracts.registry.release_earmark(task_id, gone.operator)])
    assert net.task(task_id).freed == {steady.operator, gone.operator}
    assert contracts.staking.pool_of(gone.operator).earmarked == 0
    _stop_all(net)


def _seeded_round(task: Task) -> int | None:
    return task.committee.number if task.committee is not None and task.committee.seeded else None


def _faults(net: Network, task_id: int) -> set[tuple[int, str, Fault]]:
    return {(c.number, operator, fault) for c in net.task(task_id).committees for operator, fault in c.faults.items()}


def _silent(net: Network, task_id: int) -> set[str]:
    """Operators that were reported for silent seats of a missed round."""
    return {operator for c in net.task(task_id).committees for operator in c.missed_reports}


def _is_paid(net: Network, reporter: str) -> bool:
    return net.local.chain.contracts.staking.owed_to(reporter) == 0


def _declined(node: Node, task_id: int, reason: str) -> bool:
    lines = node.log.read_text(encoding="utf-8").splitlines()
    return any("duty declined" in line and f"/{task_id}/" in line and reason in line for line in lines)


def _stop_all(net: Network) -> None:
    """Stop all nodes, none of which has missed a duty or lost content."""
    for node in net.nodes:
        assert (node.report()["missed"], node.report()["missing_pins"]) == ([], [])
        assert node.stop() == 0
        assert "Traceback" not in node.log.read_text(encoding="utf-8")


def _misses_one(node: Node) -> bool:
    return any("1 entries are missing" in duty["waits_for"] for duty in node.report().get("due", []))


def _check_claims(net: Network, task_id: int, validators: list[Node], vanished: Node) -> None:
    """Check that all claims that the contracts allow are made, and all stake is freed."""
    rewards = net.local.chain.contracts.rewards
    net.wait("stake freed", lambda: net.task(task_id).freed == {node.operator for node in validators})
    task = net.task(task_id)
    [page] = committee_of(task).pages.values()
    medians = unpack(page.medians, 3)
    earning = {lane for lane, median in enumerate(medians) if rewards.entry_reward(task_id, median) > 0}
    assert task.entries[vanished.operator].lane not in earning
    net.wait("entries claimed", lambda: net.task(task_id).claimed_lanes == earning)
    paid = {node.operator for node in validators if rewards.scoring_reward(task_id, node.operator) > 0}
    net.wait("scoring claimed", lambda: net.task(task_id).claimed_scoring == paid)
    accounts = [node.signer for node in net.nodes]
    net.wait("tips withdrawn", lambda: all(rewards.owed_to(account) < CVY for account in accounts))


def _check_sheets(net: Network, task: Task, validators: list[Node]) -> None:
    """Check that the evidence behind each row can be fetched and matches the row."""
    for node in validators:
        row = next(row for row in committee_of(task).revealed if row.operator == node.operator)
        with open_fetcher(net.store, [node.gateway]) as fetcher:
            net.wait("the sheet", partial(_served, node, row.evidence))
            sheet = ScoreSheet.from_bytes(fetcher.read(Cid.directory(row.evidence), SHEET_NAME))
        net.wait("its retention", partial(_retains_one, node))
        assert sheet.scores() == unpack(row.words, 3)
        assert [entry.verdict for entry in sheet.entries].count("unavailable") == 1


def _check_alarm(net: Network, task: Task, node: Node) -> None:
    """Check that a node turns red when its disk loses evidence, and recovers when the evidence is restored."""
    row = next(row for row in committee_of(task).revealed if row.operator == node.operator)
    sheet = Cid.directory(row.evidence)
    with BlockStore(node.settings.parent / "data" / "blocks") as store:
        block = store.get_local(sheet)
        node.kill()
        store.delete_block(sheet)
        node.start()
        net.wait("the alarm", lambda: any(str(sheet) in pin for pin in node.report().get("missing_pins", [])))
        report = node.report()
        assert report["status"] == "red"
        assert f"missing pin: {report['missing_pins'][0]}" in report["problems"]
        assert "pin missing" in node.log.read_text(encoding="utf-8")
        node.kill()
        store.put_block(sheet, block)
        node.start()
    net.wait("the next check", lambda: node.report().get("stored_bytes") is not None)
    net.wait("the alarm's end", lambda: node.report().get("status") == "ok")
    assert (node.report()["retained"], node.report()["missing_pins"]) == (1, [])


def _retains_one(node: Node) -> bool:
    return node.report().get("retained") == 1


def _served(node: Node, evidence: bytes) -> bool:
    source = GatewaySource(node.gateway)
    try:
        return bool(source.get_block(Cid.directory(evidence), 5))
    except (NotFound, SourceError):  # not published yet, or the node is restarting
        return False
    finally:
        source.close()
