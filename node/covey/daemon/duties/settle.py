"""Settling a page: the rows as their reveals gave them, and the medians that the rules of the protocol give."""

from __future__ import annotations

from collections.abc import Sequence

from covey.daemon.context import Context, Step
from covey.daemon.duties.transactions import send
from covey.daemon.planning.plan import Duty
from covey.daemon.state.world import RevealedScores, Task
from covey.protocol.scores import pack, pages_of, row_head, unpack
from covey.protocol.settlement import weighted_lower_median


def page_arguments(task: Task, page: int) -> tuple[list[int], list[int], list[int]]:
    """(row heads, median words, all rows' words row after row) of a page, rows in order of reveal."""
    assert task.committee is not None
    return arguments(task.committee.revealed, len(task.lanes), task.words_a_page, page)


def arguments(
    revealed: Sequence[RevealedScores], entries: int, per_page: int, page: int
) -> tuple[list[int], list[int], list[int]]:
    """The same of any committee's rows over `entries` scores, `per_page` words a page."""
    rows = sorted(revealed, key=lambda row: row.index)
    seats = [row.seats for row in rows]
    columns = zip(*(unpack(row.words, entries) for row in rows), strict=True)
    medians = pack([weighted_lower_median(column, seats) for column in columns])
    heads = [row_head(row.operator, row.seats) for row in rows]
    words = [word for row in rows for word in pages_of(row.words, per_page)[page]]
    return heads, list(pages_of(medians, per_page)[page]), words


def advance(ctx: Context, task: Task, duty: Duty) -> Step:
    scoring = ctx.contracts.scoring
    heads, medians, words = page_arguments(task, duty.page)
    call = scoring.settle_page(task.id, duty.page, heads, medians, words)
    return send(ctx, duty, call, lambda: scoring.round_of(task.id).settled_pages > duty.page)
