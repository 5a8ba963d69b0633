"""Everything that can go wrong with content-addressed storage, told apart by what the caller should do."""

from __future__ import annotations


class IpfsError(Exception):
    """Base of all storage errors. The message is one line and says what to do where something can be done."""


class InvalidCid(IpfsError, ValueError):
    """The text or bytes are not a CID that Covey uses (CIDv1, raw or dag-pb, sha2-256)."""


class InvalidContent(IpfsError, ValueError):
    """The bytes match their CID but are not a well-formed file or flat directory. Asking another source is useless."""


class LimitExceeded(InvalidContent):
    """The content is larger, deeper or has more entries than the caller allows. Nothing more was fetched."""


class NotFound(IpfsError, LookupError):
    """No source has the block, pin or file. Another source, or a later try, may."""


class CorruptBlock(IpfsError):
    """Stored bytes do not hash to their CID. The copy is worthless; fetch the block again."""


class SourceError(IpfsError):
    """A source could not be asked: refused, timed out, or answered with an error. A later try may work."""


class LyingSource(SourceError):
    """A source answered with bytes that do not hash to the CID it was asked for. It must not be asked again."""


class StoreFull(IpfsError):
    """The quota of the store would be exceeded even after collecting garbage."""


class StoreBusy(IpfsError):
    """Another process holds the store's lock; try again later."""
