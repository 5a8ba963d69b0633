"""`covey tx` on a node's journal, while the node runs and while it does not."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.support.chain.anvil import Chain
from tests.support.chain.sending import TO, new_sender, open_store, plain, status_of

from covey.chain.contracts import Contracts
from covey.chain.deployment import Deployment
from covey.chain.signing.keystore import LocalSigner, create_keystore
from covey.chain.tx.sender import Sender
from covey.chain.tx.store import SqliteTxStore, TxStatus
from covey.cli.access import connect, signer_wallet
from covey.cli.main import main
from covey.cli.settings import load_settings
from covey.client.errors import TransactionFailed
from covey.daemon.storage.data_dir import lock_data_dir

pytestmark = pytest.mark.daemon

KEY = b"\x41" * 32


class Operator:
    """A node's data directory and settings, and a runner of command lines with these settings."""

    def __init__(self, folder: Path, chain: Chain, deployment: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.chain, self.capsys = folder, chain, capsys
        self.signer = LocalSigner.from_key(KEY)
        chain.ask("anvil_setBalance", self.signer.address, hex(10**18))
        create_keystore(folder / "signer.json", "a password", key=KEY, iterations=1 << 10)
        (folder / "password").write_text("a password\n")
        (folder / "data").mkdir()
        records = deployment.save(folder / "deployments")
        (folder / "covey.toml").write_text(
            f'rpc_urls = ["{chain.url}"]\ndeployment = "{records}"\nkeystore = "signer.json"\n'
            'password_file = "password"\ndata_dir = "data"\nconfirmations = 0\n'
        )

    @property
    def journal(self) -> Path:
        return self.folder / "data" / "journal.sqlite"

    def sender(self, **options: Any) -> tuple[Sender, SqliteTxStore]:
        store = open_store(self.journal)
        return new_sender(self.chain.rpc, self.signer, store, **options), store

    def run(self, *arguments: str) -> tuple[int, Any, str]:
        """Exit code, standard output (parsed if it is JSON) and standard error of a command line."""
        code = main([*arguments, "--config", str(self.folder / "covey.toml")])
        shown = self.capsys.readouterr()
        return code, json.loads(shown.out) if shown.out.startswith(("{", "[")) else shown.out, shown.err.strip()


@pytest.fixture
def operator(tmp_path: Path, chain: Chain, deployment: Deployment, capsys: pytest.CaptureFixture[str]) -> Operator:
    """A node with a key, on a chain that mines no block by itself."""
    chain.hold()
    return Operator(tmp_path, chain, deployment, capsys)


@contextmanager
def running(operator: Operator, ticking: bool = True) -> Iterator[None]:
    """A running node's lock and, if `ticking`, its sender on a database connection of its own."""
    lock = lock_data_dir(operator.folder / "data")
    stop = threading.Event()

    def work() -> None:
        sender, _ = operator.sender()
        while not stop.wait(0.05):
            sender.tick()

    thread = threading.Thread(target=work)
    if ticking:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        if ticking:
            thread.join()
        os.close(lock)


def test_stopped_nodes_transaction_is_listed_bumped_and_cancelled(operator: Operator) -> None:
    sender, _ = operator.sender()
    sender.submit("duty/1", plain())
    sender.tick()
    code, (listed,), _ = operator.run("tx", "list", "--json")
    assert code == 0
    assert (listed["id"], listed["key"], listed["what"], listed["status"]) == (1, "duty/1", "send 5 wei", "pending")
    assert (listed["nonce"], listed["sender"], len(listed["attempts"])) == (0, operator.signer.address, 1)

    code, bumped, _ = operator.run("tx", "bump", "1", "--json")
    assert (code, bumped["done_by"]) == (0, "command")
    old, new = bumped["attempts"]
    assert new["nonce"] == old["nonce"] == 0
    assert int(new["max_fee"]) * 8 >= int(old["max_fee"]) * 9

    code, cancelled, _ = operator.run("tx", "cancel", "1", "--json")
    assert code == 0
    assert [attempt["cancels"] for attempt in cancelled["attempts"]] == [False, False, True]
    waiting = operator.chain.rpc.transaction(cancelled["attempts"][-1]["transaction"])
    assert waiting is not None
    assert (waiting["value"], waiting["to"]) == ("0x0", operator.signer.address.lower())

    operator.chain.mine()
    sender.tick()
    assert status_of(sender, "duty/1") == TxStatus.CANCELLED
    assert operator.chain.rpc.balance(TO) == 0
    code, out, _ = operator.run("tx", "list")
    assert code == 0
    assert out.startswith("    1  cancelled  send 5 wei\n")
    assert "nonce 0, 3 offers, up to " in out
    assert "cancelled: an empty self-transfer took its nonce\n" in out


def test_running_node_carries_out_requests_without_the_commands_key(operator: Operator) -> None:
    sender, _ = operator.sender()
    sender.submit("duty/1", plain())
    sender.tick()
    (operator.folder / "signer.json").unlink()
    with running(operator):
        code, bumped, error = operator.run("tx", "bump", "1", "--json")
        assert (code, error) == (0, "")
        assert (bumped["done_by"], len(bumped["attempts"])) == ("node", 2)
        code, cancelled, _ = operator.run("tx", "cancel", "1", "--json")
        assert (code, cancelled["done_by"], cancelled["attempts"][-1]["cancels"]) == (0, "node", True)
    operator.chain.mine()
    sender.tick()
    assert status_of(sender, "duty/1") == TxStatus.CANCELLED


def test_busy_node_carries_out_the_request_later(operator: Operator) -> None:
    sender, store = operator.sender()
    sender.submit("duty/1", plain())
    sender.tick()
    with running(operator, ticking=False):
        code, out, _ = operator.run("tx", "bump", "1", "--wait", "0")
        assert code == 0
        assert "the running node has not done it yet" in out
    assert len(store.attempts(1)) == 1
    sender.tick()
    assert len(store.attempts(1)) == 2


def test_command_for_a_stopped_node_sends_no_unsigned_transaction(operator: Operator) -> None:
    sender, store = operator.sender(max_in_flight=1)
    sender.submit("a", plain(1))
    sender.submit("b", plain(2))
    sender.tick()
    code, out, _ = operator.run("tx", "bump", "1")
    assert code == 0
    assert "send 1 wei: the same call at nonce 0 for up to" in out
    assert store.attempts(2) == []
    code, out, _ = operator.run("tx", "cancel", "2")
    assert (code, "cancelled before anything was signed" in out) == (0, True)
    code, out, _ = operator.run("tx", "retry", "2")
    assert (code, out) == (0, "send 2 wei: queued again\n")
    operator.chain.mine()
    sender.tick()
    operator.chain.mine()
    sender.tick()
    assert status_of(sender, "a") == status_of(sender, "b") == TxStatus.DONE
    code, listed, _ = operator.run("tx", "list", "--open", "--json")
    assert (code, listed) == (0, [])


def test_impossible_request_is_reported_in_one_line(operator: Operator) -> None:
    code, _, error = operator.run("tx", "list")
    assert (code, "no such journal; has this node ever run?" in error) == (2, True)
    assert main(["tx", "list"]) == 2
    assert "give --data-dir" in operator.capsys.readouterr().err
    sender, store = operator.sender()
    sender.submit("a", plain(1))
    for arguments, message in (
        (("bump", "7"), "there is no transaction 7"),
        (("bump", "1"), "transaction 1 is queued: nothing was signed for it yet"),
        (("retry", "1"), "transaction 1 is queued: there is nothing to try again"),
    ):
        code, _, error = operator.run("tx", *arguments)
        assert (code, message in error) == (2, True), error
    sender.tick()
    code, _, error = operator.run("tx", "bump", "1", "--max-gas-price", "1 gwei")
    assert (code, "cannot bump: a higher offer would be above the fee cap of 1000000000 wei" in error) == (1, True)
    other = LocalSigner.from_key(b"\x42" * 32)
    create_keystore(operator.folder / "other.json", "a password", key=other.key, iterations=1 << 10)
    code, _, error = operator.run("tx", "bump", "1", "--keystore", str(operator.folder / "other.json"))
    assert (code, f"was signed by {operator.signer.address}, not by {other.address}" in error) == (2, True)
    code, _, error = operator.run("tx", "bump", "1", "--rpc-urls", "http://127.0.0.1:1")
    assert (code, "no RPC endpoint answered" in error) == (1, True)
    assert store.find(1).action is None  # type: ignore[union-attr]
    assert len(store.attempts(1)) == 1
    operator.chain.mine()
    sender.tick()
    for command in ("bump", "cancel"):
        code, _, error = operator.run("tx", command, "1")
        assert (code, "transaction 1 (send 1 wei) is over: done" in error) == (2, True)
    (operator.folder / "data" / "journal.sqlite").write_bytes(b"no database at all" * 100)
    code, _, error = operator.run("tx", "list")
    assert (code, "not a database" in error) == (1, True)


def test_command_sends_through_the_queue_of_a_running_node(operator: Operator) -> None:
    operator.chain.ask("evm_setAutomine", True)
    operator.sender()
    settings = load_settings({}, str(operator.folder / "covey.toml"))
    with running(operator):
        receipt = signer_wallet(connect(settings), settings).send(plain(3))
    assert receipt.succeeded
    code, (listed,), _ = operator.run("tx", "list", "--json")
    assert (code, listed["transaction"], listed["what"]) == (0, receipt.tx_hash, "send 3 wei")
    sender, _ = operator.sender()
    assert sender.tick().external == ""


def test_transaction_sent_for_a_stopped_node_is_not_external_later(operator: Operator) -> None:
    operator.chain.ask("evm_setAutomine", True)
    sender, store = operator.sender()
    assert sender.tick().external == ""
    settings = load_settings({}, str(operator.folder / "covey.toml"))
    assert signer_wallet(connect(settings), settings).send(plain(3)).succeeded
    later, _ = operator.sender()
    assert later.tick().external == ""
    assert store.last_external_use(operator.signer.address) is None


def test_revert_is_reported_by_a_command_beside_a_running_node(operator: Operator, contracts: Contracts) -> None:
    operator.sender()
    settings = load_settings({}, str(operator.folder / "covey.toml"))
    call = contracts.staking.set_commission(100)
    with running(operator), pytest.raises(TransactionFailed, match=r"set commission to 1%: StakingUnknownOperator"):
        signer_wallet(connect(settings), settings).send(call)
