"""The positional Merkle tree over a page's median words.

Depth 6, so 64 leaves; leaf i is keccak256(word_i), absent leaves are 32 zero bytes. The bits of the index, lowest
first, determine the side of the sibling. Sorted pairs would let an entry claim another lane's median.
"""

from __future__ import annotations

from collections.abc import Sequence

from eth_hash.auto import keccak

from covey.protocol.abi import word

DEPTH = 6
LEAVES = 1 << DEPTH
_EMPTY = bytes(32)


def _levels(words: Sequence[int]) -> list[list[bytes]]:
    if not 1 <= len(words) <= LEAVES:
        raise ValueError(f"a page has 1 to {LEAVES} words, not {len(words)}")
    level = [keccak(word(w)) for w in words] + [_EMPTY] * (LEAVES - len(words))
    levels = [level]
    while len(level) > 1:
        level = [keccak(level[i] + level[i + 1]) for i in range(0, len(level), 2)]
        levels.append(level)
    return levels


def page_root(words: Sequence[int]) -> bytes:
    """Root over 1 to 64 median words.

    Raises:
        ValueError: no word, or more than 64.
    """
    return _levels(words)[-1][0]


def proof(words: Sequence[int], index: int) -> list[bytes]:
    """The six siblings of word ``index``, leaf level first.

    Raises:
        ValueError: no such word.
    """
    if not 0 <= index < len(words):
        raise ValueError(f"no word {index} in a page of {len(words)} words")
    levels = _levels(words)
    return [levels[depth][(index >> depth) ^ 1] for depth in range(DEPTH)]


def verify(root: bytes, median_word: int, index: int, siblings: Sequence[bytes]) -> bool:
    """Whether ``median_word`` is word ``index`` of the page with that root."""
    if len(siblings) != DEPTH or not 0 <= index < LEAVES:
        return False
    node = keccak(word(median_word))
    for depth, sibling in enumerate(siblings):
        node = keccak(sibling + node) if index >> depth & 1 else keccak(node + sibling)
    return node == root
