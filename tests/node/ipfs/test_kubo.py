"""Tests against a real Kubo: equal CIDs, verification of its blocks, and its failures."""

from __future__ import annotations

import io
import os
import re
import secrets
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import urllib3
from tests.support.ipfs.samples import DIRECTORIES, MIB, SampleFile, vectors, write_directory, write_sparse
from tests.support.kubo.daemon import KUBO, Kubo
from tests.support.kubo.fixtures import new_kubo

from covey.ipfs import (
    BlockStore,
    Cid,
    CorruptBlock,
    Gateway,
    GatewaySource,
    IpfsError,
    NotFound,
    SourceError,
    directory_cid,
    open_fetcher,
    open_store,
)
from covey.ipfs.kubo import KuboStore, in_the_clear, multiaddr_of
from covey.ipfs.unixfs import build_file

pytestmark = pytest.mark.daemon


@pytest.mark.parametrize(
    "size",
    [
        *(0, 1, MIB - 1, MIB, MIB + 1, 1025 * MIB),
        *(pytest.param(chunks * MIB, marks=[pytest.mark.long, pytest.mark.ci]) for chunks in (1023, 1024)),
    ],
)
def test_file_cids_equal_ipfs_add(kubo: Kubo, size: int, tmp_path: Path) -> None:
    write_sparse(tmp_path / "f", size)
    expected = kubo.run("add", "--quieter", "--only-hash", str(tmp_path / "f"))
    assert str(build_file(SampleFile(size), lambda _cid, _block: None).cid) == expected


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.ci
def test_cid_of_a_file_of_several_gib_equals_ipfs_add(kubo: Kubo, tmp_path: Path) -> None:
    size = 3 * 1024 * MIB + 3
    (tmp_path / "d").mkdir()
    write_sparse(tmp_path / "d" / "f", size)
    expected = kubo.run("add", "--quieter", "--only-hash", "--recursive", str(tmp_path / "d"))
    assert str(directory_cid(tmp_path / "d")) == expected


@pytest.mark.parametrize("name", DIRECTORIES)
def test_directory_cids_equal_ipfs_add(kubo: Kubo, name: str, tmp_path: Path) -> None:
    write_directory(tmp_path / "d", DIRECTORIES[name])
    expected = kubo.run("add", "--quieter", "--only-hash", "--recursive", "--hidden", str(tmp_path / "d"))
    assert str(directory_cid(tmp_path / "d")) == expected == vectors()["directories"][name]


def test_store_connects_to_the_pinned_release(kubo: Kubo) -> None:
    with KuboStore(kubo.rpc) as store:
        assert store.version() == KUBO.version()
        assert store.name == f"kubo at {kubo.rpc}"


