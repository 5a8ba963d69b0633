"""Content that this node must keep available, how long, and whether it still is.

Retention begins when a result is published and has no end until its task is settled; then it lasts a number of days
more. The list of retained content is a file of its own, separate from any store's pins, so a pin that was removed
outside the node is noticed. Times are chain time in seconds.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from covey.ipfs.cid import Cid
from covey.ipfs.dag import GetBlock, Plan, plan
from covey.ipfs.disk import sync_folder
from covey.ipfs.errors import CorruptBlock, IpfsError, NotFound, SourceError
from covey.ipfs.pinning import PinningService
from covey.ipfs.store import UNLIMITED, Source, Store

DAY_S: Final = 86400
FILE_NAME: Final = "retained.json"
FORMER_FILE_NAME: Final = "promises.json"
"""Name of the file in earlier versions; the format is the same."""


@dataclass(frozen=True, slots=True)
class RetainedContent:
    """Content to keep: ``keep_until`` is chain time in seconds, None while its task is not settled."""

    cid: Cid
    label: str
    keep_until: int | None = None


@dataclass(frozen=True, slots=True)
class MissingPin:
    """Retained content that is not available at ``where``, which should have it; the reason is one line."""

    content: RetainedContent
    where: str
    reason: str


class Keeper:
    """Keeps content in ``store`` and at ``services``, and checks its availability at ``gateways``. Thread-safe.

    The list is stored at ``path``; a list under its former name in the same folder is renamed. Blocks that the store
    has lost are fetched again through ``fetch`` (a fetcher's ``get_block``), else from ``gateways``.
    """

    def __init__(
        self,
        store: Store,
        path: str | Path,
        *,
        services: Sequence[PinningService] = (),
        gateways: Sequence[Source] = (),
        fetch: GetBlock | None = None,
    ) -> None:
        self._store = store
        self._path = Path(path)
        self._services = tuple(services)
        self._gateways = tuple(gateways)
        self._fetch = fetch
        self._lock = threading.Lock()
        self._adopt_former_file()
        self._retained = self._load()

    def retained(self) -> tuple[RetainedContent, ...]:
        """All retained content, sorted by label."""
        return tuple(_sorted(self._retained))

    def retain(self, cid: Cid, label: str) -> None:
        """Keep a directory that the store holds until `settle` sets an end. It is recorded before it is pinned.

        A service that does not respond now is asked again by `check`. Raises `NotFound` if the store lacks a block.
        """
        with self._lock:
            self._save({**self._retained, cid: RetainedContent(cid, label)})
        try:
            self._store.pin(cid, label)
        except IpfsError:
            self._remove(cid)
            raise
        for service in self._services:
            with contextlib.suppress(IpfsError):  # `check` reports it
                service.pin(cid, label)

    def settle(self, cid: Cid, settled_at: int, days: float) -> None:
        """Keep the content for ``days`` days after ``settled_at``. A later end is not shortened. Raises `NotFound`."""
        with self._lock:
            if cid not in self._retained:
                raise NotFound(f"{cid} is not retained")
            until = max(self._retained[cid].keep_until or 0, settled_at + int(days * DAY_S))
            self._save({**self._retained, cid: replace(self._retained[cid], keep_until=until)})

    def release(self, now: int) -> tuple[RetainedContent, ...]:
        """Unpin everywhere, and return, the content whose end has passed.

        Content that a service could not unpin stays in the list and is retried at the next call.
        """
        due = [content for content in self.retained() if content.keep_until is not None and content.keep_until <= now]
        released = []
        for content in due:
            try:
                for unpin in (*(service.unpin for service in self._services), self._store.unpin):
                    with contextlib.suppress(NotFound):
                        unpin(content.cid)
            except IpfsError:
                continue
            self._remove(content.cid)
            released.append(content)
        return tuple(released)

    def check(self) -> tuple[MissingPin, ...]:
        """Read every retained block, query every service, and request one random block per directory from each gateway.

        A block that the store has damaged or lost is fetched again and restored if another source has it; a missing
        pin is added again. Both are reported once.
        """
        missing: list[MissingPin] = []
        retained = self.retained()  # read before the pins: retained content is pinned by then
        pinned = {pin.cid for pin in self._store.pins()}
        for content in retained:
            contents = self._check_store(content, content.cid in pinned, missing)
            self._check_services(content, missing)
            if contents is not None:
                self._check_gateways(content, contents, missing)
        return tuple(missing)

    def _check_store(self, content: RetainedContent, pinned: bool, missing: list[MissingPin]) -> Plan | None:
        lost: dict[Cid, None] = {}

        def get(cid: Cid) -> bytes:
            try:
                return self._store.get_local(cid)
            except (CorruptBlock, NotFound) as error:
                block = self._fetch_elsewhere(cid, error)
                lost[cid] = None
                return block

        try:
            contents = plan(content.cid, get, UNLIMITED)
            for block in contents.blocks():
                get(block)
            for cid in lost:  # only now: content that cannot be completed stays untouched
                self._store.restore_block(cid, get(cid), content.cid)
            if lost or not pinned:
                self._store.pin(content.cid, content.label)
            if lost:
                reason = f"damaged or lost blocks fetched again: {len(lost)}"
                missing.append(MissingPin(content, self._store.name, reason))
            elif not pinned:
                missing.append(MissingPin(content, self._store.name, "the pin was missing: pinned again"))
            return contents
        except IpfsError as error:
            missing.append(MissingPin(content, self._store.name, str(error)))
            return None

    def _fetch_elsewhere(self, cid: Cid, store_error: IpfsError) -> bytes:
        """A block that the store cannot supply. Raises `SourceError` if no source has it."""
        if self._fetch is not None:
            with contextlib.suppress(IpfsError):
                return self._fetch(cid)
        for gateway in self._gateways:
            with contextlib.suppress(IpfsError):
                block = gateway.get_block(cid)
                if cid.matches(block):
                    return block
        raise SourceError(f"{store_error} (no other source has it now)")

    def _check_services(self, content: RetainedContent, missing: list[MissingPin]) -> None:
        for service in self._services:
            try:
                status = service.status(content.cid).status
                if status == "failed":
                    service.pin(content.cid, content.label)
                    missing.append(MissingPin(content, service.name, "the pin failed: requested again"))
            except NotFound:
                try:
                    service.pin(content.cid, content.label)
                    missing.append(MissingPin(content, service.name, "the pin was missing: requested again"))
                except IpfsError as error:
                    missing.append(MissingPin(content, service.name, str(error)))
            except IpfsError as error:
                missing.append(MissingPin(content, service.name, str(error)))

    def _check_gateways(self, content: RetainedContent, contents: Plan, missing: list[MissingPin]) -> None:
        for gateway in self._gateways:
            try:
                gateway.get_block(content.cid)
                gateway.get_block(random.choice(list(contents.blocks())))
            except IpfsError as error:
                missing.append(MissingPin(content, gateway.name, str(error)))

    def _remove(self, cid: Cid) -> None:
        with self._lock:
            self._save({other: content for other, content in self._retained.items() if other != cid})

    def _adopt_former_file(self) -> None:
        """Rename a list that an earlier version left, unless there is one under the current name."""
        former = self._path.with_name(FORMER_FILE_NAME)
        if former != self._path and not self._path.exists() and former.exists():
            os.replace(former, self._path)
            sync_folder(self._path.parent)

    def _load(self) -> dict[Cid, RetainedContent]:
        try:
            records = json.loads(self._path.read_bytes())
            retained = [RetainedContent(Cid.parse(r["cid"]), str(r["label"]), r["keep_until"]) for r in records]
            if any(not isinstance(content.keep_until, int | None) for content in retained):
                raise TypeError
        except FileNotFoundError:
            return {}
        except (ValueError, KeyError, TypeError, RecursionError):
            raise IpfsError(
                f"{self._path} is damaged: restore it, or remove it to stop retaining what it listed"
            ) from None
        return {content.cid: content for content in retained}

    def _save(self, retained: dict[Cid, RetainedContent]) -> None:
        """Write the list and make it current. Raises OSError and changes nothing if it cannot be written."""
        records = [{**asdict(content), "cid": str(content.cid)} for content in _sorted(retained)]
        temporary = self._path.with_name(self._path.name + ".new")
        with open(temporary, "wb") as file:
            file.write(json.dumps(records, indent=1).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self._path)
        sync_folder(self._path.parent)
        self._retained = retained


def _sorted(retained: dict[Cid, RetainedContent]) -> list[RetainedContent]:
    return sorted(retained.values(), key=lambda content: (content.label, content.cid))
