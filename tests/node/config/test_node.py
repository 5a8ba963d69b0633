"""Settings: precedence, one-line errors, relative paths."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from covey.config.node import CVY, ConfigError, NodeConfig, Role, parse_amount, parse_gas_price
from covey.config.schema import environment_name, flag_name, leaves

SIGNER_FILE = """
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
    path.write_text(SIGNER_FILE, encoding="utf-8")
    return path


def test_flag_beats_environment_beats_file(file: Path) -> None:
    environ = {"COVEY_POLICY_MAX_FEE": "6 CVY", "COVEY_WORKER_THREADS": "3", "COVEY_RPC_URLS": "http://a, http://b"}
    config = NodeConfig.load(flags={"worker_threads": 4, "policy_max_fee": None}, environ=environ, file=file)
    assert config.worker_threads == 4
    assert config.policy.max_fee == 6 * CVY
    assert config.rpc_urls == ("http://a", "http://b")
    assert config.roles == (Role.VALIDATOR,)
    assert NodeConfig.load(environ={}, file=file).policy.max_fee == 5 * CVY


def test_every_setting_has_one_name_in_each_layer() -> None:
    paths = [path for path, _ in leaves(NodeConfig)]
    assert len({flag_name(path) for path in paths}) == len(paths)
    assert environment_name(("policy", "max_fee")) == "COVEY_POLICY_MAX_FEE"


def test_paths_of_the_file_start_at_its_folder(file: Path) -> None:
    config = NodeConfig.load(flags={"data_dir": "elsewhere"}, environ={}, file=file)
    assert config.keystore == file.parent / "keys/signer.json"
    assert config.data_dir == Path("elsewhere")
    assert config.store_location == "elsewhere/blocks"


def test_an_empty_variable_is_not_set(file: Path) -> None:
    assert NodeConfig.load(environ={"COVEY_WORKER_THREADS": ""}, file=file).worker_threads == 2


