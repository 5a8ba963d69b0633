"""Files for operators: systemd unit, container file, Prometheus settings and alerts, Grafana dashboard."""

from __future__ import annotations

from pathlib import Path

FILES = ("covey.service", "Containerfile", "prometheus.yml", "alerts.yml", "grafana-dashboard.json")


def folder() -> Path:
    """Folder of the files in the package."""
    return Path(__file__).parent


def copy(to: Path) -> list[Path]:
    """Copy all files into `to`, which is created if missing.

    Raises:
        FileExistsError: one of them is there already; nothing was written.
    """
    targets = [to / name for name in FILES]
    for target in targets:
        if target.exists():
            raise FileExistsError(str(target))
    to.mkdir(parents=True, exist_ok=True)
    for target in targets:
        target.write_bytes((folder() / target.name).read_bytes())
    return targets
