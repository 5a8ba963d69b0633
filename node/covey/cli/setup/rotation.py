"""Signer rotation: create the new key, send the owner's transaction, list what is left to do by hand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covey.chain.errors import ChainError
from covey.chain.signing.consent import sign_consent
from covey.cli.access import connect, open_key, operator_address, owner_wallet
from covey.cli.errors import CliError, InputError
from covey.cli.parse import address
from covey.cli.settings import Settings
from covey.cli.setup.keyfiles import new_password
from covey.client.errors import ClientError
from covey.client.staking import check_consent

if TYPE_CHECKING:
    from covey.chain.signing.keystore import LocalSigner


def rotate_signer(
    settings: Settings, path: Path | None, to: str | None, consent: str | None, new_password_file: Path | None
) -> dict[str, Any]:
    """Replace the operator's signer by the key in the keystore `path`, which is created if missing, or by `to`.

    The new signer must consent: the keystore's key signs that here, the key of `to` elsewhere, which gives `consent`.

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
    wanted = staking.consent_of(operator)
    if path is None:
        assert to is not None
        signer, signature = address(to), _given(consent)
    else:
        key = _open_or_create(path, new_password_file or settings.password_file)
        signer, signature = key.address, sign_consent(key, wanted)
    if signer == pool.signer:
        raise InputError(f"{signer} is the signer of {operator} already")
    check_consent(network, operator, signer, signature)
    call = staking.set_signer(signer, signature)
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


def _given(consent: str | None) -> bytes:
    """The bytes of a consent that is given in hex; none if it is missing."""
    if consent is None:
        return b""
    if not re.fullmatch(r"0x[0-9a-fA-F]{130}", consent):
        raise InputError("--consent is not a signature: 0x and 130 hexadecimal digits, from `covey keys consent`")
    return bytes.fromhex(consent[2:])


def _open_or_create(path: Path, password_file: Path | None) -> LocalSigner:
    """The key of a keystore, which is created if it does not exist."""
    from covey.chain.signing.keystore import create_keystore

    path = path.expanduser()
    if path.exists():
        return open_key(path, password_file, "COVEY_PASSWORD")
    try:
        return create_keystore(path, new_password(password_file))
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
