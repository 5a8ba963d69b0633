"""Checks the sources of a task's figures: the seed's block, the entries' manifests, the validators' score sheets."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from covey.audit.record import RoundRecord, TaskRecord, raw
from covey.audit.replay import Audit
from covey.audit.rules import HashDomain
from covey.ipfs import Cid, InvalidContent, IpfsError
from covey.protocol.canonical import DocumentError
from covey.protocol.entry import MANIFEST_NAME, Manifest, TaskReference
from covey.protocol.scores import unpack
from covey.protocol.sheet import SHEET_NAME, ScoreSheet

if TYPE_CHECKING:
    from covey.chain.rpc.client import Rpc

_MAX_BYTES = 1 << 20


class Reader(Protocol):
    """Reads content by CID and verifies it; `covey.ipfs.Fetcher` is one."""

    def read(self, cid: Cid, name: str = "", max_bytes: int = 1 << 20) -> bytes:
        """Read one file of a directory, at most `max_bytes`."""
        ...


def check_seeds(audit: Audit, task: TaskRecord, rpc: Rpc) -> None:
    """Compare each round's seed with the prevrandao (``mixHash``) of the block that its request named.

    Raises:
        ChainError: the block cannot be read.
    """
    for round_ in task.rounds.values():
        if round_.fixed is not None:
            block = rpc.block_json(int(round_.requested["target"]))
            audit.compare(
                task, f"seed of round {round_.requested['round']}", raw(round_.fixed["seed"]), raw(block["mixHash"])
            )


def check_content(audit: Audit, task: TaskRecord, domain: HashDomain, reader: Reader) -> None:
    """Compare manifests and score sheets with the chain.

    Content that no source provides goes to `Audit.unavailable`; it is not a difference.
    """
    reference = TaskReference(
        chain_id=domain.chain_id,
        registry=domain.registry.lower(),
        task_id=task.id,
        spec=raw(task.params["specDigest"]).hex(),
    )
    ruling = audit.rulings.get(task.id)
    for entry in task.revealed:
        if ruling is None or ruling.entries[int(entry["lane"])].median == 0:
            continue  # the entry is invalid, so its manifest may be invalid too
        what = f"manifest of the entry of {entry['operator']}"
        manifest = _read_document(audit, task, what, entry["digest"], MANIFEST_NAME, Manifest.from_bytes, reader)
        if manifest is not None:
            audit.compare(task, f"task in the {what}", manifest.task, reference)
            audit.compare(task, f"operator in the {what}", manifest.operator, entry["operator"].lower())
    for round_ in task.rounds.values():
        for row in round_.revealed:
            _check_sheet(audit, task, round_, row, reference, reader)


def _check_sheet(
    audit: Audit, task: TaskRecord, round_: RoundRecord, row: Any, reference: TaskReference, reader: Reader
) -> None:
    what = f"score sheet of {row['operator']}"
    sheet = _read_document(audit, task, what, row["evidenceDigest"], SHEET_NAME, ScoreSheet.from_bytes, reader)
    if sheet is None:
        return
    audit.compare(task, f"task in the {what}", sheet.task, reference)
    audit.compare(task, f"round in the {what}", sheet.round, int(round_.requested["round"]))
    audit.compare(task, f"operator in the {what}", sheet.operator, row["operator"].lower())
    audit.compare(task, f"scores in the {what}", unpack(list(row["words"]), len(task.revealed)), sheet.scores())
    digests = [raw(entry["digest"]).hex() for entry in task.revealed]
    audit.compare(task, f"entries in the {what}", digests, [entry.digest for entry in sheet.entries])


def _read_document(
    audit: Audit, task: TaskRecord, what: str, digest: Any, name: str, parse: Callable[[bytes], Any], reader: Reader
) -> Any:
    """Fetch and parse a document. None if it is unavailable, or unreadable, which is a difference."""
    audit.documents += 1
    try:
        found = parse(reader.read(Cid.directory(raw(digest)), name, _MAX_BYTES))
        audit.fetched += 1
        return found
    except (DocumentError, InvalidContent) as error:
        audit.fetched += 1
        audit.compare(task, what, f"unreadable ({error})", "readable")
    except IpfsError as error:
        audit.unavailable.append(f"task {task.id}: {what}: {error}")
    return None
