"""Settles a page: submits the revealed rows and the medians that follow from them."""

from __future__ import annotations

from collections.abc import Sequence

from covey.daemon.context import Context
from covey.daemon.duties.outcomes import Step
from covey.daemon.duties.transactions import send
from covey.daemon.planning.duty import Duty
from covey.daemon.state.committee import RevealedScores
from covey.daemon.state.task import Task
from covey.protocol.scores import pack, pages_of, row_head, unpack
from covey.protocol.settlement import weighted_lower_median


def page_arguments(task: Task, page: int) -> tuple[list[int], list[int], list[int]]:
    """`settlement_arguments` of a page of the task's current round."""
    return settlement_arguments(task.drawn_committee.revealed, len(task.lanes), task.words_per_page, page)


def settlement_arguments(
    revealed: Sequence[RevealedScores], entries: int, per_page: int, page: int
) -> tuple[list[int], list[int], list[int]]:
    """Arguments that settle a page of `per_page` words, for rows of `entries` scores.

    Returns:
        Row heads in order of reveal, the page's median words, and the page's words of all rows, row after row.
    """
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
