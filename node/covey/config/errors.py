"""The error of this package."""

from __future__ import annotations


class ConfigError(ValueError):
    """A setting is missing, unknown or invalid. The message is one line and names the source of the value."""
