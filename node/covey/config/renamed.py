"""Former names of settings. Using one is an error that gives the new name."""

from __future__ import annotations

from collections.abc import Mapping

from covey.config.schema import flag_of

RENAMED: Mapping[str, str] = {
    "check_gateways": "retention_check_gateways",
    "check_seconds": "retention_check_interval_seconds",
    "fetch_seconds": "fetch_timeout_seconds",
    "keep_days": "retention_days",
    "min_free": "min_free_disk",
    "policy.min_score_window": "policy.min_score_window_seconds",
    "policy.withdraw_min": "policy.min_withdrawal",
    "poll_seconds": "poll_interval_seconds",
    "rpc_timeout": "rpc_timeout_seconds",
    "rpc_watch_seconds": "rpc_health_interval_seconds",
    "stale_seconds": "max_head_age_seconds",
    "threads": "worker_threads",
    "webhook_file": "webhook_url_file",
    "webhook_steady_seconds": "webhook_debounce_seconds",
    "worker_attempts": "max_job_attempts",
    "worker_memory_mb": "worker_memory_mib",
    "worker_seconds": "worker_timeout_seconds",
    "worker_silent_seconds": "worker_heartbeat_timeout_seconds",
}
"""Former key to new key, as in the settings file: `policy.max_fee` is `max_fee` in the table [policy]."""


def renamed_flag(flag: str) -> str | None:
    """The new flag for a former one, for instance --retention-days for --keep-days; None for any other."""
    return next((_flag(new) for former, new in RENAMED.items() if _flag(former) == flag), None)


def _flag(key: str) -> str:
    return flag_of(tuple(key.split(".")))
