"""Struct conversion, argument encoding and reads of contract bindings."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from covey.chain.contracts import Contracts
from covey.chain.contracts.base import snake, struct
from covey.chain.errors import ContractReverted, WrongDeployment


@dataclass(frozen=True)
class Pair:
    first_part: int
    second: int


def test_struct_fields_are_matched_by_name() -> None:
    components = [{"name": n, "type": "uint256"} for n in ("second", "extra", "firstPart")]
    assert struct(Pair, components, (2, 9, 1)) == Pair(1, 2)
    with pytest.raises(WrongDeployment, match="lacks first_part of Pair"):
        struct(Pair, components[:2], (2, 9))
    assert [snake(n) for n in ("entryCommitEnd", "h", "pageWords", "openEnd")] == [
        "entry_commit_end",
        "h",
        "page_words",
        "open_end",
    ]


@pytest.mark.daemon
def test_argument_of_the_wrong_type_is_refused(contracts: Contracts) -> None:
    with pytest.raises(ValueError, match="commitEntry: "):
        contracts.registry.commit_entry(1, "0x12", bytes(32), 0)
    with pytest.raises(ValueError, match="setCommission: "):
        contracts.staking.set_commission(-1)


@pytest.mark.daemon
def test_revert_of_a_view_is_decoded(contracts: Contracts) -> None:
    with pytest.raises(ContractReverted) as caught:
        contracts.registry.params_of(999)
    assert caught.value.name == "RegistryUnknownTask"
    assert caught.value.reason.args == {"taskId": 999}
