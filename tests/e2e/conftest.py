"""Settings for the end-to-end tests, which run whole commands and interrupt them."""

from __future__ import annotations

import signal

# A shell that starts the suite in the background has it ignore SIGINT, and commands started from here would inherit
# that: Ctrl-C would not end them. What has a handler here is back at its default in a child.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
