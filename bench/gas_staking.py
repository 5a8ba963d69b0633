"""The staking part of bench/gas.py: the same steps on our pools and on the plain pools."""

from __future__ import annotations

from collections.abc import Sequence

from gas_chain import CVY, Account, BenchChain, Contract, Cost

DAY = 86_400
AMOUNT = 100 * CVY

Costs = dict[str, list[Cost]]


def funded(chain: BenchChain, name: str, spender: Contract) -> Account:
    """A new delegator with tokens and an allowance for `spender`."""
    account = chain.account(name)
    token = chain.ours["CoveyToken"]
    chain.send(chain.deployer, token, "transfer", account.address, 4 * AMOUNT)
    chain.send(account, token, "approve", spender.address, 2**256 - 1)
    return account


def warm(chain: BenchChain, staking: Contract, operator: Account) -> None:
    """Add other delegators to both sides of the pool."""
    ours = staking is chain.ours["Staking"]
    for index in range(3):
        other = funded(chain, f"other {index} of {staking.address}", staking)
        chain.send(other, staking, "delegate", operator.address, AMOUNT, *([0] if ours else []))
        chain.later(3_600)
        chain.send(other, staking, "undelegate", operator.address, AMOUNT // 2, *([0] if ours else []))
        chain.later(3_600)


def paths(chain: BenchChain, staking: Contract, operator: Account) -> Costs:
    """Four new delegators enter and leave, in quanta of Staking's history with and without an earlier change.

    Two of them delegate and undelegate a second time: the "repeat" steps.
    """
    ours = staking is chain.ours["Staking"]
    rest = [0] if ours else []
    costs: Costs = {
        name: [] for name in ("delegate", "delegate, repeat", "undelegate", "undelegate, repeat", "withdraw")
    }
    for index in range(4):
        owner = funded(chain, f"delegator {index} of {staking.address}", staking)
        chain.later(3_600)
        costs["delegate"].append(chain.send(owner, staking, "delegate", operator.address, AMOUNT, *rest))
        if index % 2:
            chain.later(3_600)
            costs["delegate, repeat"].append(chain.send(owner, staking, "delegate", operator.address, AMOUNT, *rest))
        chain.later(3_600)
        out = AMOUNT // 4 if index % 2 else shares_of(staking, operator, owner)
        costs["undelegate"].append(chain.send(owner, staking, "undelegate", operator.address, out, *rest))
        if index % 2:
            chain.later(3_600)
            costs["undelegate, repeat"].append(chain.send(owner, staking, "undelegate", operator.address, out, *rest))
        chain.later(2 * DAY + 1)
        arguments = [operator.address, owner.address, 0] if ours else [operator.address, 0]
        costs["withdraw"].append(chain.send(owner, staking, "withdraw", *arguments))
    return costs


def shares_of(staking: Contract, operator: Account, delegator: Account) -> int:
    if staking is staking.chain.ours["Staking"]:
        return int(staking.call("sharesOf", operator.address, delegator.address))
    return int(staking.call("delegations", operator.address, delegator.address)[0])


def measure_staking(chain: BenchChain, validators: Sequence[Account]) -> Costs:
    """Measure our pools."""
    staking, operator = chain.ours["Staking"], validators[10]
    warm(chain, staking, operator)
    costs = paths(chain, staking, operator)
    # Calls of a duty contract, from an account that governance admits as one.
    duty = chain.account("duty")
    chain.send(chain.deployer, staking, "setDuty", duty.address, True)
    costs["slash"] = []
    slashed = validators[11]
    warm(chain, staking, slashed)
    past = int(chain.rpc("eth_getBlockByNumber", "latest", False)["timestamp"], 16) - 1
    chain.send(duty, staking, "earmark", slashed.address, 100 * CVY, past)
    for _ in range(4):
        chain.later(3_600)
        state = staking.call("poolOf", slashed.address)
        gen, net = state[-3], state[-1]
        order = (slashed.address, 10 * CVY, CVY, gen, net, "0x" + "00" * 20, False, False, False)
        costs["slash"].append(chain.send(duty, staking, "slash", order))
    costs["slash"] = costs["slash"][1:]  # the first writes the treasury's credit from zero
    return costs


def measure_plain_staking(chain: BenchChain, validators: Sequence[Account]) -> tuple[Contract, Costs]:
    """Measure the plain pools, with the same operators."""
    token = chain.ours["CoveyToken"]
    staking = chain.deploy("PlainStaking", token.address, 2 * DAY)
    bond = 1_000 * CVY
    chain.send_many([(chain.deployer, token, "transfer", (v.address, bond)) for v in validators])
    chain.send_many([(v, token, "approve", (staking.address, bond)) for v in validators])
    chain.send_many([(v, staking, "register", (v.address, 1_000)) for v in validators])
    chain.send_many([(v, staking, "delegate", (v.address, bond)) for v in validators])
    operator = validators[10]
    warm(chain, staking, operator)
    costs = paths(chain, staking, operator)
    duty = chain.account("duty")
    chain.send(chain.deployer, staking, "setDuty", duty.address, True)
    chain.send(chain.deployer, token, "transfer", duty.address, 1_000 * CVY)
    chain.send(duty, token, "approve", staking.address, 2**256 - 1)
    treasury = chain.account("treasury")
    costs["slash"] = []
    for _ in range(4):
        chain.later(3_600)
        costs["slash"].append(chain.send(duty, staking, "slash", operator.address, CVY, treasury.address))
    costs["slash"] = costs["slash"][1:]
    # A delegator's own claim. Our pools need none: their rewards raise the price of a share.
    others = [funded(chain, f"claimer {index}", staking) for index in range(3)]
    for other in others:
        chain.send(other, staking, "delegate", operator.address, AMOUNT)
    costs["claim by a delegator"] = []
    for _ in range(2):
        chain.send(duty, staking, "addReward", operator.address, 10 * CVY)
        costs["claim by a delegator"] += [chain.send(other, staking, "claim", operator.address) for other in others]
    costs["claim by a delegator"] = costs["claim by a delegator"][:3]
    return staking, costs
