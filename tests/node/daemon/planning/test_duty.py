"""Keys of duties and of transactions."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey.daemon.planning.duty import Duty, DutyKind, task_of_key


@given(st.sampled_from(DutyKind), st.integers(1, 2**256 - 1), st.integers(0, 9), st.sampled_from(["", "1", "fee-0"]))
def test_the_key_of_a_duty_names_its_task(kind: DutyKind, task: int, round_: int, tag: str) -> None:
    assert task_of_key(Duty(0, kind, task, round_).tx_key(tag)) == task


@given(st.sampled_from(DutyKind), st.sampled_from(["0x" + "ab" * 20, "0x" + "11" * 20]))
def test_the_key_of_an_accounts_duty_names_no_task(kind: DutyKind, account: str) -> None:
    assert task_of_key(Duty(0, kind, 0, account=account).tx_key()) == 0


@given(st.uuids())
def test_a_commands_key_names_no_task(number: uuid.UUID) -> None:
    assert task_of_key(f"command/{number.hex}") == 0


@pytest.mark.parametrize(
    "key", ["", "command", "command/" + "7" * 32, "score", "score/", "score/²/0", "score/-1/0", "score/" + "9" * 5_000]
)
def test_a_key_that_no_duty_made_names_no_task(key: str) -> None:
    assert task_of_key(key) == 0


@given(st.text(max_size=200))
def test_any_text_is_a_key(key: str) -> None:
    assert task_of_key(key) >= 0
