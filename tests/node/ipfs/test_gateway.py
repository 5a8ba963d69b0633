"""The read-only gateway, against the trustless gateway specification."""

from __future__ import annotations

import http.client
import io
import os
import socket
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

import pytest
from tests.support.ipfs.samples import MIB

from covey.ipfs import BlockStore, Cid, Gateway, GatewaySource, IpfsError, NotFound, SourceError, car
from covey.ipfs.cid import Identity

pytestmark = pytest.mark.daemon

FILES = {"a b.bin": os.urandom(2 * MIB + 9), "manifest.json": b"{}"}
RAW_TYPE = "application/vnd.ipld.raw"
CAR_TYPE = "application/vnd.ipld.car"


@pytest.fixture
def cid(embedded: BlockStore) -> Cid:
    return embedded.add_directory(FILES)


@pytest.fixture
def gateway(embedded: BlockStore) -> Iterator[Gateway]:
    with Gateway(embedded, max_connections=4) as running:
        yield running


def request(
    gateway: Gateway, path: str, method: str = "GET", headers: dict[str, str] | None = None
) -> tuple[int, http.client.HTTPMessage, bytes]:
    address = urlsplit(gateway.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=20)
    try:
        connection.request(method, path, headers=headers or {})
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def test_raw_block(gateway: Gateway, cid: Cid, embedded: BlockStore) -> None:
    for path, headers in ((f"/ipfs/{cid}?format=raw", {}), (f"/ipfs/{cid}", {"Accept": RAW_TYPE})):
        status, found, body = request(gateway, path, headers=headers)
        assert status == 200
        assert body == embedded.get_block(cid)
        assert found["Content-Type"] == RAW_TYPE
        assert found["Content-Length"] == str(len(body))
        assert found["X-Content-Type-Options"] == "nosniff"
        assert found["Content-Disposition"] == f'attachment; filename="{cid}.bin"'
        assert "immutable" in found["Cache-Control"]
        assert found["ETag"] == f'"{cid}.raw"'
    status, found, body = request(gateway, f"/ipfs/{cid}?format=raw", "HEAD")
    assert (status, body) == (200, b"")
    assert found["Content-Length"] == str(len(embedded.get_block(cid)))
    assert request(gateway, f"/ipfs/{cid}?format=raw", headers={"If-None-Match": f'"{cid}.raw"'})[0] == 304


def test_car_of_a_directory(gateway: Gateway, cid: Cid, embedded: BlockStore) -> None:
    for path, headers in ((f"/ipfs/{cid}?format=car", {}), (f"/ipfs/{cid}", {"Accept": f"{CAR_TYPE}; version=1"})):
        status, found, body = request(gateway, path, headers=headers)
        assert status == 200
        assert body == b"".join(embedded.export_car(cid))
        assert found["Content-Type"] == f"{CAR_TYPE}; version=1; order=dfs; dups=n"
        assert found["X-Content-Type-Options"] == "nosniff"
    assert request(gateway, f"/ipfs/{cid}?format=car", "HEAD")[::2] == (200, b"")


def blocks_of(body: bytes) -> tuple[Cid, list[Cid]]:
    root, sections = car.read(io.BytesIO(body))
    return root, [cid for cid, _ in sections]


def test_scopes_and_paths(gateway: Gateway, cid: Cid, embedded: BlockStore) -> None:
    plan = embedded.local_plan(cid)
    file = plan.file("a b.bin")
    path = f"/ipfs/{cid}/{quote('a b.bin')}?format=car"
    for query, expected_root, expected in (
        (f"/ipfs/{cid}?format=car&dag-scope=block", cid, [cid]),
        (f"/ipfs/{cid}?format=car&dag-scope=entity", cid, [cid]),
        (path, file.cid, [cid, *file.order]),
        (path + "&dag-scope=entity", file.cid, [cid, *file.order]),
        (path + "&dag-scope=block", file.cid, [cid, file.cid]),
        (f"/ipfs/{file.cid}?format=car&dag-scope=entity", file.cid, list(file.order)),
    ):
        status, _, body = request(gateway, query)
        assert status == 200
        root, found = blocks_of(body)
        assert root == expected_root
        assert found == expected


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 404),
        ("/ipfs/", 404),
        ("/ipns/example.org?format=raw", 404),
        ("/ipfs/bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354?format=raw", 404),
        ("/ipfs/bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354?format=car", 404),
        ("/ipfs/CID/absent?format=car", 404),
        ("/ipfs/nonsense?format=raw", 400),
        ("/ipfs/CID/manifest.json?format=raw", 400),
        ("/ipfs/CID?format=car&dag-scope=galaxy", 400),
        ("/ipfs/CID", 400),
        ("/ipfs/CID?format=tar", 406),
        ("/ipfs/CID?format=car&car-version=2", 406),
        ("/ipfs/CID?format=car&entity-bytes=5", 400),
        ("/ipfs/CID?format=car&entity-bytes=*:5", 400),
        ("/ipfs/CID?format=car&entity-bytes=a:b", 400),
        ("/ipfs/bafkqaaa?format=raw", 200),
    ],
)
def test_statuses(gateway: Gateway, cid: Cid, path: str, status: int) -> None:
    found, headers, body = request(gateway, path.replace("CID", str(cid)))
    assert found == status
    assert headers["Content-Length"] == str(len(body))


