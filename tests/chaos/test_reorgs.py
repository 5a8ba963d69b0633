"""The chain is reorganised in every phase of a task, up to 64 blocks deep: no duty is lost or repeated, none slashed.

One variant runs nodes that wait for more confirmations than any reorganisation is deep, and act on the head in the last
third of a window. The other runs nodes that wait for three confirmations: what they took for final is removed again
and again.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.chaos.outcome_counts import OutcomeCounts, count_outcomes
from tests.support.chaos.reorg import (
    DEEPEST,
    WINDOWS,
    Reorgs,
    bury,
    check_audit,
    check_journal,
    check_reorg_drops_transactions,
    wait_until_final,
)
from tests.support.chaos.scenario import Scenario
from tests.support.network import Shared, network
from tests.support.prepared_chain import PreparedChain

from covey.protocol.types import Outcome
from covey.protocol.windows import Phase

pytestmark = [pytest.mark.daemon, pytest.mark.slow, pytest.mark.timeout(3600)]

PHASES = (
    Phase.ENTRY_COMMIT,
    Phase.ENROL,
    Phase.ENTRY_REVEAL,
    Phase.SEED_REQUEST,
    Phase.SEED_FIX,
    Phase.SCORE_COMMIT,
    Phase.SCORE_REVEAL,
    Phase.SETTLE,
    Phase.FINALISE,
    Phase.ENDED,
)
DEEP = DEEPEST + 4
SHALLOW = 3

_ALL = {
    phase: [1, 5, DEEPEST, 2, 16] if phase in (Phase.ENTRY_COMMIT, Phase.ENDED) else [16, DEEPEST] for phase in PHASES
}
_FEW_DEEP = {Phase.ENROL: [5], Phase.SEED_FIX: [2], Phase.SCORE_COMMIT: [DEEPEST], Phase.ENDED: [16]}
_FEW_SHALLOW = {
    Phase.ENTRY_COMMIT: [16],
    Phase.ENTRY_REVEAL: [5],
    Phase.SCORE_COMMIT: [DEEPEST],
    Phase.SETTLE: [16],
    Phase.ENDED: [1, DEEPEST],
}


@pytest.mark.parametrize(
    ("confirmations", "depths", "seed"),
    [
        pytest.param(DEEP, _FEW_DEEP, 0, marks=[pytest.mark.long, pytest.mark.ci], id="deeper than any, some phases"),
        pytest.param(SHALLOW, _FEW_SHALLOW, 0, id="three confirmations, some phases"),
        *(
            pytest.param(confirmations, _ALL, seed, marks=pytest.mark.long, id=f"{name}, all phases, seed {seed}")
            for confirmations, name in ((DEEP, "deeper than any"), (SHALLOW, "three confirmations"))
            for seed in range(3)
        ),
    ],
)
def test_the_chain_is_reorganised_in_every_phase(
    tmp_path: Path,
    shared: Shared,
    prepared_chain: Callable[[bool], PreparedChain],
    outcome_counts: OutcomeCounts,
    confirmations: int,
    depths: dict[Phase, list[int]],
    seed: int,
) -> None:
    """Each seed has its own chain: an anvil that removed a thousand blocks has lost parts of its state."""
    with network(tmp_path, Shared(shared.executor, shared.launch, prepared_chain(True))) as net:
        settings = {"confirmations": confirmations, "poll_interval_seconds": 0.4}
        trainers = [net.add("trainer", **settings) for _ in range(2)]
        validators = [net.add("validator", **settings, **{"policy.earmark": "1500 CVY"}) for _ in range(3)]
        bystander = net.local.account("bystander")
        bury(net)
        check_reorg_drops_transactions(net, bystander.signer)
        reorgs = Reorgs(net, depths, seed)
        scenario = Scenario(net, trainers, validators, on_poll=reorgs)
        net.start()
        task = scenario.run(windows=WINDOWS)
        print(*reorgs.log, f"{len(reorgs.seeds)} seeds, {len(reorgs.seatings)} seatings", sep="\n")
        assert task.outcome == Outcome.PAID
        assert reorgs.left == {phase: [] for phase in depths}, reorgs.log
        assert sum(reorgs.undone.values()) > 0, "no transaction was removed: the test proves nothing"
        wait_until_final(net, scenario, confirmations)
        outcomes = count_outcomes(scenario)
        outcome_counts.add(outcomes.counts)
        for node in net.nodes:
            assert node.stop() == 0, net.logs()
        completed = [check_journal(net, node, scenario) for node in net.nodes]
        assert all(completed), completed
        check_audit(net)
        outcomes.check()
