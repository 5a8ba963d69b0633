"""`.ci/run` requires Prometheus where Debian's package can be installed, and skips its tests elsewhere."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
TOOLS = ("bash", "dirname", "mkdir", "mktemp", "rm", "mv", "cp")


class Machine:
    """A checkout, and a PATH with basic tools and a `make` that prints the requirement."""

    def __init__(self, folder: Path) -> None:
        self.checkout, self.path = folder / "checkout", folder / "bin"
        for part in (".ci/run", "scripts/get_prometheus.sh", "scripts/unpack_debian.sh"):
            (self.checkout / part).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / part, self.checkout / part)
        self.path.mkdir()
        for tool in TOOLS:
            found = shutil.which(tool)
            assert found is not None
            (self.path / tool).symlink_to(found)
        self.program("make", 'echo "required: ${COVEY_REQUIRE_PROMETHEUS:-no}"')

    def program(self, name: str, body: str, folder: Path | None = None) -> None:
        path = (folder or self.path) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!{self.path}/bash\n{body}\n", encoding="utf-8")
        path.chmod(0o755)

    def ci(self) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": str(self.path), "HOME": os.environ.get("HOME", "/")}
        run = [str(self.path / "bash"), str(self.checkout / ".ci" / "run")]
        return subprocess.run(run, capture_output=True, text=True, env=environment, check=False)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_prometheus_is_required_where_the_package_is_available(machine: Machine) -> None:
    machine.program("apt-get", '[[ $* == *" download "* ]] && echo > prometheus_1.deb')
    unpack = 'mkdir -p "$3/usr/bin"; for name in prometheus promtool; do cp "$0" "$3/usr/bin/$name"; done'
    machine.program("dpkg-deb", f'[ "$1" != -x ] || {{ {unpack}; }}')
    ran = machine.ci()
    assert ran.returncode == 0, ran.stderr
    assert "required: 1" in ran.stdout
    assert "required: no" not in ran.stdout
    assert sorted(path.name for path in (machine.checkout / ".cache/prometheus").iterdir()) == [
        "prometheus",
        "promtool",
    ]


@pytest.mark.parametrize(
    ("apt", "message"),
    [
        (None, "This is no Debian"),
        ('echo "E: Unable to locate package prometheus" >&2; exit 100', "Unable to locate package"),
    ],
    ids=["no apt-get", "apt-get without a network"],
)
def test_ci_passes_with_a_message_where_it_is_not(machine: Machine, apt: str | None, message: str) -> None:
    if apt is not None:
        machine.program("apt-get", apt)
        machine.program("dpkg-deb", "exit 1")
    ran = machine.ci()
    assert ran.returncode == 0, ran.stderr
    assert "no prometheus: the tests of alert rules and of a scrape are skipped" in ran.stdout
    assert message in ran.stderr
    assert "required: no" in ran.stdout
    assert "required: 1" not in ran.stdout
    left = machine.checkout / ".cache" / "prometheus"
    assert not left.exists() or not list(left.iterdir())


def test_package_for_another_architecture_is_not_used(machine: Machine) -> None:
    machine.program("apt-get", '[[ $* == *" download "* ]] && echo > prometheus_1.deb')
    unpack = 'mkdir -p "$3/usr/bin"; for name in prometheus promtool; do echo > "$3/usr/bin/$name"; done'
    machine.program("dpkg-deb", unpack)
    ran = machine.ci()
    assert ran.returncode == 0, ran.stderr
    assert "required: no" in ran.stdout
    assert "required: 1" not in ran.stdout
