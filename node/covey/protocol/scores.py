"""Packed scores: sixteen 15-bit scores per 256-bit word.

Entry 0 is in the highest lane of the first word. The high bit of every lane is clear, and lanes past the last entry are
zero. A *row* is one validator's words over all entries of a task. A *page* is a run of ``page_words`` words of each
row, small enough that all rows of a page fit into one transaction.
"""

from __future__ import annotations

from collections.abc import Sequence

from covey.protocol.abi import hash_of
from covey.protocol.commitments import words_hash

LANES = 16
"""Scores per word."""
LANE_BITS = 16
MAX_SCORE = 0x7FFF
"""Largest score; the high bit of a lane stays clear for the contract's lane-parallel comparisons."""
MAX_PAGE_WORDS = 64
"""Maximum number of words of a page: the Merkle tree over a page's medians has depth 6."""

_CALLDATA_WORDS = (131_072 - 8_192) // 32
_HIGH_BITS = int.from_bytes(b"\x80\x00" * LANES, "big")
EMPTY_ACCUMULATOR = bytes(32)
"""A page's accumulator before the first reveal."""


def word_count(entries: int) -> int:
    """Number of words for ``entries`` scores: ceil(entries / 16)."""
    if entries < 0:
        raise ValueError(f"negative number of entries: {entries}")
    return -(-entries // LANES)


def pack(scores: Sequence[int]) -> list[int]:
    """Pack scores, lane 0 first, into ceil(n / 16) words.

    Raises:
        ValueError: a score outside 0..32767.
    """
    words = []
    for start in range(0, len(scores), LANES):
        packed = 0
        for lane, score in enumerate(scores[start : start + LANES]):
            if not 0 <= score <= MAX_SCORE:
                raise ValueError(f"score {score} of entry {start + lane} is outside 0..{MAX_SCORE}")
            packed |= score << (LANE_BITS * (LANES - 1 - lane))
        words.append(packed)
    return words


def unpack(words: Sequence[int], entries: int) -> list[int]:
    """The first ``entries`` scores of a packed row.

    Raises:
        ValueError: a wrong number of words, a set high bit, or a score past the last entry.
    """
    check_row(words, entries)
    return [(words[i // LANES] >> (LANE_BITS * (LANES - 1 - i % LANES))) & MAX_SCORE for i in range(entries)]


def check_row(words: Sequence[int], entries: int) -> None:
    """Check that ``words`` is a well-formed row over ``entries`` entries, as Scoring does at the reveal.

    Raises:
        ValueError: the first violation, in one line.
    """
    expected = word_count(entries)
    if len(words) != expected:
        raise ValueError(f"{entries} entries need {expected} words, not {len(words)}")
    for index, packed in enumerate(words):
        if not 0 <= packed < 1 << 256 or packed & _HIGH_BITS:
            raise ValueError(f"word {index} has the high bit of a lane set")
    used = entries % LANES
    if used and words[-1] & ((1 << (LANE_BITS * (LANES - used))) - 1):
        raise ValueError(f"word {expected - 1} has a score past entry {entries - 1}")


def page_words(committed_rows: int) -> int:
    """Words per page for ``committed_rows`` committed rows: min(64, (3840 - rows) // (rows + 1)).

    A transaction has at most 128 KiB, of which 8 KiB are reserved for the head of the call. The remaining 3,840 words
    hold one head and ``page_words`` words per row, and ``page_words`` words of claimed medians.

    Raises:
        ValueError: no committed row, or so many rows that one word of each does not fit.
    """
    if committed_rows < 1:
        raise ValueError("a page needs at least one committed row")
    words = min(MAX_PAGE_WORDS, (_CALLDATA_WORDS - committed_rows) // (committed_rows + 1))
    if words <= 0:
        raise ValueError(f"{committed_rows} rows are too many for one transaction")
    return words


def page_count(entries: int, words_per_page: int) -> int:
    """Number of pages for ``entries`` entries."""
    return -(-word_count(entries) // words_per_page)


def pages_of(words: Sequence[int], words_per_page: int) -> list[Sequence[int]]:
    """Split a row, or the medians, into pages; the last may be shorter."""
    return [words[start : start + words_per_page] for start in range(0, len(words), words_per_page)]


def page_hash(words: Sequence[int]) -> bytes:
    """keccak256 of one row's words of one page, concatenated."""
    return words_hash(words)


def fold(accumulator: bytes, operator: str, seats: int, hash_of_page: bytes) -> bytes:
    """The page's accumulator after another reveal: keccak256(abi.encode(acc, operator, seats, pageHash))."""
    return hash_of(accumulator, operator, seats, hash_of_page)


def pack_losses(losses: Sequence[int]) -> list[int]:
    """Pack losses like Scoring: 32 bits each, row i at bits 32 (i mod 8) of word i // 8."""
    words = [0] * -(-len(losses) // 8)
    for index, loss in enumerate(losses):
        words[index // 8] |= loss << (32 * (index % 8))
    return words


def unpack_losses(words: Sequence[int], rows: int) -> list[int]:
    """The losses of ``rows`` revealed rows, in order of reveal."""
    return [(words[i // 8] >> (32 * (i % 8))) & 0xFFFFFFFF for i in range(rows)]


def row_head(operator: str, seats: int) -> int:
    """The head of a row in a call of `settlePage`: uint256(operator) | seats << 160."""
    if not 0 <= seats < 1 << 16:
        raise ValueError(f"seats outside uint16: {seats}")
    return int(operator, 16) | seats << 160
