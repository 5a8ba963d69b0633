"""Notices: what is told, once; delivery to a real HTTP server that fails or lies, and never a secret in a log."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.support.daemon.scenario import ME

from covey.chain.events.decoder import Event
from covey.chain.events.follower import Checkpoint
from covey.config.credentials import webhook_of
from covey.config.node import ConfigError
from covey.daemon.monitoring.metrics import Metrics, Snapshot
from covey.daemon.monitoring.notifications import Notifications
from covey.daemon.monitoring.webhook import Webhook
from covey.daemon.storage.journal import Journal

OTHER = "0x" + "07" * 20
CVY = 10**18


class Outbox:
    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.idle = True

    def post(self, notice: dict[str, Any]) -> None:
        self.told.append(notice)

    def kinds(self) -> list[str]:
        return [one["kind"] for one in self.told]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path / "journal.sqlite", None)
    yield made
    made.close()


def notices(outbox: Outbox, journal: Journal, steady_s: float = 0.0) -> Notifications:
    return Notifications(outbox, journal, ME, 31337, steady_s=steady_s)


def paid(block: int, operator: str = ME, amount: int = 3 * CVY) -> Event:
    args = {"taskId": 4, "operator": operator, "seats": 2, "gain": 1, "amount": amount}
    return Event("ScoringRewardClaimed", "Rewards", args, block, f"0xb{block}", "0xt", 0)


def slashed(block: int) -> Event:
    args = {
        "operator": ME,
        "duty": OTHER,
        "fromActive": CVY,
        "fromUnbonding": CVY,
        "reporter": OTHER,
        "reporterReward": 1,
    }
    return Event("Slashed", "Staking", args, block, f"0xb{block}", "0xt", 1)


class TestWhatIsTold:
    def test_red_and_green_once_each(self, journal: Journal) -> None:
        outbox = Outbox()
        told = notices(outbox, journal)
        told.health(Snapshot())  # starting
        told.health(Snapshot(problems=()))
        for _ in range(3):
            told.health(Snapshot(problems=("no new block for 200 s",)))
        for _ in range(2):
            told.health(Snapshot(problems=()))
        assert outbox.kinds() == ["red", "green"]
        assert outbox.told[0]["text"] == "no new block for 200 s"
        assert outbox.told[0]["operator"] == ME

    def test_a_short_red_is_not_told_and_needs_no_green(self, journal: Journal) -> None:
        outbox = Outbox()
        told = notices(outbox, journal, steady_s=60)
        told.health(Snapshot(problems=("a hiccup",)))
        told.health(Snapshot(problems=()))
        assert outbox.told == []

    def test_a_missed_duty_at_once_and_once(self, journal: Journal) -> None:
        outbox = Outbox()
        told = notices(outbox, journal, steady_s=60)
        for _ in range(2):
            told.health(Snapshot(missed=("score/4/0/0",), problems=("missed: score/4/0/0",)))
        assert [(one["kind"], one["duty"]) for one in outbox.told] == [("missed", "score/4/0/0")]

    def test_money_since_the_first_look_also_after_a_restart(self, journal: Journal) -> None:
        outbox = Outbox()
        told = notices(outbox, journal)
        journal.commit([paid(5)], Checkpoint(5, "0x5"))
        told.chain(5)
        assert outbox.told == [], "what was before the first look is history"
        journal.commit([paid(6), paid(6, OTHER)._replace(log_index=3), slashed(6)], Checkpoint(6, "0x6"))
        told.chain(6)
        assert [one["text"] for one in outbox.told] == ["task 4 paid 3 CVY for scoring", "slashed: 2 CVY"]
        told.chain(6)
        assert len(outbox.told) == 2
        journal.commit([paid(9)], Checkpoint(9, "0x9"))  # while it was down
        again = Outbox()
        restarted = notices(again, journal)
        restarted.chain(9)
        assert [one["block"] for one in again.told] == [9]

    def test_what_was_not_delivered_is_told_again_after_a_restart_under_its_id(self, journal: Journal) -> None:
        outbox = Outbox()
        told = notices(outbox, journal)
        told.chain(5)
        outbox.idle = False
        journal.commit([paid(6)], Checkpoint(6, "0x6"))
        told.chain(6)
        told.chain(6)
        again = Outbox()
        notices(again, journal).chain(6)
        assert [one["id"] for one in again.told] == [one["id"] for one in outbox.told] == ["31337/0xb6/0"]

    def test_a_reorganisation_is_survived(self, journal: Journal) -> None:
        outbox = Outbox()
        told = notices(outbox, journal)
        told.chain(5)
        told.chain(8)
        told.chain(6)
        journal.commit([paid(7)], Checkpoint(7, "0x7"))
        told.chain(7)
        assert outbox.kinds() == ["paid"]


class Receiver:
    """A webhook's other end; answers what `answers` says, then 204."""

    def __init__(self, answers: list[int | None]) -> None:
        self.got: list[tuple[str, dict[str, Any], str | None]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                receiver.got.append((self.path, body, self.headers["Authorization"]))
                answer = answers.pop(0) if answers else 204
                if answer is None:
                    self.connection.close()
                    return
                self.send_response(answer)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hooks/secret-path"


@pytest.fixture
def receive() -> Iterator[Callable[..., Receiver]]:
    made: list[Receiver] = []

    def start(*answers: int | None) -> Receiver:
        made.append(Receiver(list(answers)))
        return made[-1]

    yield start
    for one in made:
        one.server.shutdown()
        one.server.server_close()


def until(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.daemon
class TestDelivery:
    def test_a_notice_arrives_with_its_token(self, receive: Callable[..., Receiver]) -> None:
        receiver = receive()
        webhook = Webhook(receiver.url, "secret-token")
        webhook.post({"kind": "red", "text": "a"})
        until(lambda: webhook.idle)
        assert receiver.got == [("/hooks/secret-path", {"kind": "red", "text": "a"}, "Bearer secret-token")]
        webhook.close()

    def test_it_is_tried_again_until_it_is_taken_in_order(
        self, receive: Callable[..., Receiver], caplog: pytest.LogCaptureFixture
    ) -> None:
        receiver, metrics = receive(500, None, 429), Metrics()
        with caplog.at_level(logging.DEBUG):
            webhook = Webhook(receiver.url, "secret-token", metrics.notices, first_pause_s=0.01)
            webhook.post({"kind": "red"})
            webhook.post({"kind": "green"})
            until(lambda: webhook.idle)
        assert [body["kind"] for _, body, _ in receiver.got] == ["red"] * 4 + ["green"]
        ours = [record.getMessage() + str(vars(record)) for record in caplog.records if record.name.startswith("covey")]
        assert len(ours) == 3
        assert not any("secret" in line for line in ours)
        count = metrics.registry.get_sample_value
        assert count("covey_notices_total", {"outcome": "failed"}) == 3
        assert count("covey_notices_total", {"outcome": "delivered"}) == 2
        webhook.close()

    def test_a_refusal_for_good_drops_it_and_the_next_one_goes_on(self, receive: Callable[..., Receiver]) -> None:
        receiver, metrics = receive(404), Metrics()
        webhook = Webhook(receiver.url, None, metrics.notices, first_pause_s=0.01)
        webhook.post({"kind": "red"})
        webhook.post({"kind": "green"})
        until(lambda: webhook.idle)
        assert [body["kind"] for _, body, _ in receiver.got] == ["red", "green"]
        assert receiver.got[0][2] is None
        assert metrics.registry.get_sample_value("covey_notices_total", {"outcome": "dropped"}) == 1
        webhook.close()

    def test_nobody_there_blocks_nobody_and_names_no_secret(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO):
            webhook = Webhook("http://127.0.0.1:1/hooks/secret-path", "secret-token", first_pause_s=0.01, give_up_s=0.2)
            for number in range(3):
                webhook.post({"kind": "red", "number": number})
            until(lambda: webhook.idle)
        assert "notice dropped" in caplog.text
        assert not any("secret" in str(vars(record)) for record in caplog.records)
        webhook.close()

    def test_too_many_drop_the_oldest(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("covey.daemon.monitoring.webhook._MOST", 5)
        metrics = Metrics()
        webhook = Webhook("http://127.0.0.1:1/", None, metrics.notices, first_pause_s=600)
        for number in range(9):
            webhook.post({"number": number})
        assert len(webhook._waiting) == 5
        assert [notice["number"] for _, notice in webhook._waiting] == [4, 5, 6, 7, 8]
        assert metrics.registry.get_sample_value("covey_notices_total", {"outcome": "dropped"}) == 4
        webhook.close(wait_s=0)


def test_the_address_stays_out_of_the_error_about_it(tmp_path: Path) -> None:
    file = tmp_path / "webhook"
    file.write_text("hooks.example/secret-path", encoding="utf-8")
    with pytest.raises(ConfigError, match="must hold an address") as caught:
        webhook_of(file)
    assert "secret" not in str(caught.value)
    file.write_text("https://hooks.example/secret-path\n", encoding="utf-8")
    assert webhook_of(file) == "https://hooks.example/secret-path"
    assert webhook_of(None) is None
