"""The covey command."""

from __future__ import annotations

import time

STARTED = time.monotonic()
"""When this command began, for those that tell how long they took."""
