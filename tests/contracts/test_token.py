"""CoveyToken: permit, minting within the maximum, burning."""

from __future__ import annotations

from typing import Any

import ape
import pytest
from eth_account.messages import encode_typed_data
from tests.support.contracts.system import CVY, DAY, SUPPLY, System

MAX_SUPPLY = 300_000_000 * CVY


def permit(token: Any, owner: Any, spender: Any, value: int, deadline: int, chain_id: int) -> tuple[int, bytes, bytes]:
    """Return the owner's ERC-2612 signature as (v, r, s)."""
    fields = [("owner", "address"), ("spender", "address"), ("value", "uint256")]
    fields += [("nonce", "uint256"), ("deadline", "uint256")]
    message = encode_typed_data(
        {"name": "Covey", "version": "1", "chainId": chain_id, "verifyingContract": token.address},
        {"Permit": [{"name": name, "type": kind} for name, kind in fields]},
        {
            "owner": owner.address,
            "spender": str(spender),
            "value": value,
            "nonce": token.nonces(owner),
            "deadline": deadline,
        },
    )
    signature = owner.sign_message(message)
    return signature.v, signature.r, signature.s


def test_token_is_an_erc20_with_permit(system: System) -> None:
    assert (system.token.name(), system.token.symbol(), system.token.decimals()) == ("Covey", "CVY", 18)
    assert system.token.totalSupply() == SUPPLY
    assert system.token.authority() == system.manager


def test_permit_grants_an_allowance(system: System, accounts: Any, chain: Any) -> None:
    owner, spender = accounts[5], accounts[6]
    system.token.transfer(owner, 5, sender=system.governor)
    deadline = chain.blocks.head.timestamp + 100
    signature = permit(system.token, owner, spender, 5, deadline, chain.chain_id)
    system.token.permit(owner, spender, 5, deadline, *signature, sender=accounts[7])
    system.token.transferFrom(owner, accounts[8], 5, sender=spender)
    assert system.token.balanceOf(accounts[8]) == 5
    with ape.reverts():  # its nonce is used
        system.token.permit(owner, spender, 5, deadline, *signature, sender=accounts[7])


def test_governance_mints_a_bounded_amount_a_day(system: System, accounts: Any, later: Any) -> None:
    """Up to the bound of the days begun since deployment; the forge tests cover the maximum supply."""
    token = system.token
    assert token.MAX_SUPPLY() == MAX_SUPPLY < 2**88
    left = token.mintable()
    assert left % (50_000 * CVY) == 0
    with ape.reverts(token.CoveyTokenAboveMaxSupply, error_inputs={"amount": left + 1, "left": left}):
        token.mint(accounts[5], left + 1, sender=system.governor)
    token.mint(accounts[5], left, sender=system.governor)
    assert (token.totalSupply(), token.minted(), token.mintable()) == (SUPPLY + left, left, 0)
    later(DAY)
    assert token.mintable() == 50_000 * CVY


@pytest.mark.parametrize("amount", [0, 1])
def test_mint_reverts_for_other_callers(system: System, accounts: Any, amount: int) -> None:
    with ape.reverts(system.token.AccessManagedUnauthorized, error_inputs={"caller": accounts[5].address}):
        system.token.mint(accounts[5], amount, sender=accounts[5])


def test_burn_takes_the_callers_tokens(system: System, accounts: Any) -> None:
    system.token.transfer(accounts[5], 10, sender=system.governor)
    system.token.burn(4, sender=accounts[5])
    assert (system.token.balanceOf(accounts[5]), system.token.totalSupply()) == (6, SUPPLY - 4)
    with ape.reverts(system.token.ERC20InsufficientBalance):
        system.token.burn(7, sender=accounts[5])
