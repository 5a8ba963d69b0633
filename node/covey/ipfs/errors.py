"""Errors of content-addressed storage, one class per remedy."""

from __future__ import annotations


class IpfsError(Exception):
    """Base of all storage errors. The message is one line and says what to do if anything can be done."""


class InvalidCid(IpfsError, ValueError):
    """The text or bytes are not a CID that Covey uses (CIDv1, raw or dag-pb, sha2-256)."""


class InvalidContent(IpfsError, ValueError):
    """The bytes match their CID but are not a well-formed file or flat directory. Another source cannot help."""


class LimitExceeded(InvalidContent):
    """The content is larger or deeper, or has more entries, than the caller allows. Nothing more was fetched."""


class NotFound(IpfsError, LookupError):
    """No source has the block, pin or file. Another source may have it, now or later."""


class CorruptBlock(IpfsError):
    """Stored bytes do not hash to their CID. Fetch the block again."""


class SourceError(IpfsError):
    """A source refused the request, timed out or returned an error. A retry may succeed."""


class MismatchedBlock(SourceError):
    """A source returned bytes that do not hash to the requested CID. Do not use the source again for a while."""


class StoreFull(IpfsError):
    """The store's quota would be exceeded even after garbage collection, or its disk is full."""


class StoreBusy(IpfsError):
    """Another process holds the store's lock. Retry later."""
