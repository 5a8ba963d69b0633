"""Packed scores against a plain loop over bytes."""

from __future__ import annotations

import pytest
from eth_hash.auto import keccak
from hypothesis import given
from hypothesis import strategies as st

from covey.protocol import scores

score = st.integers(0, scores.MAX_SCORE)
rows = st.lists(score, min_size=1, max_size=70)
OPERATOR = "0x" + "ab" * 20


def plain_bytes(values: list[int]) -> bytes:
    """Two big-endian bytes per score, zero-padded to full words."""
    body = b"".join(value.to_bytes(2, "big") for value in values)
    return body + bytes(-len(body) % 32)


@given(rows)
def test_packed_words_equal_the_bytes_of_the_scores(values: list[int]) -> None:
    words = scores.pack(values)
    assert b"".join(word.to_bytes(32, "big") for word in words) == plain_bytes(values)
    assert scores.unpack(words, len(values)) == values
    scores.check_row(words, len(values))


@given(rows)
def test_page_hash_is_over_the_bytes(values: list[int]) -> None:
    assert scores.page_hash(scores.pack(values)) == keccak(plain_bytes(values))


@pytest.mark.parametrize("bad", [-1, 0x8000, 1 << 20])
def test_pack_refuses_scores_out_of_range(bad: int) -> None:
    with pytest.raises(ValueError, match=r"entry 1 is outside 0\.\.32767"):
        scores.pack([5, bad])


def test_check_row_refuses_wrong_length_high_bits_and_trailing_scores() -> None:
    words = scores.pack([7] * 17)
    with pytest.raises(ValueError, match="17 entries need 2 words, not 1"):
        scores.check_row(words[:1], 17)
    with pytest.raises(ValueError, match="word 0 has the high bit"):
        scores.check_row([words[0] | 1 << 15, words[1]], 17)
    with pytest.raises(ValueError, match="word 1 has a score past entry 16"):
        scores.check_row([words[0], words[1] | 1], 17)
    with pytest.raises(ValueError, match="word 0"):
        scores.check_row([1 << 256, words[1]], 17)


@given(st.integers(1, 1900))
def test_page_of_all_rows_fits_into_a_transaction(committed: int) -> None:
    words = scores.page_words(committed)
    used = 32 * (committed + words * (committed + 1))
    assert used <= 131_072 - 8_192
    wider = 32 * (committed + (words + 1) * (committed + 1))
    assert words == scores.MAX_PAGE_WORDS or wider > 131_072 - 8_192


def test_page_words_of_examples() -> None:
    assert scores.page_words(51) == 64
    with pytest.raises(ValueError, match="at least one"):
        scores.page_words(0)
    with pytest.raises(ValueError, match="too many"):
        scores.page_words(4_000)


@given(st.integers(0, 300), st.integers(1, 64))
def test_pages_cover_the_row_once(entries: int, width: int) -> None:
    words = list(range(scores.word_count(entries)))
    pages = scores.pages_of(words, width)
    assert [word for page in pages for word in page] == words
    assert len(pages) == scores.page_count(entries, width)
    assert all(len(page) == width for page in pages[:-1])


@given(st.lists(st.integers(0, (1 << 32) - 1), max_size=40))
def test_losses_round_trip_and_have_the_contracts_layout(losses: list[int]) -> None:
    words = scores.pack_losses(losses)
    assert scores.unpack_losses(words, len(losses)) == losses
    little = b"".join(word.to_bytes(32, "little") for word in words)
    assert [int.from_bytes(little[4 * i : 4 * i + 4], "little") for i in range(len(losses))] == losses


def test_fold_and_row_head_of_examples() -> None:
    page = scores.page_hash([3])
    preimage = bytes(32) + bytes(12) + b"\xab" * 20 + (9).to_bytes(32, "big") + page
    assert scores.fold(scores.EMPTY_ACCUMULATOR, OPERATOR, 9, page) == keccak(preimage)
    head = scores.row_head(OPERATOR, 9)
    assert head & ((1 << 160) - 1) == int("ab" * 20, 16)
    assert head >> 160 == 9
    with pytest.raises(ValueError, match="uint16"):
        scores.row_head(OPERATOR, 1 << 16)
