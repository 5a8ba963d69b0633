"""Amounts, gas prices and sizes."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from covey.chain.units import CVY
from covey.config.shared import RoleSettings
from covey.config.types import Role, parse_amount, parse_gas_price, split_listen


@pytest.mark.parametrize(
    ("value", "wei"),
    [
        (7, 7),
        ("7 wei", 7),
        ("7 CVY", 7 * CVY),
        ("0.25CVY", CVY // 4),
        ("0", 0),
        ("123456789.123456789012345678 CVY", 123456789123456789012345678),
    ],
)
def test_amount_is_converted_to_wei(value: object, wei: int) -> None:
    assert parse_amount(value) == wei


@pytest.mark.parametrize(
    "value",
    ["", "-1", "7", " 1.5 ", "007", "1e3", "1.5", "7 ETH", True, 1.5, None, 2**128, "0.0000000000000000001 CVY"],
)
def test_other_amounts_are_rejected(value: object) -> None:
    with pytest.raises(ValueError, match=r"amount|finer than one wei|has no unit"):
        parse_amount(value)


@pytest.mark.parametrize(("value", "wei"), [("300 gwei", 300 * 10**9), ("0.05 gwei", 5 * 10**7), ("7 wei", 7), (5, 5)])
def test_gas_price_is_converted_to_wei(value: object, wei: int) -> None:
    assert parse_gas_price(value) == wei


@pytest.mark.parametrize("value", ["", "0", "12", "1.5", "3 ether", "1.0000000001 gwei", -1, 2**63, True])
def test_other_gas_prices_are_rejected(value: object) -> None:
    with pytest.raises(ValueError, match=r"is not a gas price|has no unit"):
        parse_gas_price(value)


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ("127.0.0.1:9464", ("127.0.0.1", 9464)),
        ("node.example:0", ("node.example", 0)),
        ("[::1]:9464", ("::1", 9464)),
        ("[fe80::1%eth0]:80", ("fe80::1%eth0", 80)),
        ("0.0.0.0:65535", ("0.0.0.0", 65535)),
    ],
)
def test_listening_address_is_split(value: str, parts: tuple[str, int]) -> None:
    assert split_listen(value) == parts


@pytest.mark.parametrize(
    "value", ["", "9464", ":9464", "::1:9464", "[::1]", "[::1]:", "host:70000", "host:x", "[x y]:1"]
)
def test_other_listening_addresses_are_rejected(value: str) -> None:
    with pytest.raises(ValueError, match="is not host:port"):
        split_listen(value)


@pytest.mark.parametrize(
    ("text", "roles"),
    [
        (["trainer"], (Role.TRAINER,)),
        (["trainer", "validator"], (Role.TRAINER, Role.VALIDATOR)),
        (["validator,trainer"], (Role.VALIDATOR, Role.TRAINER)),
        (["both"], (Role.TRAINER, Role.VALIDATOR)),
        ("Both", (Role.TRAINER, Role.VALIDATOR)),
        (["Trainer", " trainer "], (Role.TRAINER,)),
        ([Role.VALIDATOR], (Role.VALIDATOR,)),
    ],
)
def test_roles_are_read_as_people_write_them(text: object, roles: tuple[Role, ...]) -> None:
    assert RoleSettings.model_validate({"roles": text}).roles == roles


@pytest.mark.parametrize("text", [["miner"], ["trainer,miner"], [1], {"trainer": 1}])
def test_an_unknown_role_is_refused(text: object) -> None:
    with pytest.raises(ValidationError, match="roles"):
        RoleSettings.model_validate({"roles": text})