def test_no_request_uses_a_deprecated_or_unknown_option(
    kubo: Kubo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Checks every request of a store's operations against Kubo's help text."""
    sent: dict[tuple[str, ...], set[str]] = {}
    send = requests.Session.send

    def record(session: requests.Session, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        url = urlsplit(request.url or "")
        command = tuple(url.path.removeprefix("/api/v0/").split("/"))
        sent.setdefault(command, set()).update(parse_qs(url.query, keep_blank_values=True))
        assert request.method == "POST"
        return send(session, request, **options)

    monkeypatch.setattr(requests.Session, "send", record)
    files = {"f": os.urandom(MIB + 1), "g": b""}
    with KuboStore(kubo.rpc) as store:
        store.version()
        cid = store.add_directory(files, name="task 7")
        other = store.add_directory({"g": os.urandom(9)}, pin=False)
        store.import_car(io.BytesIO(b"".join(store.export_car(other))))
        store.pin(other)
        assert {cid, other} <= {pin.cid for pin in store.pins()}
        store.get_directory(cid, tmp_path / "out")
        store.get_block(cid, timeout=20)
        assert store.has(cid)
        assert store.stat(cid).size == MIB + 1
        store.restore_block(cid, store.get_local(cid), cid)
        store.pin(cid)
        store.unpin(cid)
    monkeypatch.undo()
    used = "block get|block rm|block stat|dag import|pin add|pin ls|pin rm|version"
    assert {" ".join(command) for command in sent} == set(used.split("|"))
    for command, options in sent.items():
        assert not is_deprecated(kubo.run(*command, "--help")), command
        known = options_of(kubo.run(*command, "--help")) | options_of(kubo.run("--help"))
        for option in options - {"arg"}:
            assert not is_deprecated(known[option]), (command, option)
    assert is_deprecated(kubo.run("object", "patch", "--help"))  # the check detects a deprecated command
    assert is_deprecated(options_of(kubo.run("--help"))["local"])


def is_deprecated(help_text: str) -> bool:
    return "DEPRECATED" in help_text


def options_of(help_text: str) -> dict[str, str]:
    """The options in a command's help text: description by name."""
    found: dict[str, str] = {}
    name = ""
    for line in help_text.splitlines():
        if option := re.match(r"  (?:-\w, )*--([\w-]+)(?:, --([\w-]+))? ", line):
            name = option[2] or option[1]
            found[name] = line
        elif name and line.startswith(" " * 20):
            found[name] += line
        else:
            name = ""
    return found


def test_kubo_reads_content_added_by_covey(kubo: Kubo) -> None:
    content = os.urandom(2 * MIB + 1)
    with open_store(kubo.rpc) as store:
        cid = store.add_directory({"f": content, "ü": b"2"}, name="task 7")
    assert kubo.run("cat", f"/ipfs/{cid}/ü") == "2"
    assert sorted(kubo.run("ls", "--size=false", str(cid)).split()[1::2]) == ["f", "ü"]
    assert f"{cid} recursive task 7" in kubo.run("pin", "ls", "--type=recursive", "--names")


def test_covey_reads_content_added_by_kubo(kubo: Kubo, tmp_path: Path) -> None:
    files = {"f": os.urandom(2 * MIB + 1), "g": b""}
    write_directory(tmp_path / "d", files)
    cid = Cid.parse(kubo.run("add", "--quieter", "--recursive", str(tmp_path / "d")))
    with open_store(kubo.rpc) as store:
        out = store.get_directory(cid, tmp_path / "out")
    assert {path.name: path.read_bytes() for path in out.iterdir()} == files


def test_cars_are_exchanged_in_both_directions(kubo: Kubo, embedded: BlockStore, tmp_path: Path) -> None:
    cid = embedded.add_directory({"f": os.urandom(3 * MIB)})
    with open_store(kubo.rpc) as store:
        assert isinstance(store, KuboStore)
        store.import_car(io.BytesIO(b"".join(embedded.export_car(cid))))
        assert store.has(cid)
        assert cid in {pin.cid for pin in store.pins()}
        assert b"".join(store.export_car(cid)) == b"".join(embedded.export_car(cid))
    (tmp_path / "car").write_bytes(b"".join(embedded.export_car(cid)))
    assert str(cid) in kubo.run("dag", "import", str(tmp_path / "car"))


def test_kubo_gateway_is_a_source(kubo: Kubo, embedded: BlockStore, tmp_path: Path) -> None:
    files = {"f": os.urandom(2 * MIB)}
    write_directory(tmp_path / "d", files)
    cid = Cid.parse(kubo.run("add", "--quieter", "--recursive", str(tmp_path / "d")))
    GatewaySource(kubo.gateway).probe()
    with open_fetcher(embedded, [kubo.gateway]) as fetcher:
        out = fetcher.get_directory(cid, tmp_path / "out")
    assert {path.name: path.read_bytes() for path in out.iterdir()} == files


def test_gateway_responses_equal_kubo(kubo: Kubo, embedded: BlockStore) -> None:
    files = {"f": os.urandom(2 * MIB), "g": b"1", "same": bytes(3 * MIB), "twin": bytes(3 * MIB)}
    cid = embedded.add_directory(files)
    with open_store(kubo.rpc) as store:
        assert store.add_directory(files) == cid
    with Gateway(embedded) as gateway:
        for query in (
            "?format=raw",
            "?format=car",
            "?format=car&dag-scope=block",
            "?format=car&dag-scope=entity",
            "/g?format=car&dag-scope=entity",
            "/same?format=car",
            "/f?format=car&dag-scope=entity&entity-bytes=0:9",
            f"/f?format=car&dag-scope=entity&entity-bytes={MIB - 1}:{MIB}",
            "/f?format=car&dag-scope=entity&entity-bytes=-1:*",
            f"/f?format=car&dag-scope=entity&entity-bytes={MIB}:*",
            "/same?format=car&dag-scope=entity&entity-bytes=5:-5",
            "/g?format=car&dag-scope=entity&entity-bytes=0:*",
        ):
            ours = urllib.request.urlopen(f"{gateway.url}/ipfs/{cid}{query}", timeout=30)
            kubos = urllib.request.urlopen(f"{kubo.gateway}/ipfs/{cid}{query}", timeout=30)
            assert ours.read() == kubos.read(), query
            for header in ("Content-Type", "X-Content-Type-Options"):
                assert ours.headers[header] == kubos.headers[header], query


def test_adapter_is_fetched_between_two_kubo_nodes(kubo: Kubo, tmp_path: Path) -> None:
    """Trainer and validator each have a Kubo node; the validator's finds the blocks over libp2p on loopback."""
    files = {"adapter_model.safetensors": os.urandom(3 * MIB + 11), "manifest.json": b"{}"}
    with new_kubo(tmp_path / "second") as second, open_store(kubo.rpc) as trainer, open_store(second.rpc) as validator:
        cid = trainer.add_directory(files)
        assert not validator.has(cid)
        with pytest.raises(NotFound):
            validator.pin(cid)
        second.connect(kubo)
        with open_fetcher(validator, cache=tmp_path / "cache") as fetcher:
            out = fetcher.get_directory(cid, tmp_path / "out")
        assert {path.name: path.read_bytes() for path in out.iterdir()} == files
        assert validator.has(cid)
        validator.pin(cid, "entry")
        assert [(pin.cid, pin.name) for pin in validator.pins() if pin.cid == cid] == [(cid, "entry")]


def test_absent_block_times_out(kubo: Kubo) -> None:
    with open_store(kubo.rpc) as store, pytest.raises((SourceError, NotFound)):
        store.get_block(Cid.directory(secrets.token_bytes(32)), timeout=0.5)


def test_wrong_block_from_kubo_is_detected(kubo: Kubo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with KuboStore(kubo.rpc) as store:
        cid = store.add_directory({"f": b"true"})
        genuine = store._client.block.get

        def wrong_block(text: str, **options: object) -> object:
            return genuine(str(directory_cid({})) if text != str(cid) else text, **options)

        monkeypatch.setattr(store._client.block, "get", wrong_block)
        store.add_directory({})
        with pytest.raises(CorruptBlock, match="do not match it"):
            store.get_directory(cid, tmp_path / "out")


def test_a_bearer_token(tmp_path: Path) -> None:
    token = secrets.token_hex(16)
    with new_kubo(tmp_path / "repo", token=token) as guarded:
        with open_store(guarded.rpc, token=token) as store:
            cid = store.add_directory({"f": b"x"})
            assert store.has(cid)
        for wrong in (None, "wrong"):
            with (
                open_store(guarded.rpc, token=wrong) as store,
                pytest.raises(SourceError, match="bearer token"),
            ):
                store.add_directory({"f": b"x"})


@pytest.mark.parametrize(
    ("address", "clear"),
    [
        ("http://127.0.0.1:5001", False),
        ("http://127.9.8.7:5001", False),
        ("http://localhost:5001", False),
        ("http://[::1]:5001", False),
        ("/ip4/127.0.0.1/tcp/5001", False),
        ("/unix/run/kubo.sock", False),
        ("https://kubo.example", False),
        ("/dns/kubo.example/tcp/443/https", False),
        ("http://kubo.example:5001", True),
        ("http://localhost.example:5001", True),
        ("http://192.168.1.7:5001", True),
        ("http://[fe80::1]:5001", True),
        ("/ip4/10.0.0.7/tcp/5001", True),
        ("/dns4/kubo.example/tcp/5001/http", True),
    ],
)
def test_token_is_not_sent_in_the_clear_to_another_machine(address: str, clear: bool) -> None:
    assert in_the_clear(multiaddr_of(address)) == clear
    if address.startswith("/unix"):
        return
    open_store(address).close()
    open_store(address, token="secret", token_in_clear=True).close()
    if clear:
        with pytest.raises(IpfsError, match=r"over plain http.*use https or a tunnel") as refused:
            open_store(address, token="secret")
        assert "secret" not in str(refused.value)
    else:
        open_store(address, token="secret").close()


def test_unreachable_daemon_is_reported(tmp_path: Path) -> None:
    with new_kubo(tmp_path / "repo") as node:
        rpc = node.rpc
    with open_store(rpc) as store:
        for call in (lambda: store.add_directory({"f": b"x"}), store.pins, lambda: store.has(directory_cid({}))):
            with pytest.raises(SourceError, match="is the daemon running"):
                call()


def test_addresses() -> None:
    for given, meant in (
        ("/ip4/127.0.0.1/tcp/5001", "/ip4/127.0.0.1/tcp/5001"),
        ("http://127.0.0.1:5001", "/ip4/127.0.0.1/tcp/5001/http"),
        ("http://localhost", "/dns/localhost/tcp/5001/http"),
        ("https://kubo.example/", "/dns/kubo.example/tcp/443/https"),
        ("http://[::1]:5001", "/ip6/::1/tcp/5001/http"),
    ):
        assert multiaddr_of(given) == meant
    for wrong in ("http://", "ftp://x", "http://h:99999", "http://h/api", "host"):
        with pytest.raises(IpfsError, match="not a Kubo RPC address"):
            multiaddr_of(wrong)
    with pytest.raises(IpfsError, match="not a Kubo RPC address"):
        open_store("/ip4/127.0.0.1/udp/5001")


def test_cache_of_a_kubo_store_stays_within_its_quota(kubo: Kubo, tmp_path: Path) -> None:
    with (
        open_store(kubo.rpc) as store,
        open_fetcher(store, cache=tmp_path / "cache", cache_quota_bytes=3 * MIB) as fetcher,
    ):
        for _ in range(3):
            fetcher.fetch(store.add_directory({"f": os.urandom(2 * MIB)}))
        assert 2 * MIB < fetcher.cache.usage() < 3 * MIB


def test_peer_named_localhost_is_read_though_kubo_redirects_that_name(kubo: Kubo, tmp_path: Path) -> None:
    with open_store(kubo.rpc) as store:
        cid = store.add_directory({"file": b"content"})
        block = store.get_block(cid)
    url = kubo.gateway.replace("127.0.0.1", "localhost")
    assert "localhost" in url
    answer = urllib3.request("GET", f"{url}/ipfs/{cid}?format=raw", redirect=False)
    assert answer.status == 301, "otherwise this test shows nothing"
    source = GatewaySource(url)
    source.probe()
    assert source.get_block(cid) == block
