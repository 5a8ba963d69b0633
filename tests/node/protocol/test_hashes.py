"""Hash preimages against eth_abi's general encoder; seats."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode
from eth_abi.packed import encode_packed
from eth_hash.auto import keccak
from hypothesis import given
from hypothesis import strategies as st

from covey.protocol import abi, commitments
from covey.protocol.seats import seats

uint = st.integers(0, (1 << 256) - 1)
small = st.integers(1, 1 << 40)
digest = st.binary(min_size=32, max_size=32)
address = st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex())


@given(small, address, small, address, digest, digest)
def test_entry_commitment(chain: int, registry: str, task: int, operator: str, content: bytes, salt: bytes) -> None:
    types = ["uint256", "address", "uint256", "address", "bytes32", "bytes32"]
    expected = keccak(encode(types, [chain, registry, task, operator, content, salt]))
    assert commitments.entry_commitment(chain, registry, task, operator, content, salt) == expected


@given(small, address, small, st.integers(0, 255), address, st.lists(uint, max_size=5), digest, digest)
def test_score_commitment(
    chain: int, scoring: str, task: int, round_: int, operator: str, words: list[int], evidence: bytes, salt: bytes
) -> None:
    types = ["uint256", "address", "uint256", "uint256", "address", "bytes32", "bytes32", "bytes32"]
    packed = keccak(encode_packed(["uint256[]"], [words]))
    expected = keccak(encode(types, [chain, scoring, task, round_, operator, packed, evidence, salt]))
    assert commitments.score_commitment(chain, scoring, task, round_, operator, words, evidence, salt) == expected


@given(small, address, address, digest, digest)
def test_sealed_commitment(chain: int, registry: str, creator: str, content: bytes, salt: bytes) -> None:
    types = ["uint256", "address", "address", "bytes32", "bytes32"]
    expected = keccak(encode(types, [chain, registry, creator, content, salt]))
    assert commitments.sealed_commitment(chain, registry, creator, content, salt) == expected


@given(digest)
def test_stored_prefix_keeps_28_bytes(commitment: bytes) -> None:
    stored = commitments.stored_prefix(commitment)
    assert stored[:28] == commitment[:28]
    assert stored[28:] == bytes(4)


@pytest.mark.parametrize("bad", ["0x12", "ab" * 21, "0x" + "zz" * 20, ""])
def test_malformed_address_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="not an address"):
        abi.address_bytes(bad)


@pytest.mark.parametrize("bad", [-1, 1 << 256, b"short"])
def test_value_that_is_not_a_word_is_refused(bad: int | bytes) -> None:
    with pytest.raises(ValueError, match=r"uint256|bytes32"):
        abi.word(bad)


@given(digest, address, st.integers(1, 10**24), st.integers(1, 10**24), st.integers(1, 1023))
def test_seats_are_a_nearest_integer_of_the_share(
    seed: bytes, operator: str, earmark: int, others: int, target: int
) -> None:
    total = earmark + others
    given_ = seats(1, "0x" + "11" * 20, 7, 0, seed, operator, earmark, total, target)
    floor = target * earmark // total
    assert given_ in (floor, floor + 1)
    if target * earmark % total == 0:
        assert given_ == floor


def test_seats_are_proportional_to_stake_on_average() -> None:
    """1,000 seeds: the mean of 30% of 21 seats lies within four standard errors (sd of a rounding is at most 1/2)."""
    draws = [
        seats(1, "0x" + "11" * 20, 7, 0, keccak(bytes([i % 256, i // 256])), "0x" + "22" * 20, 30, 100, 21)
        for i in range(1_000)
    ]
    assert abs(sum(draws) / 1_000 - 6.3) < 4 * 0.5 / 1_000**0.5


@pytest.mark.parametrize(("earmark", "total"), [(1, 0), (5, 4), (-1, 4)])
def test_seats_refuse_an_invalid_share(earmark: int, total: int) -> None:
    with pytest.raises(ValueError, match="not a share"):
        seats(1, "0x" + "11" * 20, 7, 0, bytes(32), "0x" + "22" * 20, earmark, total, 21)