@pytest.mark.parametrize(
    ("part", "leaves"),
    [
        ("0:*", [0, 1, 2]),
        ("0:0", [0]),
        (f"{MIB - 1}:{MIB}", [0, 1]),
        (f"{MIB}:{2 * MIB - 1}", [1]),
        ("-9:*", [2]),
        ("-10:*", [1, 2]),
        ("0:-10", [0, 1]),
        ("-99999999:3", [0]),
        (f"{5 * MIB}:*", []),
        ("7:3", [0]),
    ],
)
def test_car_of_a_part_of_a_file(
    gateway: Gateway, cid: Cid, embedded: BlockStore, part: str, leaves: list[int]
) -> None:
    file = embedded.local_plan(cid).file("a b.bin")
    status, found, body = request(gateway, f"/ipfs/{cid}/{quote('a b.bin')}?format=car&entity-bytes={part}")
    assert status == 200
    assert blocks_of(body) == (file.cid, [cid, file.cid, *(file.leaves[number].cid for number in leaves)])
    assert part in found["ETag"]
    status, _, body = request(gateway, f"/ipfs/{cid}?format=car&entity-bytes={part}")
    assert blocks_of(body) == (cid, [cid]), "a directory has no bytes, so its block is returned"


def test_other_types_are_not_acceptable(gateway: Gateway, cid: Cid) -> None:
    assert request(gateway, f"/ipfs/{cid}", headers={"Accept": "text/html"})[0] == 406


def test_other_methods_are_refused(gateway: Gateway, cid: Cid) -> None:
    for method in ("POST", "PUT", "DELETE"):
        assert request(gateway, f"/ipfs/{cid}?format=raw", method)[0] == 501


def test_connection_is_reused(gateway: Gateway, cid: Cid) -> None:
    address = urlsplit(gateway.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=20)
    for path, status in (
        (f"/ipfs/{cid}?format=raw", 200),
        ("/ipfs/x?format=raw", 400),
        (f"/ipfs/{cid}?format=car", 200),
    ):
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
        assert response.status == status
        assert not response.will_close
    connection.close()


def test_damaged_block_is_not_served(gateway: Gateway, cid: Cid, embedded: BlockStore) -> None:
    leaf = embedded.local_plan(cid).file("a b.bin").leaves[1].cid
    path = embedded._files.path(leaf.digest)
    path.write_bytes(b"x" * path.stat().st_size)
    assert request(gateway, f"/ipfs/{leaf}?format=raw")[0] == 500
    with pytest.raises(http.client.IncompleteRead):
        request(gateway, f"/ipfs/{cid}?format=car")


