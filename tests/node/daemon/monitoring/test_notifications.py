"""Notifications: each is sent once, delivered through failures of a real HTTP server, and no secret is logged."""

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
from tests.support.daemon.scenario import OPERATOR

from covey.chain.events.decoder import Event
from covey.chain.events.follower import Checkpoint
from covey.daemon.monitoring.metrics import Metrics, Snapshot
from covey.daemon.monitoring.notifications import Notifications
from covey.daemon.monitoring.webhook import Webhook
from covey.daemon.storage.journal import Journal

OTHER = "0x" + "07" * 20
CVY = 10**18


class RecordingOutbox:
    def __init__(self) -> None:
        self.posted: list[dict[str, Any]] = []
        self.idle = True

    def post(self, notification: dict[str, Any]) -> None:
        self.posted.append(notification)

    def kinds(self) -> list[str]:
        return [notification["kind"] for notification in self.posted]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "journal.sqlite", None)
    yield journal
    journal.close()


def notifications_to(outbox: RecordingOutbox, journal: Journal, debounce_s: float = 0.0) -> Notifications:
    return Notifications(outbox, journal, OPERATOR, 31337, debounce_s=debounce_s)


def paid(block: int, operator: str = OPERATOR, amount: int = 3 * CVY) -> Event:
    args = {"taskId": 4, "operator": operator, "seats": 2, "gain": 1, "amount": amount}
    return Event("ScoringRewardClaimed", "Rewards", args, block, f"0xb{block}", "0xt", 0)


def slashed(block: int) -> Event:
    args = {
        "operator": OPERATOR,
        "duty": OTHER,
        "fromActive": CVY,
        "fromUnbonding": CVY,
        "reporter": OTHER,
        "reporterReward": 1,
    }
    return Event("Slashed", "Staking", args, block, f"0xb{block}", "0xt", 1)


class TestContent:
    def test_red_and_green_are_sent_once_each(self, journal: Journal) -> None:
        outbox = RecordingOutbox()
        notifications = notifications_to(outbox, journal)
        notifications.on_health(Snapshot())  # starting
        notifications.on_health(Snapshot(problems=()))
        for _ in range(3):
            notifications.on_health(Snapshot(problems=("no new block for 200 s",)))
        for _ in range(2):
            notifications.on_health(Snapshot(problems=()))
        assert outbox.kinds() == ["red", "green"]
        assert outbox.posted[0]["text"] == "no new block for 200 s"
        assert outbox.posted[0]["operator"] == OPERATOR

    def test_a_short_red_is_not_sent(self, journal: Journal) -> None:
        outbox = RecordingOutbox()
        notifications = notifications_to(outbox, journal, debounce_s=60)
        notifications.on_health(Snapshot(problems=("a short outage",)))
        notifications.on_health(Snapshot(problems=()))
        assert outbox.posted == []

    def test_a_missed_duty_is_sent_at_once_and_once(self, journal: Journal) -> None:
        outbox = RecordingOutbox()
        notifications = notifications_to(outbox, journal, debounce_s=60)
        for _ in range(2):
            notifications.on_health(Snapshot(missed=("score/4/0/0",), problems=("missed: score/4/0/0",)))
        assert [(sent["kind"], sent["duty"]) for sent in outbox.posted] == [("missed", "score/4/0/0")]

    def test_payouts_since_the_first_start_are_sent_also_after_a_restart(self, journal: Journal) -> None:
        outbox = RecordingOutbox()
        notifications = notifications_to(outbox, journal)
        journal.commit([paid(5)], Checkpoint(5, "0x5"))
        notifications.on_settled(5)
        assert outbox.posted == [], "what precedes the first start is not sent"
        journal.commit([paid(6), paid(6, OTHER)._replace(log_index=3), slashed(6)], Checkpoint(6, "0x6"))
        notifications.on_settled(6)
        assert [sent["text"] for sent in outbox.posted] == ["task 4 paid 3 CVY for scoring", "slashed: 2 CVY"]
        notifications.on_settled(6)
        assert len(outbox.posted) == 2
        journal.commit([paid(9)], Checkpoint(9, "0x9"))  # while it was down
        again = RecordingOutbox()
        restarted = notifications_to(again, journal)
        restarted.on_settled(9)
        assert [sent["block"] for sent in again.posted] == [9]

    def test_an_undelivered_notification_is_sent_again_after_a_restart_with_the_same_id(self, journal: Journal) -> None:
        outbox = RecordingOutbox()
        notifications = notifications_to(outbox, journal)
        notifications.on_settled(5)
        outbox.idle = False
        journal.commit([paid(6)], Checkpoint(6, "0x6"))
        notifications.on_settled(6)
        notifications.on_settled(6)
        again = RecordingOutbox()
        notifications_to(again, journal).on_settled(6)
        assert [sent["id"] for sent in again.posted] == [sent["id"] for sent in outbox.posted] == ["31337/0xb6/0"]

    def test_events_after_a_reorganisation_are_sent(self, journal: Journal) -> None:
        outbox = RecordingOutbox()
        notifications = notifications_to(outbox, journal)
        notifications.on_settled(5)
        notifications.on_settled(8)
        notifications.on_settled(6)
        journal.commit([paid(7)], Checkpoint(7, "0x7"))
        notifications.on_settled(7)
        assert outbox.kinds() == ["paid"]


