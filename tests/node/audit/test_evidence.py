"""Manifests and score sheets that contradict the chain are differences; missing ones are listed as unavailable."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.audit.chain_scenario import DOMAIN, ENTRANTS, SCORES, SEED, VALIDATORS, paid_task_events

from covey.audit.evidence import check_content, check_seeds
from covey.audit.record import gather
from covey.audit.replay import Audit, replay
from covey.ipfs import Cid, NotFound, directory_cid
from covey.protocol.entry import MANIFEST_NAME, Manifest
from covey.protocol.sheet import SHEET_NAME, ScoreSheet

REFERENCE = {"chain_id": 31337, "registry": DOMAIN.registry, "task_id": 1, "spec": "00" * 32}


class MemoryReader:
    """Directories of one file in memory, by CID."""

    def __init__(self) -> None:
        self.files: dict[Cid, bytes] = {}

    def put(self, name: str, data: bytes) -> str:
        """Store a file and return its directory's digest, 0x hex."""
        cid = directory_cid({name: data})
        self.files[cid] = data
        return "0x" + cid.word.hex()

    def read(self, cid: Cid, name: str = "", max_bytes: int = 1 << 20) -> bytes:
        if cid not in self.files:
            raise NotFound(f"no source has {cid}")
        return self.files[cid]


def manifest(entrant: str, **changes: Any) -> bytes:
    """A manifest for the scenario's task."""
    training = {"optimiser": "adamw", "learning_rate": "0.006", "schedule": "cosine", "steps": 4, "batch_records": 2}
    training |= {"sequence_length": 64, "rank": 8, "alpha": 16, "seed": 1}
    fields = {"task": REFERENCE, "operator": entrant, "base_digest": "ab" * 32, "records": 5, "tokens_seen": 9}
    return Manifest.parse({"version": 1, **fields, "training": training, **changes}).canonical_bytes()


def sheet(validator: str, scores: list[int], digests: list[str], **changes: Any) -> bytes:
    """A score sheet for the scenario's task."""
    entries = [
        {"lane": lane, "digest": digest, "score": score, "verdict": "scored"}
        for lane, (score, digest) in enumerate(zip(scores, digests, strict=True))
    ]
    fields = {"task": REFERENCE, "operator": validator, "base_digest": "ab" * 32, "source": "local", "entries": entries}
    fields |= {
        "profile": {"device": "cpu", "dtype": "bfloat16"},
        "strata": [{"name": "all", "records": 5, "tokens": 50}],
    }
    return ScoreSheet.parse({"version": 1, **fields, **changes}).canonical_bytes()


def audit_with_content(
    *, manifests: dict[str, Any] | None = None, sheets: dict[str, Any] | None = None, lost: str = ""
) -> Audit:
    """Audit the scenario with published content; changes apply to the first manifest or sheet."""
    reader, events = MemoryReader(), paid_task_events()
    digests = []
    for event in events:
        if event.name == "EntryRevealed":
            changes = (manifests or {}) if event.args["operator"] == ENTRANTS[0] else {}
            digest = reader.put(MANIFEST_NAME, manifest(event.args["operator"], **changes))
            event.args = {**event.args, "digest": digest}
            digests.append(digest[2:])
    for event in events:
        if event.name == "ScoresRevealed":
            index = VALIDATORS.index(event.args["operator"])
            changes = dict((sheets or {}) if index == 0 else {})
            scores = changes.pop("scores", SCORES[index])
            data = sheet(event.args["operator"], scores, digests, **changes)
            event.args = {**event.args, "evidenceDigest": reader.put(SHEET_NAME, data)}
    if lost:
        missing = next(event for event in events if lost in event.args and event.name.endswith("Revealed"))
        del reader.files[Cid.directory(missing.args[lost][2:])]
    audit = replay(events, DOMAIN)
    check_content(audit, gather(events)[1], DOMAIN, reader)
    return audit


def test_correct_content_has_no_difference() -> None:
    audit = audit_with_content()
    assert (audit.differences, audit.unavailable) == ([], [])
    assert audit.checked > replay(paid_task_events(), DOMAIN).checked + 15


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"manifests": {"operator": ENTRANTS[1]}}, "operator in the manifest"),
        ({"manifests": {"task": {**REFERENCE, "task_id": 2}}}, "task in the manifest"),
        ({"sheets": {"operator": VALIDATORS[1]}}, "operator in the score sheet"),
        ({"sheets": {"scores": [9000, 12000, 2]}}, "scores in the score sheet"),
        ({"sheets": {"round": 1}}, "round in the score sheet"),
    ],
)
def test_contradicting_content_is_reported(changes: dict[str, Any], found: str) -> None:
    lines = [str(difference) for difference in audit_with_content(**changes).differences]
    assert len(lines) == 1
    assert found in lines[0]


@pytest.mark.parametrize("lost", ["digest", "evidenceDigest"])
def test_missing_content_is_unavailable_and_no_difference(lost: str) -> None:
    audit = audit_with_content(lost=lost)
    assert audit.differences == []
    assert len(audit.unavailable) == 1


class OneBlockRpc:
    """An endpoint with a single block."""

    def __init__(self, mix: bytes) -> None:
        self.mix = mix

    def block_json(self, number: int) -> dict[str, Any]:
        assert number == 9
        return {"mixHash": "0x" + self.mix.hex()}


@pytest.mark.parametrize(("mix", "differences"), [(SEED, 0), (bytes(32), 1)])
def test_seed_must_be_the_prevrandao_of_its_block(mix: bytes, differences: int) -> None:
    audit = Audit()
    check_seeds(audit, gather(paid_task_events())[1], OneBlockRpc(mix))  # type: ignore[arg-type]
    assert len(audit.differences) == differences
