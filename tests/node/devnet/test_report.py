"""The report is one well-formed page that shows the result and makes no network requests."""

from __future__ import annotations

import itertools
import re
from html.parser import HTMLParser

import pytest
from tests.support.devnet.sample import sample

from covey.devnet.charts import Line, heat_map, line_chart, ticks
from covey.devnet.report import render
from covey.devnet.result import DemoResult, cvy

VOID = {"meta", "br", "line", "circle", "rect", "polyline", "path"}


class Page(HTMLParser):
    """Checks that elements nest, and collects texts and attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.attributes: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> has no opening tag"

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())


def page(result: DemoResult) -> Page:
    parsed = Page()
    parsed.feed(render(result))
    parsed.close()
    assert parsed.open == []
    return parsed


def test_report_shows_the_result() -> None:
    result = sample()
    shown = page(result)
    for entry in result.entries:
        assert entry.name in shown.texts
        assert ("title", entry.operator) in shown.attributes
        assert f"{entry.median:,}" in shown.texts
        assert cvy(entry.reward_wei) in shown.texts
    for row in result.validators:
        assert f"{row.gain:,}" in shown.texts
    assert "random weights" in shown.texts
    assert "constant scores" in shown.texts
    assert "0.90" in shown.texts, "Spearman's rho"
    assert "equal" in shown.texts


def test_report_needs_no_network() -> None:
    html = render(sample())
    assert not re.findall(r"""(?:src|href)\s*=\s*["']?(?!#)[^"'\s>]+""", html)
    assert "@import" not in html
    assert "url(" not in html


def test_differences_are_shown_and_escaped() -> None:
    result = sample()
    wrong = result.model_copy(update={"check": result.check.model_copy(update={"differences": ["pool is <5> not 6"]})})
    assert "1 differ" in page(wrong).texts
    assert "pool is <5> not 6" in page(wrong).texts
    assert "&lt;5&gt;" in render(wrong)


def test_names_are_escaped() -> None:
    result = sample()
    hostile = result.entries[0].model_copy(update={"name": '<script>alert("x")</script>'})
    html = render(result.model_copy(update={"entries": [hostile, *result.entries[1:]]}))
    assert "<script" not in html


def test_own_chapters_are_framed() -> None:
    drawn = heat_map(
        ["a", "b"], ["x", "y"], [[1, 0], [0, 1]], text=[["1", "0"]] * 2, outlined=[[True, False], [False, True]]
    )
    assert drawn.count("cell own") == 2


def test_chart_without_points_says_so() -> None:
    assert "No points" in line_chart([Line("a", [], 0)], x_name="x", y_name="y")


@pytest.mark.parametrize(("low", "high"), [(0, 1), (3.9, 6.6), (0, 32767), (-0.02, 0.4), (5, 5), (0, 0)])
def test_ticks_cover_the_range_in_equal_steps(low: float, high: float) -> None:
    found = ticks(low, high)
    steps = {round(after - before, 9) for before, after in itertools.pairwise(found)}
    assert found[0] <= low
    assert found[-1] >= high
    assert 2 <= len(found) <= 8
    assert len(steps) == 1


@pytest.mark.parametrize(
    ("wei", "text"), [(0, "0.00"), (10**18, "1.00"), (123456789 * 10**16, "1,234,567.89"), (10**16 - 1, "<0.01")]
)
def test_amounts_are_cut_off(wei: int, text: str) -> None:
    assert cvy(wei) == text
