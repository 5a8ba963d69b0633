"""Print a task's parameters, its progress, and the time until its current phase ends.

python examples/read_task.py RPC_URL DEPLOYMENT TASK
"""

from __future__ import annotations

import sys

from covey import client


def main(rpc_url: str, deployment: str, task_id: int) -> int:
    with client.connect(rpc_url, deployment) as network:
        try:
            task = network.task(task_id)
        except client.UnknownTask as error:
            print(error, file=sys.stderr)
            return 2
        now = network.now()

    params, state = task.params, task.state
    print(f"task {task.id} by {state.creator}: {task.phase.value}")
    print(f"bounty {client.cvy(params.bounty)}, {params.validator_bps / 100:g}% of it for validators")
    print(f"entries: {state.committed} committed, {state.revealed} revealed, at most {params.max_entries}")
    print(f"stake behind it: {client.cvy(state.total_earmarked)}, at least {client.cvy(params.min_stake)} needed")
    if not task.running:
        print(f"outcome: {state.outcome.name.lower()}")
    elif task.deadline is not None:
        print(f"this phase ends in {max(0, task.deadline - now)} s of chain time")
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    try:
        sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
    except client.ClientError as error:
        sys.exit(str(error))
