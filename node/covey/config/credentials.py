"""Reads passwords and tokens, and opens the node's signer."""

from __future__ import annotations

import getpass
import os
import re
import sys
from pathlib import Path

from covey.chain.signing.keystore import NoAddress, Signer, keystore_address, load_keystore
from covey.config.errors import ConfigError
from covey.config.shared import SignerSettings

PASSWORD_VARIABLE = "COVEY_PASSWORD"
CREDENTIAL = "keystore-password"
"""Name of the systemd credential (`LoadCredential=keystore-password:…`)."""


def credential_file(credential: str) -> Path | None:
    """The file of a systemd credential; None if the service manager passed none of that name."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    path = Path(folder) / credential if folder else None
    return path if path is not None and path.is_file() else None


def password_of(
    password_file: Path | None,
    prompt: str = "Password of the keystore: ",
    *,
    variable: str = PASSWORD_VARIABLE,
    credential: str = CREDENTIAL,
    setting: str = "password_file",
) -> str:
    """Read a password from the first source that has it: file, systemd credential, environment, terminal.

    Raises ConfigError if a file cannot be read, or if there is no password and no terminal to prompt on.
    """
    if password_file is None:
        password_file = credential_file(credential)
    if password_file is not None:
        return _read_text(setting, password_file).rstrip("\r\n")
    if (password := os.environ.get(variable)) is not None:
        return password
    if sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty():
        try:
            return getpass.getpass(prompt)
        except (OSError, EOFError):
            pass
    raise ConfigError(f"no password for the keystore: give {setting} or {variable}")


def token_of(setting: str, file: Path | None) -> str | None:
    """Read the access token from the file that `setting` names; None without a file. Raises ConfigError."""
    if file is None:
        return None
    token = _read_text(setting, file).strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(f"{setting} {file}: must contain one token, a single word of ASCII characters")
    return token


def webhook_of(file: Path | None) -> str | None:
    """Read the webhook's URL from its file; None without a file. Raises ConfigError, which never quotes the URL."""
    url = token_of("webhook_url_file", file)
    if url is not None and not re.match(r"https?://[^/]+", url):
        raise ConfigError(f"webhook_url_file {file}: must contain a URL, http(s)://…")
    return url


def _read_text(setting: str, file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{setting} {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{setting} {file}: not a text file in UTF-8") from None


def unlock(settings: SignerSettings) -> Signer:
    """Open the keystore, or connect to the remote signer.

    Raises:
        ConfigError: there is no signer, or no password.
        FatalError: the keystore or the password is wrong, or the remote signer has another account.
        SignerUnreachable: the remote signer does not answer.
    """
    if settings.keystore is not None:
        return load_keystore(settings.keystore, password_of(settings.password_file))
    from covey.chain.signing.remote import open_remote

    if settings.remote_signer is None:
        raise ConfigError("no signer: give keystore or remote_signer")
    return open_remote(settings.remote_signer, settings.signer_address)


def signer_address(settings: SignerSettings) -> str:
    """The signer's address; needs no password, unless the keystore has no address in it. Errors as `unlock`."""
    if settings.keystore is not None:
        try:
            return keystore_address(settings.keystore)
        except NoAddress:
            return unlock(settings).address
    return settings.signer_address or unlock(settings).address
