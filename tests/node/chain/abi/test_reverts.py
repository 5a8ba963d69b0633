"""Decoding of revert data."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak
from hypothesis import given
from hypothesis import strategies as st

from covey.chain.abi.reverts import decode_revert


def test_custom_error_is_decoded_and_explained() -> None:
    data = keccak(b"StakingStakeTooLow(address,uint256,uint256)")[:4] + encode(
        ["address", "uint256", "uint256"], ["0x" + "ab" * 20, 3, 7]
    )
    reason = decode_revert(data)
    assert reason.name == "StakingStakeTooLow"
    assert (reason.args["free"], reason.args["wanted"]) == (3, 7)
    assert str(reason).startswith("the operator's free stake is too low [StakingStakeTooLow(operator=0xab")


def test_bytes32_name_is_shown_as_text() -> None:
    data = keccak(b"RegistryBadParam(bytes32)")[:4] + b"maxTau".ljust(32, b"\0")
    assert str(decode_revert(data)) == "RegistryBadParam(name=maxTau)"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (bytes.fromhex("08c379a0") + encode(["string"], ["no"]), "no"),
        (bytes.fromhex("4e487b71") + encode(["uint256"], [0x11]), "arithmetic overflow"),
        (bytes.fromhex("4e487b71") + encode(["uint256"], [0x99]), "panic 0x99"),
        (b"", "reverted without a reason"),
        (b"\1\2\3\4\5", "unknown error 0x0102030405"),
        (keccak(b"RegistryBadParam(bytes32)")[:4] + b"\0", "unknown error 0x"),
    ],
)
def test_other_reverts_are_described(data: bytes, text: str) -> None:
    assert str(decode_revert(data)).startswith(text)


@given(st.binary(max_size=200))
def test_any_bytes_have_a_description(data: bytes) -> None:
    assert str(decode_revert(data))
