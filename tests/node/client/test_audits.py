"""The audit of a whole deployment: one verdict, to which nothing that was skipped contributes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.support.audit.chain_scenario import DOMAIN, SEED, paid_task_events

from covey.audit.bytecode import Checked
from covey.audit.record import AuditError
from covey.chain.errors import Unreachable
from covey.client import audits
from covey.client.audits import audit_all, verdict
from covey.ipfs import Cid, NotFound


class EmptyReader:
    """A reader whose sources have nothing."""

    def read(self, cid: Cid, name: str = "", max_bytes: int = 1 << 20) -> bytes:
        raise NotFound(f"no source has {cid}")


def chain(events: Any = paid_task_events, mix_hash: bytes = SEED) -> Any:
    """A deployment with the scenario's task."""
    rpc = SimpleNamespace(block_json=lambda number: {"mixHash": "0x" + mix_hash.hex()})
    return SimpleNamespace(events=events, domain=DOMAIN, rpc=rpc, deployment=SimpleNamespace(contracts={}))


def unreadable() -> Any:
    raise Unreachable("no endpoint answered")


@pytest.fixture
def contracts(monkeypatch: pytest.MonkeyPatch) -> list[Checked]:
    """What the check of the bytecode finds."""
    found = [Checked("CoveyToken", "0x1"), Checked("Staking", "0x2")]
    monkeypatch.setattr(audits, "from_deployment", lambda folder: {})
    monkeypatch.setattr(audits, "check_bytecode", lambda *args, **options: found)
    return found


def audit(on: Any, reader: Any = None) -> list[audits.Part]:
    return audit_all(on, Path("records"), sources=None, reader=reader, progress=lambda line: None)


def test_without_a_source_of_evidence_the_verdict_is_incomplete(contracts: list[Checked]) -> None:
    replay, evidence, bytecode = parts = audit(chain())
    assert (replay.verdict, evidence.verdict, bytecode.verdict) == ("agrees", "incomplete", "agrees")
    assert replay.summary.endswith("figures of 1 tasks")
    assert bytecode.summary == "2 of 2 contracts match their sources"
    assert verdict(parts).startswith("INCOMPLETE")
    assert "(evidence)" in verdict(parts)


def test_documents_that_nobody_has_are_listed(contracts: list[Checked]) -> None:
    _, evidence, _ = audit(chain(), EmptyReader())
    assert evidence.verdict == "incomplete"
    assert evidence.summary.startswith("0 of ")
    assert all("no source has" in line for line in evidence.unchecked)


def test_a_network_without_tasks_agrees(contracts: list[Checked]) -> None:
    parts = audit(chain(events=list), EmptyReader())
    assert [part.verdict for part in parts] == ["agrees"] * 3
    assert verdict(parts).startswith("AGREES")


def test_one_difference_anywhere_decides(contracts: list[Checked]) -> None:
    contracts[1].differences.append("byte 7 is 0x00, compiled 0x01")
    parts = audit(chain(events=list), EmptyReader())
    assert parts[2].differences == ["Staking: byte 7 is 0x00, compiled 0x01"]
    assert verdict(parts).startswith("DIFFERS from the sources or the rules in 1 places; the first: Staking: byte 7")
    wrong_seed = audit(chain(mix_hash=bytes(32)))
    assert wrong_seed[0].verdict == "differs"
    assert "seed of round 0" in verdict(wrong_seed)


def test_what_cannot_be_read_is_no_agreement(contracts: list[Checked], monkeypatch: pytest.MonkeyPatch) -> None:
    contracts[0].unavailable.append("the endpoint no longer has the transaction that created it")
    parts = audit(chain(events=unreadable), EmptyReader())
    assert [part.verdict for part in parts] == ["incomplete"] * 3
    assert parts[0].unchecked == ["no endpoint answered"]

    def no_sources(folder: Path) -> Any:
        raise AuditError("no sources")

    monkeypatch.setattr(audits, "from_deployment", no_sources)
    assert audit(chain())[2].unchecked == ["no sources"]
