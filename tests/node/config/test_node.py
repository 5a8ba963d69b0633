"""`NodeConfig`: what a node needs, and which settings exclude or need each other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from covey.chain.units import CVY
from covey.config.errors import ConfigError
from covey.config.node import NodeConfig
from covey.config.types import Role

SETTINGS = """
roles = ["validator"]
keystore = "keys/signer.json"
rpc_urls = ["http://127.0.0.1:8545"]
deployment = "deployments/31337"
data_dir = "data"
heldout_records = "heldout.jsonl"
[policy]
max_fee = "5 CVY"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "covey.toml"
    path.write_text(SETTINGS, encoding="utf-8")
    return path


def test_settings_of_all_sources_are_combined(file: Path) -> None:
    environ = {"COVEY_POLICY_MAX_FEE": "6 CVY", "COVEY_RPC_URLS": "http://a, http://b"}
    config = NodeConfig.load(flags={"worker_threads": 4}, environ=environ, file=file)
    assert (config.worker_threads, config.policy.max_fee) == (4, 6 * CVY)
    assert (config.rpc_urls, config.roles) == (("http://a", "http://b"), (Role.VALIDATOR,))


def test_journal_and_store_are_in_the_data_directory_by_default(file: Path) -> None:
    config = NodeConfig.load(flags={"data_dir": "elsewhere"}, environ={}, file=file)
    assert config.keystore == file.parent / "keys/signer.json"
    assert config.journal_path == Path("elsewhere/journal.sqlite")
    assert config.store_location == "elsewhere/blocks"
    assert NodeConfig.load(flags={"store": "blocks"}, environ={}, file=file).store_location == str(
        Path("blocks").absolute()
    )


@pytest.mark.parametrize(
    ("flags", "environ", "message"),
    [
        ({"worker_threads": 0}, {}, "--worker-threads: "),
        ({}, {"COVEY_WORKER_THREADS": "many"}, "environment variable COVEY_WORKER_THREADS: "),
        ({"operator": "0x12"}, {}, "--operator: '0x12' is not an address"),
        ({"executor": "ssh"}, {}, "--executor: 'ssh' is neither"),
        ({"gateway_listen": "localhost"}, {}, "--gateway-listen: 'localhost' is not host:port"),
        ({"gateway_listen": "localhost:70000"}, {}, "--gateway-listen: 'localhost:70000' is not host:port"),
        ({"roles": ["trainer"]}, {}, "a trainer needs training_records"),
        ({"policy_max_fee": "1.5 wei"}, {}, "--policy-max-fee: '1.5 wei' is not an amount"),
        ({"store_quota": "20 barrels"}, {}, "--store-quota: could not interpret byte unit: barrels"),
        ({}, {"COVEY_STORE_QUOTA": "much"}, "environment variable COVEY_STORE_QUOTA: could not parse value and unit"),
        ({"cache_quota": "1 MiB"}, {}, "--cache-quota: Input should be greater than or equal to 16777216"),
        ({"retention_days": -1}, {}, "--retention-days: "),
        ({"log_level": "loud"}, {}, "--log-level: "),
        ({"pinning_service": "pin.example"}, {}, "--pinning-service: 'pin.example' is not a pinning service"),
        ({"pinning_service": "http://pin.example"}, {}, "would send the access token in the clear: use https"),
        ({"pinning_service": "https://pin.example"}, {}, "pinning_service and pinning_token_file require each other"),
        ({"webhook_token_file": "token"}, {}, "webhook_token_file requires webhook_url_file"),
        ({"store_token_file": "token"}, {}, "store_token_file requires a Kubo RPC API"),
        ({"remote_signer": "clef:/run/clef.ipc"}, {}, "keystore and remote_signer exclude each other: set only one"),
        (
            {"remote_signer": "clef.ipc"},
            {},
            "--remote-signer: not a remote signer; use web3signer:http",
        ),
        ({"signer_address": "0x" + "11" * 20}, {}, "signer_address requires remote_signer"),
        ({"max_gas_price": "0"}, {}, "--max-gas-price: '0' is not a gas price between 1 and"),
        ({"max_gas_price": "3 ether"}, {}, "--max-gas-price: '3 ether' is not a gas price; write '300 gwei'"),
        ({"bump_blocks": "0"}, {}, "--bump-blocks: "),
        ({"policy_earmark_share_bps": "0"}, {}, "--policy-earmark-share-bps: "),
    ],
)
def test_invalid_setting_is_reported_in_one_line(
    file: Path, flags: dict[str, object], environ: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        NodeConfig.load(flags=flags, environ=environ, file=file)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_signer_is_required(file: Path) -> None:
    file.write_text(SETTINGS.replace('keystore = "keys/signer.json"\n', ""), encoding="utf-8")
    with pytest.raises(ConfigError, match="no signer: set keystore or remote_signer"):
        NodeConfig.load(environ={}, file=file)


@pytest.mark.parametrize(
    ("given", "size"), [("20GiB", 20 << 30), ("500 MB", 500_000_000), ("1.5 TiB", 3 << 39), (1 << 30, 1 << 30)]
)
def test_size_may_carry_a_unit(file: Path, given: object, size: int) -> None:
    file.write_text(SETTINGS.replace("[policy]", f"store_quota = {json.dumps(given)}\n[policy]"), encoding="utf-8")
    config = NodeConfig.load(environ={"COVEY_CACHE_QUOTA": str(given)}, file=file)
    assert (config.store_quota, config.cache_quota) == (size, size)


def test_stores_have_a_quota_by_default(file: Path) -> None:
    config = NodeConfig.load(environ={}, file=file)
    assert (config.store_quota, config.cache_quota) == (20 << 30, 8 << 30)


def test_first_missing_setting_is_reported() -> None:
    with pytest.raises(ConfigError) as caught:
        NodeConfig.load(flags={"roles": ["trainer"]}, environ={})
    assert str(caught.value) == "rpc_urls is not set: give --rpc-urls, COVEY_RPC_URLS or the key rpc_urls"
