"""Remote signers over JSON-RPC: Web3Signer's eth1 interface and Clef.

Neither is trusted: `covey.chain.signing.verify` checks that the result is the requested transaction, signed by the
right address. Neither broadcasts; the sender does, after the attempt is on disk.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from eth_hash.auto import keccak

from covey.chain.errors import FatalError, RpcResponseError, SignerUnreachable, SigningFailed
from covey.chain.rpc.endpoint import Endpoint, EndpointFault, printable, refusal_of
from covey.chain.rpc.open import open_endpoint
from covey.chain.signing.verify import verify_signed

if TYPE_CHECKING:
    from covey.chain.signing.keystore import SignedTransaction

SIGN_SECONDS = 60.0
"""Deadline of one signature; a signer may have to decrypt a keystore for each."""


class RemoteSigner:
    """A `Signer` whose key another program holds.

    Args:
        endpoint: that program's JSON-RPC endpoint.
        address: the account to sign for, in any letter case.
    """

    kind: ClassVar[str]
    list_method: ClassVar[str]
    sign_method: ClassVar[str]
    typed_method: ClassVar[str]

    def __init__(self, endpoint: Endpoint, address: str, timeout: float = SIGN_SECONDS) -> None:
        from eth_utils.address import to_checksum_address

        self._endpoint = endpoint
        self._address: str = to_checksum_address(address)
        self._timeout = timeout

    @property
    def address(self) -> str:
        """See `Signer.address`."""
        return self._address

    def check(self) -> None:
        """Verify that the signer holds the account's key.

        Raises:
            SignerUnreachable: no answer.
            FatalError: it holds other accounts only.
        """
        held = accounts(self._endpoint, self.kind, self._timeout)
        if self._address not in held:
            raise FatalError(f"{self} does not hold the key of {self._address}; it has {', '.join(held) or 'none'}")

    def sign_transaction(self, fields: dict[str, Any]) -> SignedTransaction:
        """See `Signer.sign_transaction`.

        Raises:
            SignerUnreachable: no answer in time.
            SigningFailed: it refused, or returned something other than the requested transaction.
        """
        answer = ask(self._endpoint, self.kind, self.sign_method, self._parameters(fields), self._timeout)
        raw = self._raw(answer)
        if not isinstance(raw, str) or not re.fullmatch(r"0x([0-9a-fA-F]{2})+", raw):
            raise SigningFailed(f"{self} returned {raw!r:.80} instead of a signed transaction")
        return verify_signed(bytes.fromhex(raw[2:]), fields, self._address)

    def sign_typed_data(self, document: dict[str, Any]) -> bytes:
        """See `Signer.sign_typed_data`.

        Raises:
            SignerUnreachable: no answer in time.
            SigningFailed: it refused, or returned no signature.
        """
        answer = ask(self._endpoint, self.kind, self.typed_method, [self._address, document], self._timeout)
        if not isinstance(answer, str) or not re.fullmatch(r"0x[0-9a-fA-F]{130}", answer):
            raise SigningFailed(f"{self} returned {answer!r:.80} instead of a signature")
        return bytes.fromhex(answer[2:])

    def _parameters(self, fields: dict[str, Any]) -> list[Any]:
        raise NotImplementedError

    def _raw(self, answer: Any) -> Any:
        raise NotImplementedError

    def _transaction(self, fields: dict[str, Any]) -> dict[str, str]:
        """The transaction object for both kinds: quantities in hex, addresses checksummed, as Clef requires."""
        from eth_utils.address import to_checksum_address

        numbers = ("gas", "maxFeePerGas", "maxPriorityFeePerGas", "value", "nonce")
        transaction = {"from": self._address, **{name: hex(fields[name]) for name in numbers}}
        if fields.get("to") is not None:
            transaction["to"] = to_checksum_address(fields["to"])
        return {**transaction, "data": "0x" + bytes(fields["data"]).hex()}

    def __str__(self) -> str:
        return f"{self.kind} at {printable(self._endpoint.url)}"


class Web3Signer(RemoteSigner):
    """Web3Signer in eth1 mode. It uses the chain id of its own ``--chain-id`` option."""

    kind = "web3signer"
    list_method = "eth_accounts"
    sign_method = "eth_signTransaction"
    typed_method = "eth_signTypedData"

    def _parameters(self, fields: dict[str, Any]) -> list[Any]:
        return [self._transaction(fields)]

    def _raw(self, answer: Any) -> Any:
        return answer


class ClefSigner(RemoteSigner):
    """go-ethereum's Clef. It refuses calldata of unknown functions, so each request names the function's signature."""

    kind = "clef"
    list_method = "account_list"
    sign_method = "account_signTransaction"
    typed_method = "account_signTypedData"

    def _parameters(self, fields: dict[str, Any]) -> list[Any]:
        transaction = {**self._transaction(fields), "chainId": hex(fields["chainId"])}
        signature = _functions().get(bytes(fields["data"])[:4]) if fields.get("to") else None
        return [transaction] if signature is None else [transaction, signature]

    def _raw(self, answer: Any) -> Any:
        return answer.get("raw") if isinstance(answer, dict) else answer


_KINDS: dict[str, type[RemoteSigner]] = {kind.kind: kind for kind in (Web3Signer, ClefSigner)}


def split_location(location: str) -> tuple[str, str]:
    """Split ``web3signer:URL`` or ``clef:URL-or-socket`` into kind and address.

    Raises:
        ValueError: it is neither.
    """
    kind, _, url = location.partition(":")
    known = kind in _KINDS and re.match(r"https?://[^/]|/", url) is not None
    if not known or (kind == "web3signer" and url.startswith("/")):
        forms = "web3signer:http://host:port, clef:http://host:port or clef:/path/of/clef.ipc"
        raise ValueError(f"not a remote signer; use {forms}")  # the address may contain a password
    if refusal := refusal_of(url):
        raise ValueError(refusal.replace("an RPC address", "the address of a remote signer"))
    return kind, url


def printable_location(location: str) -> str:
    """The location without what may be a secret."""
    kind, _, url = location.partition(":")
    return f"{kind}:{printable(url)}"


def open_remote(location: str, address: str | None, timeout: float = SIGN_SECONDS) -> RemoteSigner:
    """Open the remote signer at ``location`` with the account ``address``, or with its only one, and verify it.

    Raises:
        SignerUnreachable: no answer.
        FatalError: it does not hold that account, or ``address`` is None and it does not hold exactly one.
    """
    try:
        kind, url = split_location(location)
    except ValueError as error:
        raise FatalError(str(error)) from None
    endpoint = open_endpoint(url)
    if address is None:
        held = accounts(endpoint, kind, timeout)
        if len(held) != 1:
            found = f"it has {len(held)} accounts ({', '.join(held)})" if held else "it has no account"
            raise FatalError(f"{kind} at {printable(url)}: {found}; set signer_address")
        address = held[0]
    signer = _KINDS[kind](endpoint, address, timeout)
    signer.check()
    return signer


def accounts(endpoint: Endpoint, kind: str, timeout: float = SIGN_SECONDS) -> list[str]:
    """List the accounts of a remote signer, checksummed.

    Raises:
        SignerUnreachable: no answer, or a malformed one.
        SigningFailed: it refused.
    """
    from eth_utils.address import to_checksum_address

    answer = ask(endpoint, kind, _KINDS[kind].list_method, [], timeout)
    if not isinstance(answer, list) or not all(re.fullmatch(r"0x[0-9a-fA-F]{40}", str(account)) for account in answer):
        raise SignerUnreachable(f"{kind} at {printable(endpoint.url)} did not return a list of accounts: is it {kind}?")
    return [str(to_checksum_address(account)) for account in answer]


def ask(endpoint: Endpoint, kind: str, method: str, params: list[Any], timeout: float) -> Any:
    """Make one call to a remote signer.

    Raises:
        SignerUnreachable: no answer in time.
        SigningFailed: it answered with an error.
    """
    where = f"{kind} at {printable(endpoint.url)}"
    try:
        return endpoint.request(method, params, timeout)
    except EndpointFault as fault:
        raise SignerUnreachable(f"{where} does not answer: {fault}") from None
    except RpcResponseError as error:
        raise SigningFailed(f"{where} refused: {error.message}") from None


@cache
def _functions() -> dict[bytes, str]:
    """Signatures ``name(type,…)`` of all functions of the contracts, by selector."""
    from covey.chain import artifacts
    from covey.chain.abi.reverts import signature

    return {
        keccak(signature(item).encode())[:4]: signature(item)
        for name in artifacts.CONTRACTS
        for item in artifacts.load(name).abi
        if item["type"] == "function"
    }
