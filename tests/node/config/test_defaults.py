"""Defaults of settings equal those of the functions that the settings feed, which other callers use directly."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from covey.chain.tx.fees import FeePolicy
from covey.client.network import Network, connect
from covey.client.posting import task_params
from covey.config.commands import StakeSettings, TaskSettings
from covey.config.shared import FeeSettings, RpcSettings, SettingsGroup


@pytest.mark.parametrize(
    ("group", "setting", "function", "parameter"),
    [
        *((TaskSettings, name, task_params, name) for name in TaskSettings.model_fields if name != "bounty"),
        (StakeSettings, "commission_bps", Network.stake, "commission_bps"),
        (RpcSettings, "rpc_timeout_seconds", connect, "timeout_s"),
        (RpcSettings, "rpc_quorum", connect, "quorum"),
        (FeeSettings, "max_gas_price", FeePolicy, "cap"),
        (FeeSettings, "max_priority_fee", FeePolicy, "max_priority"),
        (FeeSettings, "bump_blocks", FeePolicy, "patience"),
    ],
)
def test_setting_and_parameter_have_the_same_default(
    group: type[SettingsGroup], setting: str, function: Callable[..., Any], parameter: str
) -> None:
    default = inspect.signature(function).parameters[parameter].default
    assert group.model_fields[setting].get_default() == default


def test_every_task_setting_is_a_parameter() -> None:
    assert set(TaskSettings.model_fields) <= set(inspect.signature(task_params).parameters)
