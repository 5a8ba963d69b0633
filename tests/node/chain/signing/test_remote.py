"""Remote signers: their requests, and the rejection of every result other than the requested transaction.

The Web3Signer here is a fake that follows the documented formats and signs with a real key. `test_clef.py` uses a real
Clef.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from eth_account import Account
from tests.support.chain.anvil import CHAIN_ID, Chain
from tests.support.chain.sending import TO, finish, new_sender, open_store, plain, status_of
from tests.support.chain.web3signer import Web3SignerServer

from covey.chain.errors import FatalError, SignerUnreachable, SigningFailed
from covey.chain.signing.keystore import LocalSigner
from covey.chain.signing.remote import Web3Signer, open_remote, printable_location, split_location
from covey.chain.signing.verify import verify_signed
from covey.chain.tx.store import TxStatus

pytestmark = pytest.mark.daemon

KEY, OTHER = b"\x11" * 32, b"\x22" * 32
ADDRESS = LocalSigner.from_key(KEY).address
FIELDS = {
    "type": 2, "chainId": CHAIN_ID, "nonce": 7, "to": "0x" + "77" * 20, "value": 5, "gas": 21_000, "data": b"\1\2",
    "maxFeePerGas": 1000, "maxPriorityFeePerGas": 10,
}  # fmt: skip


@pytest.fixture
def server() -> Iterator[Web3SignerServer]:
    with Web3SignerServer([KEY], CHAIN_ID) as running:
        yield running


def test_signature_equals_that_of_a_local_signer(server: Web3SignerServer) -> None:
    signer = open_remote(f"web3signer:{server.url}", None)
    assert signer.address == ADDRESS
    assert signer.sign_transaction(FIELDS) == LocalSigner.from_key(KEY).sign_transaction(FIELDS)
    creation = {name: value for name, value in FIELDS.items() if name != "to"}
    assert signer.sign_transaction(creation) == LocalSigner.from_key(KEY).sign_transaction(creation)
    (request,) = server.requests[-1]["params"]
    assert request["nonce"] == "0x7"
    assert "to" not in request


def test_sender_sends_a_transaction_signed_by_web3signer(server: Web3SignerServer, chain: Chain) -> None:
    chain.ask("anvil_setBalance", ADDRESS, hex(10**18))
    store = open_store()
    sender = new_sender(chain.rpc, open_remote(f"web3signer:{server.url}", ADDRESS), store)
    sender.submit("a", plain())
    finish(sender, "a")
    assert status_of(sender, "a") == TxStatus.DONE
    assert chain.rpc.balance(TO) == 5


def change(**given: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda fields: {**fields, **given}


@pytest.mark.parametrize(
    ("tamper", "message"),
    [
        (change(to="0x" + "66" * 20), r"changed to: 0x6666.* instead of 0x7777"),
        (change(value=6), "changed value: 0x06 instead of 0x05"),
        (change(nonce=8), "changed nonce: 0x08 instead of 0x07"),
        (change(gas=30_000), "changed gas"),
        (change(data=b"\1\3"), "changed data"),
        (change(maxFeePerGas=1001), "changed maxFeePerGas"),
        (change(maxPriorityFeePerGas=11), "changed maxPriorityFeePerGas"),
        (change(chainId=1), "changed chainId: 0x01 instead of 0x7a69"),
        (change(accessList=[{"address": "0x" + "66" * 20, "storageKeys": []}]), "changed accessList"),
    ],
)
def test_changed_field_is_named(server: Web3SignerServer, tamper: Any, message: str) -> None:
    signer = open_remote(f"web3signer:{server.url}", ADDRESS)
    server.tamper = tamper
    with pytest.raises(SigningFailed, match=f"the signer {message}"):
        signer.sign_transaction(FIELDS)


def legacy() -> str:
    fields = {"nonce": 7, "to": FIELDS["to"], "value": 5, "gas": 21_000, "data": b"\1\2", "gasPrice": 1000}
    return "0x" + bytes(Account.from_key(KEY).sign_transaction(fields | {"chainId": CHAIN_ID}).raw_transaction).hex()


def by_another_key() -> str:
    return "0x" + LocalSigner.from_key(OTHER).sign_transaction(FIELDS).raw.hex()


def high_s() -> str:
    """The valid signature with the complementary s: it recovers to the same address, and nodes refuse it."""
    import rlp  # type: ignore[import-untyped]

    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    items = rlp.decode(LocalSigner.from_key(KEY).sign_transaction(FIELDS).raw[1:])
    items[-1] = (order - int.from_bytes(items[-1], "big")).to_bytes(32, "big")
    items[-3] = b"" if items[-3] else b"\1"
    complement = b"\2" + rlp.encode(items)
    assert Account.recover_transaction(complement) == ADDRESS
    return "0x" + complement.hex()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (legacy(), "no EIP-1559 transaction"),
        (by_another_key(), f"signed for {LocalSigner.from_key(OTHER).address}, not for {ADDRESS}"),
        (high_s(), "a signature that networks refuse"),
        ("0x02c0", "fields other than"),
        ("0x0283", "malformed RLP"),
        ("0x", "instead of a signed transaction"),
        ("0x123", "instead of a signed transaction"),
        ({"raw": "0x02"}, "instead of a signed transaction"),
        ([1], "instead of a signed transaction"),
    ],
)
def test_result_without_a_valid_signature_is_refused(server: Web3SignerServer, answer: Any, message: str) -> None:
    signer = open_remote(f"web3signer:{server.url}", ADDRESS)
    server.answer = answer
    with pytest.raises(SigningFailed, match=message):
        signer.sign_transaction(FIELDS)


def test_change_of_any_byte_is_refused() -> None:
    raw = LocalSigner.from_key(KEY).sign_transaction(FIELDS).raw
    assert verify_signed(raw, FIELDS, ADDRESS).raw == raw
    for position in range(len(raw)):
        changed = bytearray(raw)
        changed[position] ^= 1
        with pytest.raises(SigningFailed):
            verify_signed(bytes(changed), FIELDS, ADDRESS)
    with pytest.raises(SigningFailed):
        verify_signed(raw + b"\0", FIELDS, ADDRESS)


def test_refused_result_is_neither_stored_nor_broadcast(server: Web3SignerServer, chain: Chain) -> None:
    chain.ask("anvil_setBalance", ADDRESS, hex(10**18))
    store = open_store()
    sender = new_sender(chain.rpc, open_remote(f"web3signer:{server.url}", ADDRESS), store)
    server.tamper = change(to="0x" + "66" * 20)
    sender.submit("a", plain())
    assert "send 5 wei: the signer changed to" in sender.tick().blocked
    assert store.attempts(1) == []
    assert chain.rpc.nonce(ADDRESS) == 0


def test_signer_must_hold_the_account(server: Web3SignerServer) -> None:
    absent = LocalSigner.from_key(OTHER).address
    with pytest.raises(FatalError, match=f"does not hold the key of {absent}; it has {ADDRESS}"):
        open_remote(f"web3signer:{server.url}", absent)
    assert open_remote(f"web3signer:{server.url}", ADDRESS.lower()).address == ADDRESS
    with Web3SignerServer([KEY, OTHER], CHAIN_ID) as two:
        with pytest.raises(FatalError, match=r"it has 2 accounts .*; set signer_address"):
            open_remote(f"web3signer:{two.url}", None)
        server.accounts.clear()
    with pytest.raises(FatalError, match="it has no account"):
        open_remote(f"web3signer:{server.url}", None)


def test_message_of_the_signer_is_passed_on(server: Web3SignerServer) -> None:
    signer = open_remote(f"web3signer:{server.url}", ADDRESS)
    server.accounts.clear()
    with pytest.raises(SigningFailed, match=r"127\.0\.0\.1:\d+ refused: No unlocked account matches the Sender"):
        signer.sign_transaction(FIELDS)
    with pytest.raises(SigningFailed, match="refused: Method not found"):
        open_remote(f"clef:{server.url}", None)


def test_unreachable_signer_differs_from_one_that_refuses() -> None:
    with Web3SignerServer([KEY], CHAIN_ID) as gone:
        signer = open_remote(f"web3signer:{gone.url}", ADDRESS)
        assert isinstance(signer, Web3Signer)
        location = f"web3signer:{gone.url}"
    with pytest.raises(SignerUnreachable, match=r"web3signer at .* does not answer"):
        signer.sign_transaction(FIELDS)
    with pytest.raises(SignerUnreachable, match="does not answer"):
        open_remote(location, ADDRESS)
    with pytest.raises(SignerUnreachable, match=r"clef at /nonexistent/clef\.ipc does not answer"):
        open_remote("clef:/nonexistent/clef.ipc", ADDRESS)


def test_split_location_accepts_urls_and_sockets_only() -> None:
    assert split_location("web3signer:https://signer.example:9000/x") == (
        "web3signer", "https://signer.example:9000/x"
    )  # fmt: skip
    assert split_location("clef:/run/clef/clef.ipc") == ("clef", "/run/clef/clef.ipc")
    assert split_location("clef:http://127.0.0.1:8550") == ("clef", "http://127.0.0.1:8550")
    for wrong in ("", "clef", "clef:", "http://x", "web3signer:/ipc", "clef:ftp://x", "vault:http://x", "clef:http://"):
        with pytest.raises(ValueError, match="not a remote signer; use"):
            split_location(wrong)


def test_attempts_survive_a_change_from_a_keystore_to_a_remote_signer(server: Web3SignerServer, chain: Chain) -> None:
    """The change may happen with attempts in flight, because both sign the same bytes."""
    chain.hold()
    chain.ask("anvil_setBalance", ADDRESS, hex(10**18))
    store = open_store()
    local = new_sender(chain.rpc, LocalSigner.from_key(KEY), store)
    local.submit("a", plain())
    local.tick()
    remote = new_sender(chain.rpc, open_remote(f"web3signer:{server.url}", ADDRESS), store)
    (before,) = store.attempts(1)
    for _ in range(4):
        chain.mine(base_fee=3 * before.max_fee)
        remote.tick()
    chain.mine()
    remote.tick()
    assert status_of(remote, "a") == TxStatus.DONE
    assert dataclasses.replace(store.attempts(1)[0]) == before


@pytest.mark.parametrize(
    "location", ["web3signer:http://user:SECRET@host:9000/SECRET", "clef:https://SECRET@host:8550"]
)
def test_location_is_printed_without_its_secret(location: str) -> None:
    kind = location.partition(":")[0]
    assert printable_location(location).startswith(f"{kind}:http")
    assert "SECRET" not in printable_location(location)
    assert printable_location("clef:/run/clef.ipc") == "clef:/run/clef.ipc"


@pytest.mark.parametrize(
    "location",
    ["web3signer:http://u:SEC#RET@host", "web3signer:http://host:99999/SECRET", "web3signer:host/SECRET", "SECRET"],
)
def test_unusable_location_is_refused_without_its_secret(location: str) -> None:
    with pytest.raises(ValueError, match=r"not a remote signer|not the address of a remote signer") as raised:
        split_location(location)
    assert "SEC" not in str(raised.value)
