"""A step that anybody may take is sent in the node's turn, and not if another node's transaction is seen."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from covey.chain.contracts import Call
from covey.chain.errors import ContractReverted, RevertReason, RpcResponseError, Unreachable
from covey.daemon.duties import transactions
from covey.daemon.planning.duty import NO_DEADLINE, Duty, DutyKind
from covey.daemon.workers.backoff import Backoff

CALL = Call("0x" + "11" * 20, b"\x01", "take a step")
DUTY = Duty(NO_DEADLINE, DutyKind.SETTLE_PAGE, 1)
REVERTED = ContractReverted(RevertReason("ScoringPageSettled"))


class FakeSender:
    def __init__(self) -> None:
        self.submitted: list[str] = []

    def request(self, key: str) -> None:
        return None

    def submit(self, key: str, call: Call, **_: Any) -> None:
        self.submitted.append(key)


def context(stagger_seconds: float = 0.0, answers: dict[str, Exception] | None = None) -> Any:
    """A node whose endpoint answers calls at ``latest`` and ``pending`` as given; without a fault if not given."""

    def call(to: str, data: bytes, *, sender: str, value: int = 0, block: str = "latest") -> bytes:
        if (fault := (answers or {}).get(block)) is not None:
            raise fault
        return b""

    return SimpleNamespace(
        backoff=Backoff(),
        config=SimpleNamespace(stagger_seconds=stagger_seconds),
        contracts=SimpleNamespace(rpc=SimpleNamespace(call=call)),
        identity=SimpleNamespace(operator="0xa", signer="0xb"),
        now=0,
        open_transactions=set(),
        sender=FakeSender(),
        state=SimpleNamespace(tasks={}, operators=1000),
    )


def take_step(ctx: Any, *, is_done: bool = False, duty: Duty = DUTY) -> str:
    return transactions.send(ctx, duty, CALL, lambda: is_done).reason


def test_step_is_sent_in_turn() -> None:
    ctx = context()
    assert take_step(ctx) == "queued"
    assert ctx.sender.submitted == [DUTY.key]


def test_step_is_left_to_others_before_the_turn_without_a_request() -> None:
    ctx = context(stagger_seconds=1e9)
    assert transactions.send(ctx, DUTY, CALL, lambda: pytest.fail("asked the chain")).reason.startswith("leaves")
    assert ctx.sender.submitted == []


def test_own_duty_waits_for_no_turn() -> None:
    ctx = context(stagger_seconds=1e9, answers={"pending": REVERTED})
    assert take_step(ctx, duty=Duty(NO_DEADLINE, DutyKind.CLAIM_SCORING, 1)) == "queued"


def test_step_that_is_done_is_not_sent() -> None:
    ctx = context()
    assert take_step(ctx, is_done=True).startswith("done at the head")
    assert ctx.sender.submitted == []


def test_pending_transaction_is_waited_for_only_for_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr("covey.daemon.workers.backoff.time.monotonic", lambda: clock[0])
    ctx = context(stagger_seconds=10.0, answers={"pending": REVERTED})
    take_step(ctx)
    clock[0] += 20_000.0  # the node's turn has come
    assert take_step(ctx) == "another node's transaction is pending"
    clock[0] += 79.0
    assert take_step(ctx) == "another node's transaction is pending"
    clock[0] += 2.0
    assert take_step(ctx) == "queued"


@pytest.mark.parametrize(
    "answers",
    [
        {"pending": REVERTED, "latest": REVERTED},  # its own fault, which the sender reports
        {"pending": RpcResponseError("eth_call", -32602, "invalid block tag")},
        {"pending": Unreachable("no pending state")},
    ],
)
def test_node_without_a_sign_of_others_sends(answers: dict[str, Exception]) -> None:
    assert take_step(context(answers=answers)) == "queued"