@pytest.mark.parametrize(
    ("flags", "environ", "says"),
    [
        ({"worker_treads": 4}, {}, "unknown setting 'worker_treads'; did you mean 'worker_threads'?"),
        ({"worker_threads": 0}, {}, "--worker-threads: "),
        ({}, {"COVEY_WORKER_THREADS": "many"}, "environment variable COVEY_WORKER_THREADS: "),
        ({"operator": "0x12"}, {}, "--operator: '0x12' is not an address"),
        ({"executor": "ssh"}, {}, "--executor: 'ssh' is neither"),
        ({"gateway_listen": "localhost"}, {}, "--gateway-listen: 'localhost' is not host:port"),
        ({"roles": ["trainer"]}, {}, "a trainer needs training_records"),
        ({"policy_max_fee": "1.5 wei"}, {}, "--policy-max-fee: '1.5 wei' is not an amount"),
        ({"store_quota": "20 barrels"}, {}, "--store-quota: could not interpret byte unit: barrels"),
        ({}, {"COVEY_STORE_QUOTA": "much"}, "environment variable COVEY_STORE_QUOTA: could not parse value and unit"),
        ({"cache_quota": "1 MiB"}, {}, "--cache-quota: Input should be greater than or equal to 16777216"),
        ({"retention_days": -1}, {}, "--retention-days: "),
        ({"pinning_service": "pin.example"}, {}, "--pinning-service: 'pin.example' is not a pinning service"),
        ({"pinning_service": "http://pin.example"}, {}, "would send the access token in the clear: use https"),
        ({"pinning_service": "https://pin.example"}, {}, "pinning_service and pinning_token_file go together"),
        ({"store_token_file": "token"}, {}, "store_token_file is for a Kubo RPC"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(
    file: Path, flags: dict[str, object], environ: dict[str, str], says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        NodeConfig.load(flags=flags, environ=environ, file=file)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "size"), [("20GiB", 20 << 30), ("500 MB", 500_000_000), ("1.5 TiB", 3 << 39), (1 << 30, 1 << 30)]
)
def test_sizes(file: Path, given: object, size: int) -> None:
    file.write_text(SIGNER_FILE.replace("[policy]", f"store_quota = {json.dumps(given)}\n[policy]"), encoding="utf-8")
    assert NodeConfig.load(environ={}, file=file).store_quota == size
    environ = {"COVEY_CACHE_QUOTA": str(given)}
    assert NodeConfig.load(environ=environ, file=file).cache_quota == size


def test_a_store_without_a_quota_in_the_settings_has_one(file: Path) -> None:
    config = NodeConfig.load(environ={}, file=file)
    assert (config.store_quota, config.cache_quota) == (20 << 30, 8 << 30)


def test_a_missing_setting_names_all_three_places(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        NodeConfig.load(flags={"roles": ["trainer"]}, environ={})
    assert str(caught.value) == "rpc_urls is not set: give --rpc-urls, COVEY_RPC_URLS or the key rpc_urls"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (
            {"remote_signer": "clef:/run/clef.ipc"},
            "with a keystore or with a remote_signer: give not both",
        ),
        ({"keystore": None}, "give one of them"),
        ({"signer_address": "0x" + "11" * 20}, "signer_address is the account of a remote_signer"),
        ({"remote_signer": "clef.ipc"}, "--remote-signer: 'clef.ipc' is not a remote signer; use web3signer:http"),
        ({"max_gas_price": "300"}, None),
        ({"max_gas_price": "0"}, "--max-gas-price: '0' is not a gas price between 1 and"),
        ({"max_gas_price": "3 ether"}, "--max-gas-price: '3 ether' is not a gas price; write '300 gwei'"),
        ({"bump_blocks": "0"}, "--bump-blocks: "),
    ],
)
def test_how_a_node_signs_and_what_it_pays(file: Path, given: dict[str, object], says: str | None) -> None:
    text = file.read_text(encoding="utf-8")
    if given.pop("keystore", "") is None:
        file.write_text("".join(line for line in text.splitlines(True) if "keystore" not in line), encoding="utf-8")
    if says is None:
        NodeConfig.load(flags=given, environ={}, file=file)
        return
    with pytest.raises(ConfigError) as caught:
        NodeConfig.load(flags=given, environ={}, file=file)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("text", "wei"), [("300 gwei", 300 * 10**9), ("0.05 gwei", 5 * 10**7), ("7 wei", 7), ("12", 12), (5, 5)]
)
def test_prices_of_gas(text: object, wei: int) -> None:
    assert parse_gas_price(text) == wei


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("worker_threads = ", "not valid TOML"),
        ("[policy]\nmaxfee = 1", "unknown key 'policy.maxfee'; did you mean 'policy.max_fee'?"),
        ("[task]\nbounty = 1", "unknown key 'task'"),
    ],
)
def test_a_bad_file_is_refused(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "covey.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"covey\.toml") as caught:
        NodeConfig.load(environ={}, file=file)
    assert says in str(caught.value)


def test_tables_of_others_are_left_alone(file: Path) -> None:
    file.write_text(SIGNER_FILE + "[task]\nbounty = 1\n", encoding="utf-8")
    config = NodeConfig.load(environ={}, file=file, other_tables=frozenset({"task"}))
    assert config.policy.max_fee == 5 * CVY


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        NodeConfig.load(environ={}, file=tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("value", "wei"),
    [
        (7, 7),
        ("7", 7),
        ("7 wei", 7),
        ("7 CVY", 7 * CVY),
        ("0.25CVY", CVY // 4),
        ("0", 0),
        ("123456789.123456789012345678 CVY", 123456789123456789012345678),
    ],
)
def test_amounts(value: object, wei: int) -> None:
    assert parse_amount(value) == wei


@pytest.mark.parametrize(
    "value", ["", "-1", "1e3", "1.5", "7 ETH", True, 1.5, None, 2**128, "0.0000000000000000001 CVY"]
)
def test_what_is_no_amount(value: object) -> None:
    with pytest.raises(ValueError, match=r"amount|finer than one wei"):
        parse_amount(value)
