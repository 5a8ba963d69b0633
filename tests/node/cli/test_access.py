"""Networks, keys and stores that settings name."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from tests.support.network import tiny_spec

from covey.chain.signing.keystore import LocalSigner, create_keystore
from covey.cli.access import (
    connect,
    content_reader,
    fetch_spec,
    open_block_store,
    operator_address,
    owner_wallet,
    read_password,
    remote_signer,
    signer_address,
    signer_wallet,
)
from covey.cli.errors import InputError
from covey.cli.settings import Settings
from covey.client.errors import InvalidInput
from covey.client.network import Network
from covey.ipfs import BlockStore, Gateway

SIGNER, OWNER = (LocalSigner.from_key(bytes([number]) * 32) for number in (1, 2))
OPERATOR = "0x" + "77" * 20


@pytest.fixture
def network() -> Any:
    """A network whose wallets are their signers' addresses."""
    fake = Mock(spec=Network)
    fake.wallet.side_effect = lambda signer, data_dir=None: (signer.address, data_dir)
    fake.operator_of.return_value = OPERATOR
    return fake


@pytest.fixture
def keys(folder: Path) -> dict[str, str]:
    """Settings of two keystores with the password `secret`."""
    (folder / "password").write_text("secret\n")
    for name, signer in (("signer", SIGNER), ("owner", OWNER)):
        create_keystore(folder / f"{name}.json", "secret", key=signer.key, iterations=1 << 10)
    return {"keystore": "signer.json", "password_file": "password"}


def settings(**values: Any) -> Settings:
    return Settings.model_validate(values)


def test_connect_needs_a_deployment_and_an_endpoint() -> None:
    with pytest.raises(InputError, match="no deployment: give --deployment"):
        connect(settings(rpc_urls=["http://a"]))
    with pytest.raises(InputError, match="no chain: give --rpc-urls"):
        connect(settings(deployment="."))
    with pytest.raises(InvalidInput, match="no deployment records"):
        connect(settings(deployment=".", rpc_urls=["http://127.0.0.1:1"]))


def test_signer_wallet_shares_the_queue_of_the_data_directory(network: Any, keys: dict[str, str]) -> None:
    assert signer_wallet(network, settings(**keys, data_dir="data")) == (SIGNER.address, Path("data"))


def test_owner_wallet_falls_back_to_the_signer(network: Any, keys: dict[str, str]) -> None:
    owner = {"owner_keystore": "owner.json", "owner_password_file": "password"}
    assert owner_wallet(network, settings(**keys, **owner)) == (OWNER.address, None)
    assert owner_wallet(network, settings(**keys)) == (SIGNER.address, None)


def test_an_owner_that_is_the_nodes_signer_shares_its_queue(network: Any, keys: dict[str, str]) -> None:
    same = {"owner_keystore": "signer.json", "owner_password_file": "password"}
    assert owner_wallet(network, settings(**keys, **same, data_dir="data")) == (SIGNER.address, Path("data"))
    other = {"owner_keystore": "owner.json", "owner_password_file": "password"}
    assert owner_wallet(network, settings(**keys, **other, data_dir="data")) == (OWNER.address, None)


def test_wallet_without_a_key_is_an_error(network: Any) -> None:
    with pytest.raises(InputError, match=r"no key to sign with: give --keystore or --remote-signer"):
        signer_wallet(network, settings())
    with pytest.raises(InputError, match=r"no key to sign with: give --keystore \(or --owner-keystore\)"):
        owner_wallet(network, settings())
    with pytest.raises(InputError, match=r"other\.json: no such keystore"):
        signer_wallet(network, settings(keystore="other.json"))


def test_signer_address_needs_no_password(keys: dict[str, str]) -> None:
    assert signer_address(settings(keystore="signer.json")) == SIGNER.address
    assert signer_address(settings(remote_signer="clef:http://a", signer_address=OPERATOR)) == OPERATOR
    with pytest.raises(InputError, match="no signer"):
        signer_address(settings())


def test_operator_is_given_or_looked_up(network: Any, keys: dict[str, str]) -> None:
    assert operator_address(network, settings(operator="0x" + "11" * 20)) == "0x" + "11" * 20
    assert operator_address(network, settings(**keys)) == OPERATOR
    network.operator_of.assert_called_once_with(SIGNER.address)


def test_remote_signer_excludes_a_keystore() -> None:
    with pytest.raises(InputError, match="exclude each other: set only one"):
        remote_signer(settings(keystore="signer.json", remote_signer="clef:http://a"))
    with pytest.raises(InputError, match="no remote signer"):
        remote_signer(settings())


@pytest.mark.parametrize(
    ("variable", "message"),
    [("COVEY_PASSWORD", "give password_file or"), ("COVEY_OWNER_PASSWORD", "give owner_password_file or")],
)
def test_missing_password_names_setting_and_variable(variable: str, message: str) -> None:
    with pytest.raises(InputError, match=f"{message} {variable}"):
        read_password(None, variable, "Password")


def test_owner_has_a_credential_of_its_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "owner-keystore-password").write_text("cold\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    assert read_password(None, "COVEY_OWNER_PASSWORD", "Password") == "cold"
    with pytest.raises(InputError, match="no password"):
        read_password(None, "COVEY_PASSWORD", "Password")


def test_store_is_that_of_the_data_directory_by_default(folder: Path) -> None:
    with open_block_store(settings(data_dir="data")):
        assert (folder / "data/blocks").is_dir()
    with open_block_store(settings(data_dir="data", store="elsewhere")):
        assert (folder / "elsewhere").is_dir()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "no block store for the spec"),
        ({"store": "blocks", "store_token_file": "none"}, "store_token_file none: No such file"),
        ({"store": "password"}, "--store password: "),
    ],
)
def test_store_that_cannot_be_opened_is_an_error(keys: dict[str, str], values: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_block_store(settings(**values))


def test_spec_is_none_without_a_source() -> None:
    assert fetch_spec(settings(), bytes(32)) is None
    assert fetch_spec(settings(data_dir="data"), bytes(32)) is None


@pytest.mark.daemon
def test_content_is_read_from_peers_without_a_store(tmp_path: Path) -> None:
    spec = tiny_spec()
    assert fetch_spec(settings(peers=["http://127.0.0.1:1"]), bytes(32)) is None
    with BlockStore(tmp_path / "blocks") as store, Gateway(store) as gateway:
        cid = store.add_directory({"spec.json": spec.canonical_bytes()}, name="task spec")
        assert fetch_spec(settings(peers=["http://127.0.0.1:1", gateway.url]), cid.word) == spec
    with content_reader(settings()) as reader:
        assert reader is None
