"""The settings file of a new node."""

from __future__ import annotations

import tomllib

from covey.cli.setup.settings_file import render_settings
from covey.config.node import NodeConfig, Policy
from covey.config.schema import leaves

VALUES = {
    "roles": ["validator"],
    "keystore": "signer.json",
    "rpc_urls": ["http://a"],
    "deployment": "d",
    "data_dir": "data",
    "heldout_records": "h.jsonl",
}


def test_file_sets_the_values_and_explains_every_setting() -> None:
    text = render_settings(VALUES)
    assert tomllib.loads(text) == VALUES | {"policy": {}}
    assert all(f"{key[-1]} =" in text for key, _ in leaves(NodeConfig))


def test_commented_defaults_are_valid_and_equal_the_models() -> None:
    lines = render_settings(VALUES).splitlines()
    uncommented = [line[2:] if line.startswith("# ") and " = " in line else line for line in lines]
    settings = tomllib.loads("\n".join(line for line in uncommented if not line.startswith("#")))
    config, defaults = NodeConfig.model_validate(settings), NodeConfig.model_validate(VALUES)
    assert config == defaults
    assert config.policy == Policy()


def test_comments_name_units_and_fallbacks() -> None:
    text = render_settings({})
    assert '# Maximum fee per gas.\n# max_gas_price = "300 gwei"\n' in text
    assert "# Interval between two cycles. In seconds.\n# poll_interval_seconds = 2.0\n" in text
    assert "# Account of the remote signer. Default: its only account.\n# signer_address =\n" in text
