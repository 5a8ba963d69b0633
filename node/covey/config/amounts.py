"""Default amounts, wei of CVY. Each is defined here only."""

from __future__ import annotations

from covey.chain.units import CVY

ENTRY_FEE = CVY
"""Fee of the first entry of a new task. It rises with the number of entries, up to four times."""
MAX_FEE = 5 * ENTRY_FEE
"""What a trainer pays for one entry at most: enough for the last entry of a task with the default fee."""
SUGGESTED_STAKE = 2_000 * CVY
"""The stake that the commands' examples name."""
