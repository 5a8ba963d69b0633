"""Sizes of log ranges: adapted to a node's limit and to the density of events."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from covey.chain.rpc.log_ranges import WANTED_EVENTS, AdaptiveRange


def follow(sizes: AdaptiveRange, blocks: int, limit: int, events: Callable[[int], int]) -> tuple[list[int], int]:
    """Read ``blocks`` from a node that refuses ranges above ``limit``; return (sizes read, refusals)."""
    read, refused = [], 0
    while blocks:
        size = min(sizes.size, blocks)
        if size > limit:
            sizes.failed(size)
            refused += 1
            continue
        sizes.read(size, events(size))
        read.append(size)
        blocks -= size
    return read, refused


@given(first=st.integers(1, 20_000), limit=st.integers(1, 20_000), blocks=st.integers(1, 200_000))
def test_every_block_is_read_under_any_limit(first: int, limit: int, blocks: int) -> None:
    sizes = AdaptiveRange(first, 10_000)
    read, refused = follow(sizes, min(blocks, 400 * limit), limit, lambda _: 0)
    assert sum(read) == min(blocks, 400 * limit)
    assert max(read) <= min(limit, 10_000)
    assert 1 <= sizes.size <= 10_000
    assert refused <= 16 + len(read) / 8  # to find the limit, then to test it again


@given(limit=st.integers(1, 9_999))
def test_fixed_limit_is_mostly_used(limit: int) -> None:
    sizes = AdaptiveRange(32, 10_000)
    read, refused = follow(sizes, 2_000 * limit, limit, lambda _: 0)
    assert len(read) <= 2_000 * 2 + 20
    assert refused <= len(read) / 8 + 16


@given(density=st.integers(0, 3_000))
def test_ranges_hold_a_bounded_number_of_events(density: int) -> None:
    sizes = AdaptiveRange(32, 10_000)
    read, _ = follow(sizes, 200_000, 10_000, lambda blocks: density * blocks)
    assert all(size == 1 or size * density <= max(WANTED_EVENTS, 32 * density) for size in read)
    assert all(size == 1 or size * density <= WANTED_EVENTS for size in read[12:])


def test_size_grows_when_the_limit_is_lifted() -> None:
    sizes = AdaptiveRange(10_000, 10_000)
    follow(sizes, 50_000, 40, lambda _: 0)
    assert sizes.size <= 60
    follow(sizes, 1_000_000, 10_000, lambda _: 0)
    assert sizes.size > 5_000


def test_range_cut_short_by_the_head_does_not_change_the_size() -> None:
    sizes = AdaptiveRange(100, 10_000)
    for _ in range(50):
        sizes.read(1, 0)
    assert sizes.size == 100


def test_refusals_without_end_shrink_the_range() -> None:
    sizes = AdaptiveRange(1000, 1000)
    for _ in range(7):
        sizes.refused(1000)
    assert sizes.size == 1000  # a rate limit: the next call may pass
    sizes.refused(1000)
    assert sizes.size == 500
    for _ in range(7):
        sizes.refused(500)
    sizes.read(500, 0)
    sizes.refused(500)
    assert sizes.size >= 500
