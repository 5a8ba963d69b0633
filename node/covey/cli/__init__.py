"""The `covey` command. Layers: main → commands → setup, views → access → output, parse, settings → errors."""

from __future__ import annotations

import time

STARTED = time.monotonic()
"""When this process loaded the command line, for commands that report their duration."""
