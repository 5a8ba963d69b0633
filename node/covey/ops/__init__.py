"""Files to run and watch a node with: systemd unit, container file, Prometheus settings, alerts, Grafana dashboard."""

from __future__ import annotations

from pathlib import Path

FILES = ("covey.service", "Containerfile", "prometheus.yml", "alerts.yml", "grafana-dashboard.json")


def folder() -> Path:
    """Where the files lie in the package."""
    return Path(__file__).parent


def copy(to: Path) -> list[Path]:
    """Write all files into `to`, which is made if missing. Raises FileExistsError before it writes anything."""
    targets = [to / name for name in FILES]
    for target in targets:
        if target.exists():
            raise FileExistsError(str(target))
    to.mkdir(parents=True, exist_ok=True)
    for target in targets:
        target.write_bytes((folder() / target.name).read_bytes())
    return targets
