"""Renders the settings file of a new node."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping

from pydantic.fields import FieldInfo

from covey.config.node import NodeConfig
from covey.config.schema import default_of, describe, sections, table_model, unit_of

HEADER = """\
# Settings of a Covey node. Each key is also a flag of `covey run` (--rpc-urls) and an environment variable
# (COVEY_RPC_URLS). A flag overrides the variable, which overrides this file. Relative paths start at the folder of
# this file.
"""
_WIDTH = 118


def render_settings(values: Mapping[str, object]) -> str:
    """A TOML file with every setting of a node: `values` are set, all others are commented out with their defaults."""
    text, tables = HEADER, ""
    for group, names in sections(NodeConfig):
        plain = [name for name in names if table_model(NodeConfig.model_fields[name]) is None]
        if plain:
            text += f"\n# ---- {group.model_config.get('title', group.__name__)}\n"
        for name in plain:
            text += "\n" + _render(name, NodeConfig.model_fields[name], values)
        for name in names:
            if (table := table_model(NodeConfig.model_fields[name])) is not None:
                tables += f"\n# ---- {table.model_config.get('title', name)}\n\n[{name}]\n"
                tables += "".join("\n" + _render(key, field, {}) for key, field in table.model_fields.items())
    return text + tables


def _render(name: str, field: FieldInfo, values: Mapping[str, object]) -> str:
    unit = unit_of(field)
    meaning, fallback = describe(field)
    default = default_of(field)
    notes = [f"In {unit.name}."] if unit is not None and unit.name in ("seconds", "days", "MiB", "wei") else []
    notes += [f"Default: {fallback}."] if fallback and (default is None or name in values) else []
    comment = textwrap.fill(" ".join([meaning, *notes]), _WIDTH, initial_indent="# ", subsequent_indent="# ")
    if name in values:
        return f"{comment}\n{name} = {_toml(values[name])}\n"
    return f"{comment}\n# {name} =" + ("" if default is None else f" {_toml(default)}") + "\n"


def _toml(value: object) -> str:
    """A value in TOML. Strings, numbers, booleans and arrays have the same syntax in JSON."""
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
