"""Signer rotation: create the new key, send the owner's transaction, list what is left to do by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from covey.chain.errors import ChainError
from covey.cli.access import connect, keystore_address_of, operator_address, owner_wallet
from covey.cli.errors import CliError, InputError
from covey.cli.parse import address
from covey.cli.settings import Settings
from covey.cli.setup.keyfiles import new_password
from covey.client.errors import ClientError


def rotate_signer(
    settings: Settings, path: Path | None, to: str | None, new_password_file: Path | None
) -> dict[str, Any]:
    """Replace the operator's signer by the key in the keystore `path`, which is created if missing, or by `to`.

    Returns:
        operator, former, signer, keystore (None if a remote signer or wallet holds the key), the call (to, data),
        transaction and block (None without the owner's key), and next: the remaining steps, one line each.

    Raises:
        InputError: nothing was written or sent.
        CliError: the transaction failed; the message says where the new key is.
    """
    if (path is None) == (to is None):
        raise InputError("give a path for the new signer's keystore, or --to with its address")
    network = connect(settings)
    wallet = owner_wallet(network, settings) if settings.owner_keystore is not None else None
    if wallet is not None and settings.operator is None:
        operator = wallet.address  # the owner is the operator
    else:
        operator = operator_address(network, settings)
    staking = network.contracts.staking
    pool = staking.pool_of(operator)
    if not pool.registered:
        raise InputError(f"{operator} has no pool; `covey stake` opens one and sets its signer")
    if wallet is not None and wallet.address != operator:
        raise InputError(f"--owner-keystore holds {wallet.address}; only {operator} itself can set its signer")
    signer = address(to) if to is not None else _open_or_create(path, new_password_file or settings.password_file)
    if signer == pool.signer:
        raise InputError(f"{signer} is the signer of {operator} already")
    call = staking.set_signer(signer)
    sent: dict[str, Any] = {"transaction": None, "block": None}
    if wallet is not None:
        try:
            receipt = wallet.send(call)
        except ClientError as error:
            hint = f"; the new key is in {path}: run the command again with that path" if path is not None else ""
            raise CliError(f"{error}{hint}") from None
        sent = {"transaction": receipt.tx_hash, "block": receipt.block}
    return {
        "operator": operator,
        "former": pool.signer,
        "signer": signer,
        "keystore": None if path is None else str(path),
        "to": call.to,
        "data": "0x" + call.data.hex(),
        **sent,
        "next": _remaining_steps(path, signer, pool.signer, sent=wallet is not None),
    }


def _open_or_create(path: Path | None, password_file: Path | None) -> str:
    """The address of a keystore, which is created if it does not exist."""
    from covey.chain.signing.keystore import create_keystore

    assert path is not None
    path = path.expanduser()
    try:
        if path.exists():
            return keystore_address_of(path, password_file)
        return create_keystore(path, new_password(password_file)).address
    except ChainError as error:
        raise InputError(str(error)) from None


def _remaining_steps(path: Path | None, signer: str, former: str, *, sent: bool) -> list[str]:
    setting = (
        f'keystore = "{path.expanduser().resolve()}"'
        if path is not None
        else f'keystore to the one of {signer} (or remote_signer, with signer_address = "{signer}")'
    )
    return [
        *([] if sent else ["send that transaction with the owner's wallet"]),
        f"send {signer} native coin for gas, and (a trainer) CVY for entry fees",
        f"set {setting} in covey.toml and restart the node; it finishes the transactions that {former} signed",
        f"when the node is earning again, empty {former}",
    ]
