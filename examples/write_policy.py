"""Run a node with a custom policy: it declines tasks that pay too little for each entry.

The settings under `policy` cover domains, bases, fees and windows. Everything else is a `Strategy`: a method returns
why to decline a task, or None to take part. The node logs the reason.

    python examples/write_policy.py RPC_URL DEPLOYMENT     # print the decision for every task
    python examples/write_policy.py covey.toml             # run a node with the policy
"""

from __future__ import annotations

import sys
from pathlib import Path

from covey import client
from covey.config.node import NodeConfig
from covey.daemon.run import run
from covey.daemon.strategy import Strategy
from covey.protocol.spec import TaskSpec
from covey.protocol.types import TaskParams

MIN_PAY = 100 * client.CVY
"""Minimum share of the trainers' part of the bounty for each possible entry, wei."""


def pays_too_little(params: TaskParams) -> str | None:
    """Why a task is not worth an entry; None if it is."""
    trainers = params.bounty * (10_000 - params.validator_bps) // 10_000
    pay = trainers // params.max_entries
    if pay < MIN_PAY:
        return f"pays {client.cvy(pay)} per possible entry, less than {client.cvy(MIN_PAY)}"
    return None


class MinimumPay(Strategy):
    """Declines tasks that pay too little for each entry; trains and scores honestly."""

    def decline(self, spec: TaskSpec, params: TaskParams) -> str | None:
        """See `Strategy.decline`."""
        return pays_too_little(params)


def main(*arguments: str) -> int:
    if len(arguments) == 1:
        return run(NodeConfig.load(file=Path(arguments[0])), strategy=MinimumPay())
    rpc_url, deployment = arguments
    with client.connect(rpc_url, deployment) as network:
        for task in network.tasks():
            print(f"task {task.id}: {pays_too_little(task.params) or 'take part'}")
    return 0


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    try:
        sys.exit(main(*sys.argv[1:]))
    except client.ClientError as error:
        sys.exit(str(error))
