"""A complete task: contracts, `covey.protocol` and events agree on every number."""

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
def test_complete_task_matches_the_protocol(
    chain: Chain, contracts: Contracts, deployer: LocalSigner, seed: int, entries: int, validators: int
) -> None:
    scenario = Scenario(chain, contracts, deployer, seed, entries, validators)
    c, task = contracts, scenario.post()
    registry, scoring = c.registry, c.scoring

    def now() -> Phase:
        round_ = scoring.round_of(task)
        at = chain.rpc.block().timestamp
        return phase(scenario.params, registry.schedule_of(task), registry.state_of(task), round_, at)

    assert registry.params_of(task) == scenario.params
    assert now() == Phase.ENTRY_COMMIT
    scenario.enter()
    assert now() == Phase.SEED_REQUEST
    scenario.draw()
    assert now() == Phase.SCORE_COMMIT

    state, round_ = registry.state_of(task), scoring.round_of(task)
    assert state.revealed == entries
    assert round_.seeded
    for signer in scenario.scorers:
        drawn = seats(
            CHAIN_ID,
            scoring.address,
            task,
            0,
            round_.seed,
            signer.address,
            registry.earmark_of(task, signer.address),
            state.total_earmarked,
            scenario.params.target_seats,
        )
        assert scoring.seats_of(task, signer.address) == drawn

    scenario.score()
    assert now() == Phase.SETTLE  # all committed rows are revealed
    rows, expected = scenario.expected()
    round_ = scoring.round_of(task)
    assert round_.page_words == scores.page_words(round_.committed_rows)
    assert round_.revealed_seats == expected.revealed_seats
    accumulator = scores.EMPTY_ACCUMULATOR
    for row in rows:
        page = scores.page_hash(scores.pack(row.scores)[: round_.page_words])
        accumulator = scores.fold(accumulator, row.operator, row.seats, page)
    assert scoring.accumulator_of(task, 0) == accumulator

    assert scenario.finish() == expected
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

    check_payouts(scenario, expected, rows)
    check_events(scenario, expected)


def check_payouts(scenario: Scenario, expected: Settlement, rows: list[RevealedRow]) -> None:
    c, task, params = scenario.contracts, scenario.task, scenario.params
    fees = sum(payouts.entry_fee(params.entry_fee, n, params.max_entries) for n in range(scenario.entries))
    tips = 3 + len(expected.pages)  # requestSeed, fixSeed, finalise and each page
    bond = payouts.bond_left(params.bond, c.rewards.tip_amount(), tips)
    pools = payouts.split(
        Outcome.PAID, params.bounty, bond, fees, params.validator_bps, expected.total_weights, expected.gain_seats
    )
    entrants = [c.registry.entrant_of(task, lane) for lane in range(scenario.entries)]
    marks = {row.operator: (row.seats, gain) for row, gain in zip(rows, expected.gains, strict=True)}
    paid = payouts.payouts(pools, entrants, expected.weights, marks)

    escrow = c.rewards.escrow_of(task)
    assert (escrow.trainers_pool, escrow.validators_pool, escrow.flat) == (pools.trainers, pools.validators, pools.flat)
    assert c.rewards.owed_to(scenario.deployer.address) == pools.to_creator + pools.to_treasury + params.bond - bond
    for lane, operator in enumerate(entrants):
        assert c.rewards.entry_reward(task, expected.medians[lane]) == paid.entries[operator]
        call = c.rewards.claim_entry(task, lane, *scenario.entry_proof(expected, lane))
        _claim(scenario, operator, paid.entries[operator], call)
    for operator, amount in paid.scoring.items():
        assert c.rewards.scoring_reward(task, operator) == amount
        _claim(scenario, operator, amount, c.rewards.claim_scoring(task, operator))


def _claim(scenario: Scenario, operator: str, amount: int, call: Call) -> None:
    """Claim a reward and check the amount received; a claim of nothing and a second claim revert."""
    c, rpc = scenario.contracts, scenario.chain.rpc
    if amount == 0:
        with pytest.raises(ContractReverted) as caught:
            send(rpc, scenario.deployer, call)
        assert caught.value.name == "RewardsNothingToClaim"
        return
    before = c.token.balance_of(c.staking.address) + c.token.balance_of(operator)
    send(rpc, scenario.deployer, call)
    assert c.token.balance_of(c.staking.address) + c.token.balance_of(operator) - before == amount
    with pytest.raises(ContractReverted) as caught:
        send(rpc, scenario.deployer, call)
    assert caught.value.name == "RewardsAlreadyClaimed"


def check_events(scenario: Scenario, expected: Settlement) -> None:
    c, task = scenario.contracts, scenario.task
    reader = EventReader.of(c.deployment)
    logs = scenario.chain.rpc.logs(reader.addresses, c.deployment.start_block, scenario.chain.rpc.block_number())
    events = [e for e in reader.read_all(logs) if e.args.get("taskId") == task]
    by_name: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        by_name.setdefault(event.name, []).append(event.args)
    created = by_name["TaskCreated"][0]
    assert task_params(created) == scenario.params
    assert task_schedule(created) == c.registry.schedule_of(task)
    revealed = {args["operator"]: args for args in by_name["ScoresRevealed"]}
    assert {o: scores.unpack(args["words"], scenario.entries) for o, args in revealed.items()} == scenario.rows
    assert [args["index"] for args in by_name["ScoresRevealed"]] == list(range(len(revealed)))
    medians = [word for args in by_name["PageSettled"] for word in args["medians"]]
    assert scores.unpack(medians, scenario.entries) == expected.medians
    (settled,) = by_name["RoundSettled"]
    assert scores.unpack_losses(settled["losses"], len(revealed)) == expected.losses
    assert settled["totals"] == {
        "weights": expected.total_weights,
        "gainSeats": expected.gain_seats,
        "spread": expected.spread,
        "scored": True,
    }
    assert by_name["TaskEnded"][0]["outcome"] == Outcome.PAID


def test_entries_and_rows_are_read_back(chain: Chain, contracts: Contracts, deployer: LocalSigner) -> None:
    scenario = Scenario(chain, contracts, deployer, seed=5)
    task = scenario.post()
    no_entry = contracts.registry.entry_of(task, deployer.address)
    assert not no_entry.committed
    assert contracts.scoring.round_of(task).target == 0
    scenario.enter()
    entry = contracts.registry.entry_of(task, scenario.trainers[1].address)
    assert entry.committed
    assert entry.revealed
    assert entry.sequence == 1
    assert entry.commitment == stored_prefix(entry.commitment)
    assert contracts.registry.entrant_of(task, entry.lane) == scenario.trainers[1].address
    assert entry.fee == contracts.registry.entry_fee_at(task, 1)
    scenario.draw()
    scenario.score()
    row = contracts.scoring.row_of(task, next(iter(scenario.rows)))
    assert row.status == RowStatus.REVEALED
