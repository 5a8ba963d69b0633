"""WebSocket and IPC endpoints against servers that hang, trickle, close or answer another call."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.server import ServerConnection, serve

from covey.chain.errors import RpcResponseError, TooManyResults
from covey.chain.rpc import endpoint as endpoint_module
from covey.chain.rpc.client import Rpc
from covey.chain.rpc.endpoint import Endpoint, EndpointFault
from covey.chain.rpc.open import open_endpoint

pytestmark = pytest.mark.daemon

Behaviour = Callable[[dict[str, Any], "Link"], None]


class Link:
    """The server's side of one connection over either transport."""

    def __init__(self, send: Callable[[bytes], None], close: Callable[[], None]) -> None:
        self.send = send
        self.close = close

    def answer(self, call: dict[str, Any], result: Any = "0x7", *, call_id: int | None = None) -> None:
        document = {"jsonrpc": "2.0", "id": call["id"] if call_id is None else call_id, "result": result}
        self.send(json.dumps(document).encode())


class WebSocketServer:
    def __init__(self, behaviour: Behaviour) -> None:
        self.connections = 0

        def handle(connection: ServerConnection) -> None:
            self.connections += 1
            link = Link(lambda body: connection.send(body.decode()), connection.close_socket)
            for message in connection:
                behaviour(json.loads(message), link)

        self.server = serve(handle, "127.0.0.1", 0)
        self.url = f"ws://127.0.0.1:{self.server.socket.getsockname()[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()


class IpcServer:
    def __init__(self, behaviour: Behaviour, path: Path) -> None:
        self.connections = 0
        self.url = str(path)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.url)
        self.listener.listen()
        self.behaviour = behaviour
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        link = Link(connection.sendall, lambda: connection.shutdown(socket.SHUT_RDWR))
        with suppress(OSError):  # the client disconnected
            while body := connection.recv(1 << 16):
                self.behaviour(json.loads(body), link)

    def stop(self) -> None:
        self.listener.close()


@pytest.fixture(params=["ws", "ipc"])
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[Behaviour], Any]]:
    servers: list[Any] = []

    def start(behaviour: Behaviour) -> Any:
        server = WebSocketServer(behaviour) if request.param == "ws" else IpcServer(behaviour, tmp_path / "node.ipc")
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.stop()


def ask(endpoint: Endpoint, timeout: float = 30.0) -> Any:
    return endpoint.request("eth_blockNumber", [], timeout)


def test_calls_share_a_connection(start: Callable[[Behaviour], Any]) -> None:
    server = start(lambda call, link: link.answer(call))
    endpoint = open_endpoint(server.url)
    assert [ask(endpoint) for _ in range(3)] == ["0x7"] * 3
    assert server.connections == 1


def test_hanging_server_is_abandoned_at_the_deadline(start: Callable[[Behaviour], Any]) -> None:
    server = start(lambda call, link: None)
    endpoint = open_endpoint(server.url)
    with pytest.raises(EndpointFault, match="no answer in time") as caught:
        ask(endpoint, 0.5)
    assert caught.value.slow
    assert not caught.value.passing


def test_late_answer_does_not_reach_the_next_call(start: Callable[[Behaviour], Any]) -> None:
    calls: list[dict[str, Any]] = []

    def late(call: dict[str, Any], link: Link) -> None:
        calls.append(call)
        if len(calls) == 1:
            time.sleep(0.8)
            link.answer(call, "0x1")
        else:
            link.answer(call, "0x2")

    endpoint = open_endpoint(start(late).url)
    with pytest.raises(EndpointFault):
        ask(endpoint, 0.3)
    time.sleep(1.0)
    assert ask(endpoint) == "0x2"


def test_trickling_answer_is_abandoned_at_the_deadline(tmp_path: Path) -> None:
    def trickle(call: dict[str, Any], link: Link) -> None:
        for _ in range(100):
            try:
                link.send(b" ")
            except OSError:
                return
            time.sleep(0.1)

    endpoint = open_endpoint(IpcServer(trickle, tmp_path / "node.ipc").url)
    with pytest.raises(EndpointFault, match="no answer in time"):
        ask(endpoint, 0.5)


