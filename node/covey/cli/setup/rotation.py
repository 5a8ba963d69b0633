"""Naming a new signer: the key made first, then the owner's transaction, then what is left to do by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from covey.chain.errors import ChainError
from covey.cli.access import connect, operator_address, owner_wallet
from covey.cli.errors import CliError, InputError
from covey.cli.parse import address
from covey.cli.settings import Settings
from covey.cli.setup.keyfiles import new_password
from covey.client.errors import ClientError


def rotate_signer(
    settings: Settings, path: Path | None, to: str | None, new_password_file: Path | None
) -> dict[str, Any]:
    """Name a new signer and tell what happened.

    Returns:
        operator, signer, keystore (None for an address that is elsewhere), the call (to, data), transaction and block
        (None where the owner's key is not here), and next: lines that say what is left to do.

    Raises:
        InputError: nothing was written or sent.
        CliError: the transaction failed; the message says where the new key is.
    """
    if (path is None) == (to is None):
        raise InputError("give a path for the new signer's keystore, or --to with its address")
    network = connect(settings)
    operator = operator_address(network, settings)
    staking = network.contracts.staking
    pool = staking.pool_of(operator)
    if not pool.registered:
        raise InputError(f"{operator} has no pool; the signer is named when `covey stake` opens it")
    wallet = None
    if settings.owner_keystore is not None:
        wallet = owner_wallet(network, settings)
        if wallet.address != operator:
            raise InputError(f"--owner-keystore holds {wallet.address}; only {operator} itself can name its signer")
    signer = address(to) if to is not None else _new_key(path, new_password_file or settings.password_file)
    if signer == pool.signer:
        raise InputError(f"{signer} is the signer of {operator} already")
    call = staking.set_signer(signer)
    sent: dict[str, Any] = {"transaction": None, "block": None}
    if wallet is not None:
        try:
            receipt = wallet.send(call)
        except ClientError as error:
            where = f"; the new key is in {path}, give that again" if path is not None else ""
            raise CliError(f"{error}{where}") from None
        sent = {"transaction": receipt.tx_hash, "block": receipt.block}
    return {
        "operator": operator,
        "former": pool.signer,
        "signer": signer,
        "keystore": None if path is None else str(path),
        "to": call.to,
        "data": "0x" + call.data.hex(),
        **sent,
        "next": _next(path, signer, pool.signer, named=wallet is not None),
    }


def _new_key(path: Path | None, password_file: Path | None) -> str:
    """The address of a keystore, made if there is none."""
    from covey.chain.signing.keystore import create_keystore, keystore_address

    assert path is not None
    path = path.expanduser()
    try:
        if path.exists():
            return keystore_address(path)
        return create_keystore(path, new_password(password_file)).address
    except ChainError as error:
        raise InputError(str(error)) from None


def _next(path: Path | None, signer: str, former: str, *, named: bool) -> list[str]:
    how = (
        f'keystore = "{path.expanduser().resolve()}"'
        if path is not None
        else f'remote_signer and signer_address = "{signer}"'
    )
    return [
        *([] if named else ["send that transaction with the owner's wallet"]),
        f"send {signer} coin for gas, and (a trainer) CVY for entry fees",
        f"put {how} into covey.toml and start the node again; it brings to an end what {former} had signed",
        f"when the node is earning again, empty {former}",
    ]
