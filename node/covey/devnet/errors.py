"""What can go wrong while a local network runs."""

from __future__ import annotations


class DevnetError(Exception):
    """A local network could not be started or did not do its work; the message says what to do."""


class BadInput(DevnetError):
    """What was asked for cannot be done; nothing was started or written."""
