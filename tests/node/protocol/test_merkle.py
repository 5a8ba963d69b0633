"""The positional tree against a recursive definition."""

from __future__ import annotations

import pytest
from eth_hash.auto import keccak
from hypothesis import given
from hypothesis import strategies as st

from covey.protocol import merkle

words = st.lists(st.integers(0, (1 << 256) - 1), min_size=1, max_size=64)


def node(leaves: list[int], depth: int, position: int) -> bytes:
    """The node at ``position`` of the level ``depth`` above the leaves, computed top down."""
    if depth == 0:
        return keccak(leaves[position].to_bytes(32, "big")) if position < len(leaves) else bytes(32)
    return keccak(node(leaves, depth - 1, 2 * position) + node(leaves, depth - 1, 2 * position + 1))


@given(words, st.data())
def test_root_and_proofs(leaves: list[int], data: st.DataObject) -> None:
    root = merkle.page_root(leaves)
    assert root == node(leaves, 6, 0)
    index = data.draw(st.integers(0, len(leaves) - 1))
    siblings = merkle.proof(leaves, index)
    assert merkle.verify(root, leaves[index], index, siblings)
    other = data.draw(st.integers(0, 63).filter(lambda i: i >= len(leaves) or leaves[i] != leaves[index]) | st.none())
    if other is not None:
        assert not merkle.verify(root, leaves[index], other, siblings)
    assert not merkle.verify(root, leaves[index] ^ 1, index, siblings)


def test_bad_pages_and_proofs_are_refused() -> None:
    with pytest.raises(ValueError, match="1 to 64"):
        merkle.page_root([])
    with pytest.raises(ValueError, match="1 to 64"):
        merkle.page_root([1] * 65)
    with pytest.raises(ValueError, match="no word 3 in a page of 2 words"):
        merkle.proof([1, 2], 3)
    assert not merkle.verify(merkle.page_root([1]), 1, 0, merkle.proof([1], 0)[:5])
    assert not merkle.verify(merkle.page_root([1]), 1, 64, merkle.proof([1], 0))
