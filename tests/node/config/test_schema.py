"""Sections, names, units and defaults of settings models."""

from __future__ import annotations

import pytest

from covey.config.commands import CommandSettings
from covey.config.node import NodeConfig
from covey.config.schema import (
    Key,
    default_of,
    describe,
    environment_name,
    field_at,
    flag_name,
    flag_of,
    group_of,
    leaves,
    sections,
    unit_of,
)
from covey.config.shared import RoleSettings, RpcSettings


@pytest.mark.parametrize("model", [NodeConfig, CommandSettings])
def test_each_setting_has_one_section_and_unique_names(model: type[NodeConfig] | type[CommandSettings]) -> None:
    names = [name for _, group in sections(model) for name in group]
    assert sorted(names) == sorted(model.model_fields)
    keys = [key for key, _ in leaves(model)]
    assert len({flag_name(key) for key in keys}) == len({environment_name(key) for key in keys}) == len(keys)


def test_node_and_commands_share_definitions() -> None:
    """A setting of both has one definition: the same group, type metadata, description and default."""
    for name in NodeConfig.model_fields.keys() & CommandSettings.model_fields.keys():
        node, command = NodeConfig.model_fields[name], CommandSettings.model_fields[name]
        assert group_of(NodeConfig, name) is group_of(CommandSettings, name)
        assert node.description == command.description
        assert node.is_required() or default_of(node) == default_of(command)


def test_sections_follow_the_order_of_the_bases() -> None:
    assert sections(NodeConfig)[0][0] is RoleSettings
    assert group_of(NodeConfig, "rpc_quorum") is RpcSettings


def test_names_are_derived_from_the_key() -> None:
    key = ("policy", "max_fee")
    assert (environment_name(key), flag_name(key), flag_of(key)) == (
        "COVEY_POLICY_MAX_FEE",
        "policy_max_fee",
        "--policy-max-fee",
    )


@pytest.mark.parametrize(
    ("key", "unit", "meaning", "default"),
    [
        (("max_gas_price",), "gwei", "Maximum fee per gas.", "300 gwei"),
        (("policy", "max_fee"), "CVY", "Maximum fee for one entry.", "5 CVY"),
        (("confirmations",), "blocks", "Blocks after which a block counts as final.", "the chain's finalized block"),
        (("rpc_timeout_seconds",), "seconds", "Time limit for one request over all endpoints.", "10"),
        (("store_quota",), None, "Maximum size of a block store that is a folder.", "20GiB"),
        (("log_json",), None, "Write logs as JSON Lines.", "false"),
        (("bases",), None, "Available base models: tiny, a folder, or a hub name.", "tiny"),
        (("peers",), None, "Gateways of other nodes, to fetch specs and entries from.", ""),
        (("keystore",), None, "Encrypted keystore of the signer.", ""),
    ],
)
def test_setting_is_described(key: Key, unit: str | None, meaning: str, default: str) -> None:
    _, field = field_at(NodeConfig, key)
    found = unit_of(field)
    assert (found.name if found else None) == unit
    assert describe(field) == (meaning, default)


@pytest.mark.parametrize("model", [NodeConfig, CommandSettings])
def test_every_setting_has_a_meaning_of_one_line(model: type[NodeConfig] | type[CommandSettings]) -> None:
    for key, _ in leaves(model):
        meaning, _ = describe(field_at(model, key)[1])
        assert len(meaning) > 5, key
        assert "\n" not in meaning, key
