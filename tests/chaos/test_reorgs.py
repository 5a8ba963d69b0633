"""The chain is reorganised in every phase of a task, up to 64 blocks deep: nothing is lost, done twice, or slashed.

Once by nodes that wait for more confirmations than any reorganisation is deep, and act on the head in the last third of
a window; once by nodes that wait for three, so that what they took for final is undone again and again.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.chaos.fork_pool import ForkPool, fork_pool
from tests.support.chaos.outcome_counts import OutcomeCounts, count
from tests.support.chaos.reorg import (
    DEEPEST,
    WINDOWS,
    Reorgs,
    check_audit,
    check_journal,
    forgets,
    lay_down,
    long_network,
    settle_down,
)
from tests.support.chaos.scenario import Scenario

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


@pytest.fixture
def flock(tmp_path: Path) -> Iterator[ForkPool]:
    with fork_pool(tmp_path) as one:
        yield one


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("confirmations", [DEEP, SHALLOW], ids=["deeper than any", "three confirmations"])
def test_the_chain_is_reorganised_in_every_phase(
    tmp_path: Path, flock: ForkPool, tally: OutcomeCounts, long: bool, confirmations: int, seed: int
) -> None:
    """On a chain of its own for each seed: an anvil that took back a thousand blocks has lost parts of its state."""
    if seed and not long:
        pytest.skip("part of the long form: COVEY_LONG=1")
    depths = _ALL if long else _FEW_DEEP if confirmations == DEEP else _FEW_SHALLOW
    with long_network(tmp_path, flock) as net:
        told = {"confirmations": confirmations, "poll_interval_seconds": 0.4}
        trainers = [net.add("trainer", **told) for _ in range(2)]
        validators = [net.add("validator", **told, **{"policy.earmark": "1500 CVY"}) for _ in range(3)]
        passer_by = net.local.account("passer-by")
        lay_down(net)
        forgets(net, passer_by.signer)
        reorgs = Reorgs(net, depths, seed)
        story = Scenario(net, trainers, validators, on_look=reorgs)
        net.start()
        task = story.run(windows=WINDOWS)
        print(*reorgs.told, f"{len(reorgs.seeds)} seeds, {len(reorgs.seatings)} seatings", sep="\n")
        assert task.outcome == Outcome.PAID
        assert reorgs.left == {phase: [] for phase in depths}, reorgs.told
        assert sum(reorgs.undone.values()) > 0, "nothing was undone: nothing was shown"
        settle_down(net, story, confirmations)
        counted = count(story)
        tally.add(counted.tally)
        for node in net.nodes:
            assert node.stop() == 0, net.told()
        final = [check_journal(net, node, story) for node in net.nodes]
        assert all(final), final
        check_audit(net)
        counted.check()
