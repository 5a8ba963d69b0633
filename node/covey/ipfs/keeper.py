"""What this node has promised to keep, for how long, and whether it still can be had.

A promise begins when a result is published and has no end until its task is settled; then it is kept for so many days
more. Promises are in a file of their own, apart from any store's pins, so that a pin lost behind the node's back is
noticed. Times are chain time in seconds.
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


@dataclass(frozen=True, slots=True)
class RetainedContent:
    """Content to keep: ``keep_until`` is chain time in seconds, None while its task is not settled."""

    cid: Cid
    label: str
    keep_until: int | None = None


@dataclass(frozen=True, slots=True)
class MissingPin:
    """Something promised that cannot be had ``where`` it should be: an alert, with the reason in one line."""

    promise: RetainedContent
    where: str
    reason: str


class Keeper:
    """Keeps promises in ``store``, at ``services``, and looks for them at ``gateways``. Safe in many threads.

    What the store has lost is fetched again through ``fetch`` (a fetcher's ``get_block``), and else from ``gateways``.
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
        self._promises = self._load()

    def promises(self) -> tuple[RetainedContent, ...]:
        """All that is promised, sorted by label."""
        return tuple(_sorted(self._promises))

    def promise(self, cid: Cid, label: str) -> None:
        """Keep a directory that the store holds, until `settle` gives it an end; written down before it is pinned.

        A service that cannot be asked now is asked again by `check`. Raises `NotFound` if the store lacks a block.
        """
        with self._lock:
            self._save({**self._promises, cid: RetainedContent(cid, label)})
        try:
            self._store.pin(cid, label)
        except IpfsError:
            self._forget(cid)
            raise
        for service in self._services:
            with contextlib.suppress(IpfsError):  # `check` will say so
                service.pin(cid, label)

    def settle(self, cid: Cid, settled_at: int, days: float) -> None:
        """From ``settled_at`` on, keep it ``days`` days more. An end that was later stays. Raises `NotFound`."""
        with self._lock:
            if cid not in self._promises:
                raise NotFound(f"{cid} was never promised")
            until = max(self._promises[cid].keep_until or 0, settled_at + int(days * DAY_S))
            self._save({**self._promises, cid: replace(self._promises[cid], keep_until=until)})

    def release(self, now: int) -> tuple[RetainedContent, ...]:
        """Unpin, everywhere, what need not be kept any longer, and return it.

        What a service could not be told stays promised, and is tried again next time.
        """
        due = [p for p in self.promises() if p.keep_until is not None and p.keep_until <= now]
        released = []
        for promise in due:
            try:
                for unpin in (*(service.unpin for service in self._services), self._store.unpin):
                    with contextlib.suppress(NotFound):
                        unpin(promise.cid)
            except IpfsError:
                continue
            self._forget(promise.cid)
            released.append(promise)
        return tuple(released)

    def check(self) -> tuple[MissingPin, ...]:
        """Read every promised block back, ask every service, and try each gateway with a block drawn at random.

        A block that the store has damaged or lost is fetched again and put in its place, where another source has it,
        and a pin that is missing is put back; that is reported all the same, once.
        """
        lapses: list[MissingPin] = []
        promises = self.promises()  # before the pins: what is promised is pinned by then
        pinned = {pin.cid for pin in self._store.pins()}
        for promise in promises:
            contents = self._check_store(promise, promise.cid in pinned, lapses)
            self._check_services(promise, lapses)
            if contents is not None:
                self._check_gateways(promise, contents, lapses)
        return tuple(lapses)

    def _check_store(self, promise: RetainedContent, pinned: bool, lapses: list[MissingPin]) -> Plan | None:
        lost: dict[Cid, None] = {}

        def get(cid: Cid) -> bytes:
            try:
                return self._store.get_local(cid)
            except (CorruptBlock, NotFound) as error:
                block = self._from_elsewhere(cid, error)
                lost[cid] = None
                return block

        try:
            contents = plan(promise.cid, get, UNLIMITED)
            for block in contents.blocks():
                get(block)
            for cid in lost:  # only now: what cannot be made whole is left as it is
                self._store.restore_block(cid, get(cid), promise.cid)
            if lost or not pinned:
                self._store.pin(promise.cid, promise.label)
            if lost:
                reason = f"damaged or lost blocks fetched again: {len(lost)}"
                lapses.append(MissingPin(promise, self._store.name, reason))
            elif not pinned:
                lapses.append(MissingPin(promise, self._store.name, "was not pinned any more: pinned again"))
            return contents
        except IpfsError as error:
            lapses.append(MissingPin(promise, self._store.name, str(error)))
            return None

    def _from_elsewhere(self, cid: Cid, found: IpfsError) -> bytes:
        """A block that the store cannot give for the reason ``found``. Raises `SourceError` if nobody has it."""
        if self._fetch is not None:
            with contextlib.suppress(IpfsError):
                return self._fetch(cid)
        for gateway in self._gateways:
            with contextlib.suppress(IpfsError):
                block = gateway.get_block(cid)
                if cid.matches(block):
                    return block
        raise SourceError(f"{found} (no other source has it now)")

    def _check_services(self, promise: RetainedContent, lapses: list[MissingPin]) -> None:
        for service in self._services:
            try:
                found = service.status(promise.cid).status
                if found == "failed":
                    service.pin(promise.cid, promise.label)
                    lapses.append(MissingPin(promise, service.name, "the pin had failed: asked again"))
            except NotFound:
                try:
                    service.pin(promise.cid, promise.label)
                    lapses.append(MissingPin(promise, service.name, "was not pinned any more: asked again"))
                except IpfsError as error:
                    lapses.append(MissingPin(promise, service.name, str(error)))
            except IpfsError as error:
                lapses.append(MissingPin(promise, service.name, str(error)))

    def _check_gateways(self, promise: RetainedContent, contents: Plan, lapses: list[MissingPin]) -> None:
        for gateway in self._gateways:
            try:
                gateway.get_block(promise.cid)
                gateway.get_block(random.choice(list(contents.blocks())))
            except IpfsError as error:
                lapses.append(MissingPin(promise, gateway.name, str(error)))

    def _forget(self, cid: Cid) -> None:
        with self._lock:
            self._save({other: promise for other, promise in self._promises.items() if other != cid})

    def _load(self) -> dict[Cid, RetainedContent]:
        try:
            records = json.loads(self._path.read_bytes())
            promises = [RetainedContent(Cid.parse(r["cid"]), str(r["label"]), r["keep_until"]) for r in records]
            if any(not isinstance(promise.keep_until, int | None) for promise in promises):
                raise TypeError
        except FileNotFoundError:
            return {}
        except (ValueError, KeyError, TypeError):
            raise IpfsError(f"{self._path} is damaged: restore it, or remove it to forget what was promised") from None
        return {promise.cid: promise for promise in promises}

    def _save(self, promises: dict[Cid, RetainedContent]) -> None:
        """Write down `promises` and take them for what is promised. Raises OSError, and nothing has changed then."""
        records = [{**asdict(promise), "cid": str(promise.cid)} for promise in _sorted(promises)]
        temporary = self._path.with_name(self._path.name + ".new")
        with open(temporary, "wb") as file:
            file.write(json.dumps(records, indent=1).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self._path)
        sync_folder(self._path.parent)
        self._promises = promises


def _sorted(promises: dict[Cid, RetainedContent]) -> list[RetainedContent]:
    return sorted(promises.values(), key=lambda promise: (promise.label, promise.cid))
