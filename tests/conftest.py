"""Settings for all Python tests but those in tests/contracts."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# No test may fail because the machine is slow.
settings.register_profile("covey", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("covey")
