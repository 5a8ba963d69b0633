"""Fixtures and settings for the end-to-end tests, which run whole commands and interrupt them."""

from __future__ import annotations

import signal

from tests.support.network_fixtures import net, pool, prepared_chain, run_folder, shared, workers

__all__ = ["net", "pool", "prepared_chain", "run_folder", "shared", "workers"]

# A shell that starts the suite in the background makes it ignore SIGINT, and commands started here would inherit that:
# Ctrl-C would not end them. A signal with a handler is back at its default in a child.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