def test_idle_connection_that_was_closed_is_reopened(start: Callable[[Behaviour], Any]) -> None:
    links: list[Link] = []

    def once(call: dict[str, Any], link: Link) -> None:
        links.append(link)
        link.answer(call)

    server = start(once)
    endpoint = open_endpoint(server.url)
    assert ask(endpoint) == "0x7"
    links[0].close()
    time.sleep(0.2)
    assert ask(endpoint) == "0x7"
    assert server.connections == 2


def test_server_that_closes_every_connection_is_a_passing_fault(start: Callable[[Behaviour], Any]) -> None:
    server = start(lambda call, link: link.close())
    with pytest.raises(EndpointFault, match="closed") as caught:
        ask(open_endpoint(server.url))
    assert caught.value.passing


def test_answer_to_another_call_is_rejected(start: Callable[[Behaviour], Any]) -> None:
    server = start(lambda call, link: link.answer(call, call_id=call["id"] + 5))
    with pytest.raises(EndpointFault, match="belongs to another call"):
        ask(open_endpoint(server.url))


def test_error_of_the_node_is_raised(start: Callable[[Behaviour], Any]) -> None:
    def refuse(call: dict[str, Any], link: Link) -> None:
        fault = {"code": -32000, "message": "nonce too low"}
        link.send(json.dumps({"jsonrpc": "2.0", "id": call["id"], "error": fault}).encode())

    with pytest.raises(RpcResponseError, match="nonce too low"):
        ask(open_endpoint(start(refuse).url))


def test_answer_that_is_not_json_is_a_fault(start: Callable[[Behaviour], Any]) -> None:
    def nonsense(call: dict[str, Any], link: Link) -> None:
        link.send(b"nonsense}")
        link.close()

    server = start(nonsense)
    with pytest.raises(EndpointFault):
        ask(open_endpoint(server.url), 2)


def test_oversized_answer_is_cut_off(start: Callable[[Behaviour], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint_module, "MAX_ANSWER_BYTES", 1_000)
    monkeypatch.setattr("covey.chain.rpc.streams.MAX_ANSWER_BYTES", 1_000)
    server = start(lambda call, link: link.answer(call, "0x" + "00" * 2_000))
    with pytest.raises(RpcResponseError, match="response size above 1000 bytes"):
        ask(open_endpoint(server.url))
    rpc = Rpc(server.url, timeout=30, chain_id=7)
    rpc.health[0].checked = True
    with pytest.raises(TooManyResults):  # so that the follower asks for fewer blocks
        rpc.logs([], 0, 10)
    assert rpc.health[0].faults == 0


def test_many_threads_share_one_endpoint(start: Callable[[Behaviour], Any]) -> None:
    server = start(lambda call, link: link.answer(call, hex(call["params"][0])))
    endpoint = open_endpoint(server.url)
    found: dict[int, str] = {}

    def work(number: int) -> None:
        found[number] = endpoint.request("echo", [number], 60)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: hex(number) for number in range(20)}
    assert server.connections == 1


def test_wait_for_an_earlier_call_counts_towards_the_deadline(start: Callable[[Behaviour], Any]) -> None:
    def slow(call: dict[str, Any], link: Link) -> None:
        time.sleep(1.5)
        link.answer(call)

    server = start(slow)
    endpoint = open_endpoint(server.url)
    first = threading.Thread(target=ask, args=(endpoint,))
    first.start()
    time.sleep(0.3)
    with pytest.raises(EndpointFault, match="an earlier call still waits"):
        ask(endpoint, 0.2)
    first.join()


def test_fail_over_between_transports(start: Callable[[Behaviour], Any], tmp_path: Path) -> None:
    server = start(lambda call, link: link.answer(call))
    rpc = Rpc([str(tmp_path / "nothing.ipc"), "ws://127.0.0.1:9", server.url], chain_id=7, timeout=30)
    assert rpc.block_number() == 7
    assert [health.faults for health in rpc.health] == [1, 1, 0]
