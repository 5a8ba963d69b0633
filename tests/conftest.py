"""Settings for all Python tests but those in tests/contracts."""

from __future__ import annotations

from hypothesis import settings

# No test may fail because the machine is slow.
settings.register_profile("covey", deadline=None, print_blob=True)
settings.load_profile("covey")
