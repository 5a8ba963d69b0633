"""Recompute the trainers' rewards of a paid task from its events, and compare them with the payments on chain.

The rules are `covey.protocol`: pure functions on integers, the same as in the contracts. Appeals can replace medians
after the settlement; `network.verify_payout` covers them too, and every other figure.

    python examples/verify_payout.py RPC_URL DEPLOYMENT TASK
"""

from __future__ import annotations

import sys

from covey import client
from covey.audit.record import TaskRecord, gather
from covey.protocol import payouts, scores, settlement
from covey.protocol.types import Outcome


def settle(task: TaskRecord) -> settlement.Settlement:
    """Compute medians, weights, losses and gains from the revealed rows."""
    round_, _ = task.settled_round()
    params = task.params
    rules = settlement.Rules(
        h=int(params["h"]), tau=int(params["tau"]), floor=int(params["floorScore"]), power=int(params["power"])
    )
    rows = [
        settlement.RevealedRow(row["operator"], int(row["seats"]), scores.unpack(row["words"], len(task.revealed)))
        for row in round_.revealed
    ]
    return settlement.settle(rows, rules, scores.page_words(len(round_.committed)), round_.number)


def rewards(task: TaskRecord, settled: settlement.Settlement) -> list[int]:
    """Split the escrow, and return each entry's share of the trainers' pool by lane, wei."""
    fees = sum(int(entry["fee"]) for entry in task.committed)
    bond = int(task.params["bond"]) - sum(int(tip["amount"]) for tip in task.tips)
    pools = payouts.split(
        Outcome.PAID, int(task.params["bounty"]), bond, fees, int(task.params["validatorBps"]),
        settled.total_weights, settled.gain_seats,
    )  # fmt: skip
    return [payouts.entry_reward(pools.trainers, weight, settled.total_weights) for weight in settled.weights]


def main(rpc_url: str, deployment: str, task_id: int) -> int:
    with client.connect(rpc_url, deployment) as network:
        task = gather(network.events())[task_id]
        report = network.verify_payout(task_id)

    settled = settle(task)
    paid = {int(claim["lane"]): int(claim["amount"]) for claim, _ in task.entry_claims}
    wrong = 0
    for lane, (entry, reward) in enumerate(zip(task.revealed, rewards(task, settled), strict=True)):
        state = "not claimed" if lane not in paid else "as paid" if paid[lane] == reward else "DIFFERS"
        wrong += state == "DIFFERS"
        print(f"{entry['operator']}  median {settled.medians[lane]:>5}  {client.cvy(reward)}  {state}")
    print(f"{report.checked} figures of task {task_id} compared, {len(report.differences)} differ")
    return 1 if wrong or not report.matches else 0


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    try:
        sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
    except client.ClientError as error:
        sys.exit(str(error))
