"""Reads settings models: their sections, and the name, unit and default of each setting.

A field `policy.max_fee` is the TOML key `max_fee` in the table `[policy]`, the environment variable
`COVEY_POLICY_MAX_FEE` and the flag `--policy-max-fee`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel, ByteSize
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from covey.config.types import Unit

PREFIX = "COVEY_"

Key = tuple[str, ...]
"""Names from a model down to one setting, for instance ("policy", "max_fee")."""


def sections(model: type[BaseModel]) -> list[tuple[type[BaseModel], list[str]]]:
    """The fields of a composed model by defining group: groups in the order of the bases, then the model itself."""
    found: list[tuple[type[BaseModel], list[str]]] = []
    seen: set[str] = set()
    for base in model.__bases__:
        if issubclass(base, BaseModel):
            for group, names in sections(base):
                new = [name for name in names if name not in seen]
                if new:
                    found.append((group, new))
                    seen.update(new)
    own = [name for name in model.model_fields if name not in seen]
    if own:
        found.append((model, own))
    return found


def table_model(field: FieldInfo) -> type[BaseModel] | None:
    """The model of a field that is a table; None for a plain setting."""
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def leaves(model: type[BaseModel], parent: Key = ()) -> Iterator[tuple[Key, Any]]:
    """Every setting of a model as (key, annotation), in the order of its sections."""
    for _, names in sections(model):
        for name in names:
            field = model.model_fields[name]
            table = table_model(field)
            if table is not None:
                yield from leaves(table, (*parent, name))
            else:
                yield (*parent, name), field.annotation


def field_at(model: type[BaseModel], key: Key) -> tuple[type[BaseModel], FieldInfo]:
    """A setting, with the model or table that has it."""
    for name in key[:-1]:
        table = table_model(model.model_fields[name])
        assert table is not None, key
        model = table
    return model, model.model_fields[key[-1]]


def group_of(model: type[BaseModel], name: str) -> type[BaseModel]:
    """The group that defines a field of a model."""
    return next(group for group, names in sections(model) if name in names)


def environment_name(key: Key, prefix: str = PREFIX) -> str:
    """The environment variable of a setting."""
    return prefix + "_".join(key).upper()


def flag_name(key: Key) -> str:
    """The name of a setting among parsed flags, for instance policy_max_fee."""
    return "_".join(key)


def flag_of(key: Key) -> str:
    """The command-line flag of a setting, for instance --policy-max-fee."""
    return "--" + "-".join(key).replace("_", "-")


def unit_of(field: FieldInfo) -> Unit | None:
    """The unit in the type of a field; None for a plain value."""

    def search(annotation: Any) -> Unit | None:
        parts = get_args(annotation)
        return next((unit for part in parts if (unit := part if isinstance(part, Unit) else search(part))), None)

    return next((item for item in field.metadata if isinstance(item, Unit)), None) or search(field.annotation)


def default_of(field: FieldInfo) -> object:
    """The default as a settings file may spell it, with its unit; None for a field without one."""
    default = field.get_default(call_default_factory=False)
    if default is PydanticUndefined or default is None:
        return None
    if isinstance(default, ByteSize):
        return default.human_readable().replace(".0", "")
    unit = unit_of(field)
    if unit is not None and unit.scale != 1:
        return f"{default / unit.scale:g} {unit.name}"
    return default


def describe(field: FieldInfo) -> tuple[str, str]:
    """The meaning and the default of a field as text; the default is "" if there is none.

    A field that is None by default may explain its fallback in its description, after "; default: ".
    """
    meaning, _, fallback = (field.description or "").partition("; default: ")
    default = default_of(field)
    if fallback:
        shown = fallback
    elif default is None or default == ():
        shown = ""
    elif isinstance(default, bool):
        shown = str(default).lower()
    elif isinstance(default, tuple):
        shown = ", ".join(str(item) for item in default)
    else:
        shown = f"{default:g}" if isinstance(default, float) else str(default)
    return f"{meaning[:1].upper()}{meaning[1:]}.", shown
