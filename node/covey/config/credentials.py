"""Keys, passwords and tokens. A keystore's password: from its file, a systemd credential, the environment, a prompt."""

from __future__ import annotations

import getpass
import os
import re
import sys
from pathlib import Path

from covey.chain.signing.keystore import Signer, keystore_address, load_keystore
from covey.config.node import ConfigError, NodeConfig

PASSWORD_VARIABLE = "COVEY_PASSWORD"
CREDENTIAL = "keystore-password"
"""Name of the systemd credential (`LoadCredential=keystore-password:…`)."""


def credential_file(credential: str) -> Path | None:
    """The file of a systemd credential; None where the service manager passed none of that name."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    found = Path(folder) / credential if folder else None
    return found if found is not None and found.is_file() else None


def password_of(
    password_file: Path | None,
    prompt: str = "Password of the keystore: ",
    *,
    variable: str = PASSWORD_VARIABLE,
    credential: str = CREDENTIAL,
    setting: str = "password_file",
) -> str:
    """The password: from the file, else the systemd credential, else the variable, else the terminal.

    Raises ConfigError where there is none and nobody to ask.
    """
    if password_file is None:
        password_file = credential_file(credential)
    if password_file is not None:
        try:
            return password_file.read_text(encoding="utf-8").rstrip("\r\n")
        except OSError as error:
            raise ConfigError(f"{setting} {password_file}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ConfigError(f"{setting} {password_file}: not text") from None
    if (given := os.environ.get(variable)) is not None:
        return given
    if sys.stdin.isatty():
        return getpass.getpass(prompt)
    raise ConfigError(f"no password for the keystore: give {setting} or {variable}")


def token_of(setting: str, file: Path | None) -> str | None:
    """The access token in the file that a setting names; None where none is named. Raises ConfigError."""
    if file is None:
        return None
    try:
        token = file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(f"{setting} {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{setting} {file}: not text") from None
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(f"{setting} {file}: it must hold one token, a single word of ASCII")
    return token


def webhook_of(file: Path | None) -> str | None:
    """The address in the webhook's file; None where none is named. Raises ConfigError, without the address."""
    address = token_of("webhook_url_file", file)
    if address is not None and not re.match(r"https?://[^/]+", address):
        raise ConfigError(f"webhook_url_file {file}: it must hold an address, http(s)://…")
    return address


def unlock(config: NodeConfig) -> Signer:
    """The node's signer: its keystore opened, or its remote signer asked.

    Raises ConfigError, Fatal, and SignerUnreachable while a remote signer does not answer.
    """
    if config.keystore is not None:
        return load_keystore(config.keystore, password_of(config.password_file))
    from covey.chain.signing.remote import open_remote

    assert config.remote_signer is not None
    return open_remote(config.remote_signer, config.signer_address)


def signer_address(config: NodeConfig) -> str:
    """Who the node signs as, without a password. Errors as `unlock`."""
    if config.keystore is not None:
        return keystore_address(config.keystore)
    return config.signer_address or unlock(config).address
