"""Gas limits that Ethereum fixes."""

from __future__ import annotations

TRANSFER_GAS = 21_000
"""Gas of a plain transfer of the native coin."""
MAX_GAS = 1 << 24
"""Maximum gas of one transaction (EIP-7825)."""