def test_excess_clients_are_refused(gateway: Gateway, cid: Cid) -> None:
    address = urlsplit(gateway.url)
    idle = [socket.create_connection((address.hostname or "", address.port or 0), timeout=20) for _ in range(4)]
    try:
        for connection in idle:  # a response means that its thread is running
            connection.sendall(b"HEAD /ipfs/bafkqaaa?format=raw HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(15) == b"HTTP/1.1 200 OK"
        assert request(gateway, f"/ipfs/{cid}?format=raw")[0] == 503
    finally:
        for connection in idle:
            connection.close()


def test_garbage_does_not_stop_the_gateway(gateway: Gateway, cid: Cid) -> None:
    address = urlsplit(gateway.url)
    for garbage in (b"\0" * 70_000, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"A: b\r\n" * 200, b""):
        with socket.create_connection((address.hostname or "", address.port or 0), timeout=20) as connection:
            connection.sendall(garbage)
    assert request(gateway, f"/ipfs/{cid}?format=raw")[0] == 200


def test_gateway_as_a_source(gateway: Gateway, cid: Cid, embedded: BlockStore) -> None:
    source = GatewaySource(gateway.url + "/")
    assert source.name == gateway.url
    source.probe()
    assert source.get_block(cid) == embedded.get_block(cid)
    with pytest.raises(NotFound, match="does not have"):
        source.get_block(Cid.directory(bytes(32)))
    source.close()


def test_port_in_use_is_reported(gateway: Gateway, embedded: BlockStore) -> None:
    port = urlsplit(gateway.url).port
    with pytest.raises(IpfsError, match=f"cannot serve blocks at 127.0.0.1:{port}: Address already in use"):
        Gateway(embedded, port=port or 0)


def test_stopped_gateway_is_reported(embedded: BlockStore) -> None:
    with Gateway(embedded) as running:
        source = GatewaySource(running.url)
    with pytest.raises(SourceError, match="Connection refused"):
        source.probe()


@pytest.mark.parametrize("url", ["", "host:80", "ftp://host", "http://", "http://host/?x=1"])
def test_bad_url_is_refused(url: str) -> None:
    with pytest.raises(IpfsError, match="is not a gateway"):
        GatewaySource(url)


@pytest.mark.parametrize("query", ["", "&dag-scope=block", "&dag-scope=entity", "&entity-bytes=0:*"])
def test_car_cannot_be_asked_for_in_ranges(gateway: Gateway, cid: Cid, query: str) -> None:
    for method in ("GET", "HEAD"):
        status, found, _ = request(gateway, f"/ipfs/{cid}?format=car{query}", method, {"Range": "bytes=0-9"})
        assert (status, found["Accept-Ranges"]) == (200, "none")


def test_answers_name_the_path_and_its_roots(gateway: Gateway, cid: Cid, embedded: BlockStore) -> None:
    file = embedded.local_plan(cid).file("a b.bin").cid
    for path, query, roots in (
        (f"/ipfs/{cid}", "?format=raw", f"{cid}"),
        (f"/ipfs/{file}", "?format=raw", f"{file}"),
        (f"/ipfs/{cid}", "?format=car", f"{cid}"),
        (f"/ipfs/{cid}/a%20b.bin", "?format=car", f"{cid},{file}"),
        ("/ipfs/bafkqaaa", "?format=raw", "bafkqaaa"),
        ("/ipfs/bafkqaaa", "?format=car", "bafkqaaa"),
    ):
        for method in ("GET", "HEAD"):
            status, found, _ = request(gateway, path + query, method)
            assert (status, found["X-Ipfs-Path"], found["X-Ipfs-Roots"]) == (200, path, roots)


@pytest.mark.parametrize(
    ("asked", "header"),
    [
        ("adapter.bin", 'attachment; filename="adapter.bin"'),
        ("t%C3%A9st.car", "attachment; filename=\"t_st.car\"; filename*=UTF-8''t%C3%A9st.car"),
        ("a%22b", "attachment; filename=\"a_b\"; filename*=UTF-8''a%22b"),
        ("..%2Fetc%5Cx", 'attachment; filename=".._etc_x"'),
        ("a%0D%0ASet-Cookie:%20x", 'attachment; filename="aSet-Cookie: x"'),
    ],
)
def test_client_chooses_the_name_of_the_file(gateway: Gateway, cid: Cid, asked: str, header: str) -> None:
    for target in (f"{cid}?format=raw", f"{cid}?format=car", "bafkqaaa?format=raw", "bafkqabtimvwgy3yk?format=car"):
        status, found, _ = request(gateway, f"/ipfs/{target}&filename={asked}")
        assert (status, found["Content-Disposition"]) == (200, header)
        assert found["Set-Cookie"] is None


def test_identity_cid_is_served_as_block_and_as_car(gateway: Gateway) -> None:
    # the bytes that Kubo 0.43 serves
    empty = "19a265726f6f747381d82a450001550000" + "6776657273696f6e01"
    hello = "1fa265726f6f747381d82a4b000155000668656c6c6f0a6776657273696f6e01"
    for name, content, as_car in (("bafkqaaa", b"", empty), ("bafkqabtimvwgy3yk", b"hello\n", hello)):
        status, found, body = request(gateway, f"/ipfs/{name}?format=raw")
        assert (status, body, found["Content-Length"]) == (200, content, str(len(content)))
        status, found, body = request(gateway, f"/ipfs/{name}?format=car")
        assert (status, body.hex(), found["Content-Length"]) == (200, as_car, str(len(body)))
        assert found["Content-Type"] == f"{CAR_TYPE}; version=1; order=dfs; dups=n"
        assert request(gateway, f"/ipfs/{name}?format=car", "HEAD")[::2] == (200, b"")
        assert request(gateway, f"/ipfs/{name}?format=car", headers={"If-None-Match": found["ETag"]})[0] == 304
        assert request(gateway, f"/ipfs/{name}/file?format=car")[0] == 404
    long = str(Identity(0x55, bytes(range(127))))
    for form, length in (("raw", 127), ("car", 155)):
        status, _, body = request(gateway, f"/ipfs/{long}?format={form}")
        assert (status, len(body)) == (200, length)
