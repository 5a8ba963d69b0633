"""Prints the tables of bench/gas.py, and builds its JSON object."""

from __future__ import annotations

from gas_chain import Cost

Costs = dict[str, list[Cost]]

ANCHORS: dict[str, list[tuple[str, int]]] = {
    "delegate": [("Graph Horizon delegate", 86_438), ("EigenLayer deposit + delegateTo", 276_031),
                 ("Livepeer bond", 421_908), ("Synthetix stake, no unbonding", 120_636)],
    "delegate, repeat": [("Graph Horizon delegate", 69_338), ("EigenLayer deposit", 95_641),
                         ("Livepeer bond", 246_330), ("Synthetix stake, no unbonding", 89_281)],
    "undelegate": [("Graph Horizon undelegate", 201_114), ("EigenLayer queueWithdrawals", 415_626),
                   ("Livepeer unbond", 400_491), ("Synthetix withdraw, no unbonding", 101_684)],
    "undelegate, repeat": [("Graph Horizon undelegate", 149_992), ("EigenLayer queueWithdrawals", 386_952),
                           ("Livepeer unbond", 260_409), ("Synthetix withdraw, no unbonding", 84_584)],
    "withdraw": [("Graph Horizon withdrawDelegated", 81_941), ("EigenLayer completeWithdrawal", 138_164),
                 ("Livepeer withdrawStake", 82_048)],
    "whole path": [("Graph Horizon", 369_493), ("EigenLayer", 790_428), ("Livepeer", 904_447),
                   ("Synthetix, no unbonding", 315_346)],
    "slash": [("Graph Horizon slash", 79_445), ("EigenLayer slashOperator, repeat", 285_655)],
    "revealScores, 256 entries": [("a prototype that stores them; execution", 533_000)],
}  # fmt: skip
"""Transactions of other networks' contracts, receipt gas measured under the same chain rules. Graph has no checkpoints
of a pool's stake; ours take a new slot every second time."""


def most(costs: Costs, name: str) -> Cost:
    """The highest gas among an operation's transactions."""
    return Cost(max(cost.total for cost in costs[name]), max(cost.execution for cost in costs[name]))


def mean(costs: Costs, name: str) -> Cost:
    count = len(costs[name])
    return Cost(sum(c.total for c in costs[name]) // count, sum(c.execution for c in costs[name]) // count)


def summed(costs: Costs, *names: str) -> Cost:
    every = [cost for name in names for cost in costs[name]]
    return Cost(sum(cost.total for cost in every), sum(cost.execution for cost in every))


def line(name: str, *cells: object) -> str:
    return f"{name:<44}" + "".join(f"{cell:>14,}" if isinstance(cell, int) else f"{cell:>14}" for cell in cells)


def report(ours: Costs, plain: Costs, scores: int) -> dict[str, float]:
    """Print the tables and return the figures."""
    print(line("one transaction, highest of its kind", "receipt", "execution", "plain receipt", "plain exec."))
    order = ["delegate", "delegate, repeat", "undelegate", "undelegate, repeat", "withdraw", "slash"]
    order += ["claimScoring", "claim by a delegator", "commitScores", "revealScores, 256 entries", "revealScores"]
    order += ["createTask", "commitEntry", "enrol", "revealEntry", "requestSeed", "fixSeed"]
    for name in order:
        cells: list[object] = []
        for costs in (ours, plain):
            cells += [most(costs, name).total, most(costs, name).execution] if name in costs else ["-", "-"]
        print(line(name, *cells))
    page, parts = summed(ours, "settlePage"), summed(plain, "settle")
    count = len(plain["settle"])
    print(line("settling 1,024 x 51 scores", page.total, page.execution, parts.total, parts.execution))
    stored, plainly = summed(ours, "revealScores", "settlePage"), summed(plain, "revealScores", "settle")
    print(line("the same including its 51 reveals", stored.total, stored.execution, plainly.total, plainly.execution))
    print(f"The plain settlement is the sum of {count} transactions of at most 16.7 million gas: "
          f"{parts.total / 1e6:.1f} million fit no block.")  # fmt: skip
    against_anchors(ours)
    figures: dict[str, float] = {}
    for suffix, costs, settled in (("", ours, page), ("_plain", plain, parts)):
        figures |= {
            f"settle_1024x51_total_gas{suffix}": settled.total,
            f"settle_1024x51_exec_gas{suffix}": settled.execution,
            f"settle_gas_per_score{suffix}": round(settled.total / scores, 1),
            f"scores_1024x51_with_reveals_gas{suffix}": (stored if not suffix else plainly).total,
            f"reveal_256_exec_gas{suffix}": most(costs, "revealScores, 256 entries").execution,
            f"reveal_256_exec_gas_later{suffix}": costs["revealScores, 256 entries"][-1].execution,
            f"delegate{suffix}": most(costs, "delegate").total,
            f"undelegate{suffix}": most(costs, "undelegate").total,
            f"withdraw{suffix}": most(costs, "withdraw").total,
            f"new_delegator_path{suffix}": sum(most(costs, n).total for n in ("delegate", "undelegate", "withdraw")),
            f"claim{suffix}": most(costs, "claimScoring").total,
            f"slash{suffix}": most(costs, "slash").total,
        }
    figures["claim_by_each_delegator"] = 0
    figures["claim_by_each_delegator_plain"] = most(plain, "claim by a delegator").total
    figures["settle_transactions_plain"] = count
    return figures


def against_anchors(ours: Costs) -> None:
    """Print our figures beside other networks' for the same work, and mark those above."""
    print()
    heads = line("", "ours, most", "ours, mean", "theirs", "")[44:]
    print(f"{'receipts compared with other contracts':<66}" + heads)
    path = ("delegate", "undelegate", "withdraw")
    whole = {
        "whole path": [Cost(sum(most(ours, n).total for n in path), 0), Cost(sum(mean(ours, n).total for n in path), 0)]
    }
    for name, others in ANCHORS.items():
        top, middle = whole[name] if name in whole else [most(ours, name), mean(ours, name)]
        if name.startswith("revealScores"):
            top, middle = Cost(top.execution, 0), Cost(middle.execution, 0)
        for other, gas in others:
            verdict = "below" if top.total <= gas else "below in mean" if middle.total <= gas else "ABOVE"
            print(f"{name + ' | ' + other:<66}" + line("", top.total, middle.total, gas, verdict)[44:])
