"""A whole task: the contracts and the protocol's Python agree on every number, and events tell the whole story."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.chain.anvil import CHAIN_ID, Chain
from tests.support.chain.scenario import Scenario

from covey.chain.contracts import Call, Contracts
from covey.chain.errors import ContractReverted
from covey.chain.events.decoder import EventReader, task_params, task_schedule
from covey.chain.signing.keystore import LocalSigner
from covey.chain.tx.oneshot import send
from covey.protocol import payouts, scores
from covey.protocol.commitments import stored_prefix
from covey.protocol.seats import seats
from covey.protocol.settlement import RevealedRow, Settlement
from covey.protocol.types import Outcome, RowStatus
from covey.protocol.windows import Phase, phase

pytestmark = pytest.mark.daemon


@pytest.mark.parametrize(("seed", "entries", "validators"), [(1, 3, 4), (2, 18, 3), (3, 1, 2)])
def test_contracts_and_python_agree(
    chain: Chain, contracts: Contracts, deployer: LocalSigner, seed: int, entries: int, validators: int
) -> None:
    story = Scenario(chain, contracts, deployer, seed, entries, validators)
    c, task = contracts, story.post()
    registry, scoring = c.registry, c.scoring

    def now() -> Phase:
        round_ = scoring.round_of(task)
        at = chain.rpc.block().timestamp
        return phase(story.params, registry.schedule_of(task), registry.state_of(task), round_, at)

    assert registry.params_of(task) == story.params
    assert now() == Phase.ENTRY_COMMIT
    story.enter()
    assert now() == Phase.SEED_REQUEST
    story.draw()
    assert now() == Phase.SCORE_COMMIT

    state, round_ = registry.state_of(task), scoring.round_of(task)
    assert state.revealed == entries
    assert round_.seeded
    for signer in story.scorers:
        drawn = seats(
            CHAIN_ID,
            scoring.address,
            task,
            0,
            round_.seed,
            signer.address,
            registry.earmark_of(task, signer.address),
            state.total_earmarked,
            story.params.target_seats,
        )
        assert scoring.seats_of(task, signer.address) == drawn

    story.score()
    assert now() == Phase.SETTLE  # all committed rows are revealed
    rows, expected = story.expected()
    round_ = scoring.round_of(task)
    assert round_.page_words == scores.page_words(round_.committed_rows)
    assert round_.revealed_seats == expected.revealed_seats
    accumulator = scores.EMPTY_ACCUMULATOR
    for row in rows:
        page = scores.page_hash(scores.pack(row.scores)[: round_.page_words])
        accumulator = scores.fold(accumulator, row.operator, row.seats, page)
    assert scoring.accumulator_of(task, 0) == accumulator

    assert story.finish() == expected
    assert now() == Phase.ENDED
    assert registry.outcome_of(task) == Outcome.PAID
    totals = scoring.totals_of(task)
    assert (totals.weights, totals.gain_seats, totals.spread) == (
        expected.total_weights,
        expected.gain_seats,
        expected.spread,
    )
    assert [scoring.page_root_of(task, i) for i in range(len(expected.pages))] == [p.root for p in expected.pages]
    assert [scoring.loss_of(task, i) for i in range(len(rows))] == expected.losses
    assert [scoring.gain_of(task, row.operator) for row in rows] == expected.gains

    check_payouts(story, expected, rows)
    check_events(story, expected)


def check_payouts(story: Scenario, expected: Settlement, rows: list[RevealedRow]) -> None:
    c, task, params = story.contracts, story.task, story.params
    fees = sum(payouts.entry_fee(params.entry_fee, n, params.max_entries) for n in range(story.entries))
    tips = 3 + len(expected.pages)  # requestSeed, fixSeed, finalise and each page
    bond = payouts.bond_left(params.bond, c.rewards.tip_amount(), tips)
    pools = payouts.split(
        Outcome.PAID, params.bounty, bond, fees, params.validator_bps, expected.total_weights, expected.gain_seats
    )
    entrants = [c.registry.entrant_of(task, lane) for lane in range(story.entries)]
    marks = {row.operator: (row.seats, gain) for row, gain in zip(rows, expected.gains, strict=True)}
    paid = payouts.payouts(pools, entrants, expected.weights, marks)

    escrow = c.rewards.escrow_of(task)
    assert (escrow.trainers_pool, escrow.validators_pool, escrow.flat) == (pools.trainers, pools.validators, pools.flat)
    assert c.rewards.owed_to(story.deployer.address) == pools.to_creator + pools.to_treasury + params.bond - bond
    for lane, operator in enumerate(entrants):
        assert c.rewards.entry_reward(task, expected.medians[lane]) == paid.entries[operator]
        call = c.rewards.claim_entry(task, lane, *story.entry_proof(expected, lane))
        _claim(story, operator, paid.entries[operator], call)
    for operator, amount in paid.scoring.items():
        assert c.rewards.scoring_reward(task, operator) == amount
        _claim(story, operator, amount, c.rewards.claim_scoring(task, operator))


def _claim(story: Scenario, operator: str, amount: int, call: Call) -> None:
    """What reaches the pool and its reward address is the amount; nothing to claim reverts and says so."""
    c, rpc = story.contracts, story.chain.rpc
    if amount == 0:
        with pytest.raises(ContractReverted) as caught:
            send(rpc, story.deployer, call)
        assert caught.value.name == "RewardsNothingToClaim"
        return
    before = c.token.balance_of(c.staking.address) + c.token.balance_of(operator)
    send(rpc, story.deployer, call)
    assert c.token.balance_of(c.staking.address) + c.token.balance_of(operator) - before == amount
    with pytest.raises(ContractReverted) as caught:
        send(rpc, story.deployer, call)
    assert caught.value.name == "RewardsAlreadyClaimed"


def check_events(story: Scenario, expected: Settlement) -> None:
    c, task = story.contracts, story.task
    reader = EventReader.of(c.deployment)
    logs = story.chain.rpc.logs(reader.addresses, c.deployment.start_block, story.chain.rpc.block_number())
    events = [e for e in reader.read_all(logs) if e.args.get("taskId") == task]
    by_name: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        by_name.setdefault(event.name, []).append(event.args)
    created = by_name["TaskCreated"][0]
    assert task_params(created) == story.params
    assert task_schedule(created) == c.registry.schedule_of(task)
    revealed = {args["operator"]: args for args in by_name["ScoresRevealed"]}
    assert {o: scores.unpack(args["words"], story.entries) for o, args in revealed.items()} == story.rows
    assert [args["index"] for args in by_name["ScoresRevealed"]] == list(range(len(revealed)))
    medians = [word for args in by_name["PageSettled"] for word in args["medians"]]
    assert scores.unpack(medians, story.entries) == expected.medians
    (settled,) = by_name["RoundSettled"]
    assert scores.unpack_losses(settled["losses"], len(revealed)) == expected.losses
    assert settled["totals"] == {
        "weights": expected.total_weights,
        "gainSeats": expected.gain_seats,
        "spread": expected.spread,
    }
    assert by_name["TaskEnded"][0]["outcome"] == Outcome.PAID


def test_entries_and_rows_read_back(chain: Chain, contracts: Contracts, deployer: LocalSigner) -> None:
    story = Scenario(chain, contracts, deployer, seed=5)
    task = story.post()
    nobody = contracts.registry.entry_of(task, deployer.address)
    assert not nobody.committed
    assert contracts.scoring.round_of(task).target == 0
    story.enter()
    entry = contracts.registry.entry_of(task, story.trainers[1].address)
    assert entry.committed
    assert entry.revealed
    assert entry.sequence == 1
    assert entry.commitment == stored_prefix(entry.commitment)
    assert contracts.registry.entrant_of(task, entry.lane) == story.trainers[1].address
    assert entry.fee == contracts.registry.entry_fee_at(task, 1)
    story.draw()
    story.score()
    row = contracts.scoring.row_of(task, next(iter(story.rows)))
    assert row.status == RowStatus.REVEALED
