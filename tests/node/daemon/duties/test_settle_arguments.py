"""The arguments that settle a page, and proofs of medians, follow the protocol's rules."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.daemon.scenario import REVEAL_END, Scenario, address

from covey.daemon.duties.claims import median_proof
from covey.daemon.duties.settle import page_arguments
from covey.protocol import merkle
from covey.protocol.scores import EMPTY_ACCUMULATOR, fold, page_hash, row_head
from covey.protocol.settlement import RevealedRow, Rules, settle

RULES = Rules(50, 500, 100, 1)


def revealed(entries: int, rows: list[list[int]]) -> Scenario:
    """A task with `entries` entries in which one validator per row has revealed it."""
    scenario = Scenario(max_entries=entries)
    for number in range(entries):
        scenario.enter(address(1_000 + number))
    for number in range(len(rows)):
        scenario.enrol(address(1 + number), 10 + number)
    for number in range(entries):
        scenario.reveal_entry(address(1_000 + number))
    scenario.request_seed().fix_seed(REVEAL_END)
    for number in range(len(rows)):
        scenario.commit_scores(address(1 + number))
    for number, row in enumerate(rows):
        scenario.reveal_scores(address(1 + number), row)
    return scenario


@st.composite
def tables(draw: st.DrawFn) -> tuple[int, list[list[int]]]:
    entries = draw(st.sampled_from([1, 3, 16, 17, 40]))
    score = st.integers(0, 32_767)
    return entries, draw(st.lists(st.lists(score, min_size=entries, max_size=entries), min_size=1, max_size=5))


@settings(max_examples=60, deadline=None)
@given(tables())
def test_settlement_arguments_equal_the_protocols_settlement(table: tuple[int, list[list[int]]]) -> None:
    entries, rows = table
    scenario = revealed(entries, rows)
    task = scenario.task
    revealed_rows = [RevealedRow(address(1 + n), scenario.seats(address(1 + n)), row) for n, row in enumerate(rows)]
    if sum(row.seats for row in revealed_rows) == 0:
        return
    result = settle(revealed_rows, RULES, task.words_per_page)
    heads, medians, words = page_arguments(task, 0)
    assert medians == result.pages[0].words
    assert heads == [row_head(row.operator, row.seats) for row in revealed_rows]
    width = len(medians)
    assert len(words) == width * len(rows)
    chained = EMPTY_ACCUMULATOR
    for number, row in enumerate(revealed_rows):
        chained = fold(chained, row.operator, row.seats, page_hash(words[number * width : (number + 1) * width]))
    expected = EMPTY_ACCUMULATOR
    assert task.committee is not None
    for row_event in task.committee.revealed:
        expected = fold(expected, row_event.operator, row_event.seats, page_hash(row_event.words[:width]))
    assert chained == expected


@settings(max_examples=30, deadline=None)
@given(tables(), st.data())
def test_a_median_proof_verifies_against_the_page_root(table: tuple[int, list[list[int]]], data: st.DataObject) -> None:
    entries, rows = table
    scenario = revealed(entries, rows)
    scores = {address(1 + number): row for number, row in enumerate(rows)}
    if sum(scenario.seats(who) for who in scores) == 0:
        return
    scenario.settle(scores, REVEAL_END + 200)
    task, lane = scenario.task, data.draw(st.integers(0, entries - 1))
    word, siblings = median_proof(task, lane)
    assert task.committee is not None
    page, index = divmod(lane // 16, task.words_per_page)
    assert merkle.verify(task.committee.pages[page].root, word, index, siblings)
