"""The staking part of bench/gas.py: the same steps on our pools and on the plain ones."""

from __future__ import annotations

from collections.abc import Sequence

from gas_chain import CVY, Account, BenchChain, Contract, Cost

DAY = 86_400
AMOUNT = 100 * CVY

Costs = dict[str, list[Cost]]


def funded(chain: BenchChain, name: str, spender: Contract) -> Account:
    """A delegator that has never been seen, with an allowance for `spender`."""
    account = chain.account(name)
    token = chain.ours["CoveyToken"]
    chain.send(chain.deployer, token, "transfer", account.address, 4 * AMOUNT)
    chain.send(account, token, "approve", spender.address, 2**256 - 1)
    return account


def warm(chain: BenchChain, staking: Contract, operator: Account) -> None:
    """Others are in the pool, on both sides."""
    ours = staking is chain.ours["Staking"]
    for index in range(3):
        other = funded(chain, f"other {index} of {staking.address}", staking)
        chain.send(other, staking, "delegate", operator.address, AMOUNT, *([0] if ours else []))
        chain.later(3_600)
        chain.send(other, staking, "undelegate", operator.address, AMOUNT // 2, *([0] if ours else []))
        chain.later(3_600)


def paths(chain: BenchChain, staking: Contract, operator: Account) -> Costs:
    """Four new delegators in and out: each step with a pool checkpoint that opens a slot, and with one that fills it.

    Two of them delegate and undelegate a second time, which is the "repeat" of both.
    """
    ours = staking is chain.ours["Staking"]
    rest = [0] if ours else []
    costs: Costs = {
        name: [] for name in ("delegate", "delegate, repeat", "undelegate", "undelegate, repeat", "withdraw")
    }
    for index in range(4):
        one = funded(chain, f"delegator {index} of {staking.address}", staking)
        if index == 2:  # one checkpoint more: the steps that opened a slot fill one now
            other = funded(chain, f"between, of {staking.address}", staking)
            chain.send(other, staking, "delegate", operator.address, AMOUNT, *rest)
        chain.later(3_600)
        costs["delegate"].append(chain.send(one, staking, "delegate", operator.address, AMOUNT, *rest))
        if index % 2:
            chain.later(3_600)
            costs["delegate, repeat"].append(chain.send(one, staking, "delegate", operator.address, AMOUNT, *rest))
        chain.later(3_600)
        out = AMOUNT // 4 if index % 2 else shares_of(staking, operator, one)
        costs["undelegate"].append(chain.send(one, staking, "undelegate", operator.address, out, *rest))
        first = staking_entry(chain, staking)
        if index % 2:
            chain.later(3_600)
            costs["undelegate, repeat"].append(chain.send(one, staking, "undelegate", operator.address, out, *rest))
        chain.later(2 * DAY + 1)
        arguments = [first] if ours else [operator.address, 0]
        costs["withdraw"].append(chain.send(one, staking, "withdraw", *arguments))
    return costs


def shares_of(staking: Contract, operator: Account, delegator: Account) -> int:
    if staking is staking.chain.ours["Staking"]:
        return int(staking.call("sharesOf", operator.address, delegator.address))
    return int(staking.call("delegations", operator.address, delegator.address)[0])


def staking_entry(chain: BenchChain, staking: Contract) -> int:
    """Our last unbonding entry: its id is the last topic of the newest event."""
    if staking is not chain.ours["Staking"]:
        return 0
    logs = chain.rpc("eth_getLogs", {"address": staking.address, "fromBlock": "latest", "toBlock": "latest"})
    return int(logs[-1]["topics"][3], 16)


def measure_staking(chain: BenchChain, validators: Sequence[Account]) -> Costs:
    """Our pools."""
    staking, operator = chain.ours["Staking"], validators[10]
    warm(chain, staking, operator)
    costs = paths(chain, staking, operator)
    # A duty contract's calls, from an account that governance has admitted for it.
    duty = chain.account("duty")
    chain.send(chain.deployer, staking, "setDuty", duty.address, True)
    costs["slash"] = []
    one = validators[11]
    warm(chain, staking, one)
    past = int(chain.rpc("eth_getBlockByNumber", "latest", False)["timestamp"], 16) - 1
    chain.send(duty, staking, "earmark", one.address, 100 * CVY, past)
    for _ in range(4):
        chain.later(3_600)
        arguments = (one.address, 10 * CVY, CVY, "0x" + "00" * 20, False)
        costs["slash"].append(chain.send(duty, staking, "slash", *arguments))
    costs["slash"] = costs["slash"][1:]  # the first finds the treasury's credit at zero
    return costs


def measure_plain_staking(chain: BenchChain, validators: Sequence[Account]) -> tuple[Contract, Costs]:
    """The plain pools, of the same operators."""
    token = chain.ours["CoveyToken"]
    staking = chain.deploy("PlainStaking", token.address, 2 * DAY)
    bond = 1_000 * CVY
    chain.send_many([(chain.deployer, token, "transfer", (one.address, bond)) for one in validators])
    chain.send_many([(one, token, "approve", (staking.address, bond)) for one in validators])
    chain.send_many([(one, staking, "register", (one.address, 1_000)) for one in validators])
    chain.send_many([(one, staking, "delegate", (one.address, bond)) for one in validators])
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
    # A delegator's own claim, which our pools do without: there rewards are in the price of a share.
    others = [funded(chain, f"claimer {index}", staking) for index in range(3)]
    for one in others:
        chain.send(one, staking, "delegate", operator.address, AMOUNT)
    costs["claim by a delegator"] = []
    for _ in range(2):
        chain.send(duty, staking, "addReward", operator.address, 10 * CVY)
        costs["claim by a delegator"] += [chain.send(one, staking, "claim", operator.address) for one in others]
    costs["claim by a delegator"] = costs["claim by a delegator"][:3]
    return staking, costs
