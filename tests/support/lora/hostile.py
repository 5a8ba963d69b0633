"""More than a thousand hostile adapters, each with one defect and the one reason for which it must be refused.

All are derived from one valid adapter of the embedded base. The list is deterministic.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from tests.support.lora import hostile_config, hostile_files, hostile_weights
from tests.support.lora.hostile_base import Case, Rows

FAMILIES: tuple[Callable[[], Rows], ...] = (
    *(
        hostile_weights.truncated,
        hostile_weights.header_bombs,
        hostile_weights.offsets,
        hostile_weights.shapes,
        hostile_weights.dtypes,
        hostile_weights.values,
        hostile_weights.keys,
    ),
    *(hostile_files.containers, hostile_files.nodes, hostile_files.names, hostile_files.sizes, hostile_files.jsons),
    *(
        hostile_config.numbers,
        hostile_config.methods,
        hostile_config.types,
        hostile_config.labels,
        hostile_config.remote_code,
        hostile_config.targets,
        hostile_config.manifests,
    ),
)


def cases() -> list[Case]:
    """Every case, in a fixed order. Cases with the same name are numbered."""
    counts: Counter[str] = Counter()
    found = []
    for family in FAMILIES:
        for name, write, reason in family():
            full = f"{family.__name__}: {name if name.isascii() and name.isprintable() else ascii(name)}"
            counts[full] += 1
            number = f" ({counts[full]})" if counts[full] > 1 else ""
            found.append(Case(family.__name__, full + number, write, reason))
    return found