class Receiver:
    """A webhook server that responds with `statuses`, then with 204. None closes the connection."""

    def __init__(self, statuses: list[int | None]) -> None:
        self.received: list[tuple[str, dict[str, Any], str | None]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                receiver.received.append((self.path, body, self.headers["Authorization"]))
                status = statuses.pop(0) if statuses else 204
                if status is None:
                    self.connection.close()
                    return
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hooks/secret-path"


@pytest.fixture
def receive() -> Iterator[Callable[..., Receiver]]:
    receivers: list[Receiver] = []

    def start(*statuses: int | None) -> Receiver:
        receivers.append(Receiver(list(statuses)))
        return receivers[-1]

    yield start
    for receiver in receivers:
        receiver.server.shutdown()
        receiver.server.server_close()


def wait_until_idle(webhook: Webhook) -> None:
    end = time.monotonic() + 120
    while not webhook.idle:
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.daemon
class TestDelivery:
    def test_a_notification_arrives_with_its_token(self, receive: Callable[..., Receiver]) -> None:
        receiver = receive()
        webhook = Webhook(receiver.url, "secret-token")
        webhook.post({"kind": "red", "text": "a"})
        wait_until_idle(webhook)
        assert receiver.received == [("/hooks/secret-path", {"kind": "red", "text": "a"}, "Bearer secret-token")]
        webhook.close()

    def test_a_notification_is_retried_until_accepted_in_order(
        self, receive: Callable[..., Receiver], caplog: pytest.LogCaptureFixture
    ) -> None:
        receiver, metrics = receive(500, None, 429), Metrics()
        with caplog.at_level(logging.DEBUG):
            webhook = Webhook(receiver.url, "secret-token", metrics.notifications, first_delay_s=0.01)
            webhook.post({"kind": "red"})
            webhook.post({"kind": "green"})
            wait_until_idle(webhook)
        assert [body["kind"] for _, body, _ in receiver.received] == ["red"] * 4 + ["green"]
        logged = [
            record.getMessage() + str(vars(record)) for record in caplog.records if record.name.startswith("covey")
        ]
        assert len(logged) == 3
        assert not any("secret" in line for line in logged)
        count = metrics.registry.get_sample_value
        assert count("covey_notifications_total", {"outcome": "failed"}) == 3
        assert count("covey_notifications_total", {"outcome": "delivered"}) == 2
        webhook.close()

    def test_a_permanent_rejection_drops_the_notification_and_continues(self, receive: Callable[..., Receiver]) -> None:
        receiver, metrics = receive(404), Metrics()
        webhook = Webhook(receiver.url, None, metrics.notifications, first_delay_s=0.01)
        webhook.post({"kind": "red"})
        webhook.post({"kind": "green"})
        wait_until_idle(webhook)
        assert [body["kind"] for _, body, _ in receiver.received] == ["red", "green"]
        assert receiver.received[0][2] is None
        assert metrics.registry.get_sample_value("covey_notifications_total", {"outcome": "dropped"}) == 1
        webhook.close()

    def test_an_unreachable_webhook_neither_blocks_nor_leaks_its_url(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO):
            webhook = Webhook("http://127.0.0.1:1/hooks/secret-path", "secret-token", first_delay_s=0.01, give_up_s=0.2)
            for number in range(3):
                webhook.post({"kind": "red", "number": number})
            wait_until_idle(webhook)
        assert "notification dropped" in caplog.text
        assert not any("secret" in str(vars(record)) for record in caplog.records)
        webhook.close()

    def test_a_full_queue_drops_the_oldest(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("covey.daemon.monitoring.webhook._QUEUE_LIMIT", 5)
        metrics = Metrics()
        webhook = Webhook("http://127.0.0.1:1/", None, metrics.notifications, first_delay_s=600)
        for number in range(9):
            webhook.post({"number": number})
        assert len(webhook._queue) == 5
        assert [notification["number"] for _, notification in webhook._queue] == [4, 5, 6, 7, 8]
        assert metrics.registry.get_sample_value("covey_notifications_total", {"outcome": "dropped"}) == 4
        webhook.close(wait_s=0)
