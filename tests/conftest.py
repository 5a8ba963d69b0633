"""Settings for all Python tests but those in tests/contracts."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# No test may fail because the machine is slow. The same cases in every run, so that a change is judged by itself;
# `--hypothesis-profile=search` tries others.
settings.register_profile(
    "search", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True, derandomize=False
)
settings.register_profile("covey", settings.get_profile("search"), derandomize=True)
settings.load_profile("covey")
