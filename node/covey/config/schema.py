"""Reads settings models: their sections, their fields, and the name of each field in every source.

A field `policy.max_fee` is the TOML key `max_fee` in the table `[policy]`, the environment variable
`COVEY_POLICY_MAX_FEE` and the flag `--policy-max-fee`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

PREFIX = "COVEY_"

Path = tuple[str, ...]
"""Names from the model down to one field, for instance ("policy", "max_fee")."""


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


def leaves(model: type[BaseModel], path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every setting of a model as (path, annotation), in the order of its sections; nested models are tables."""
    for _, names in sections(model):
        for name in names:
            annotation = model.model_fields[name].annotation
            if isinstance(annotation, type) and issubclass(annotation, BaseModel):
                yield from leaves(annotation, (*path, name))
            else:
                yield (*path, name), annotation


def environment_name(path: Path, prefix: str = PREFIX) -> str:
    """The environment variable of a setting."""
    return prefix + "_".join(path).upper()


def flag_name(path: Path) -> str:
    """The key of a setting among flags, for instance policy_max_fee."""
    return "_".join(path)
