"""Errors of local networks."""

from __future__ import annotations


class DevnetError(Exception):
    """A local network could not be started, or stopped working; the message says what to do."""


class BadInput(DevnetError):
    """An option cannot be used; nothing was started or written."""
