"""The set-up reports a missing tool in one line; the wheel check reports a missing file."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"
BASH = shutil.which("bash") or "/bin/bash"


def program(folder: Path, name: str, script: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!{BASH}\n{script}\n")
    path.chmod(0o755)
    return path


def check_tools(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run check_tools.sh with only `path` on PATH."""
    path.mkdir(exist_ok=True)
    command: list[str | Path] = [BASH, SCRIPTS / "check_tools.sh", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": str(path)})


def assert_refused(done: subprocess.CompletedProcess[str], message: str) -> None:
    assert done.returncode == 1
    assert [line for line in done.stderr.splitlines() if line.startswith("error: ")] == [f"error: {message}"]


def test_missing_python_is_reported(tmp_path: Path) -> None:
    done = check_tools(tmp_path / "bin", "python", "python3.11")
    assert_refused(done, "python3.11 not found; install Python 3.11, or name one: make PYTHON=/path/to/python3.11")


def test_other_python_version_is_reported(tmp_path: Path) -> None:
    program(tmp_path / "bin", "python3", "exit 1")
    done = check_tools(tmp_path / "bin", "python", "python3")
    assert_refused(done, "python3 is not Python 3.11; name one: make PYTHON=/path/to/python3.11")


def test_python_without_venv_is_reported(tmp_path: Path) -> None:
    program(tmp_path / "bin", "python3.11", 'case "$2" in *ensurepip*) exit 1 ;; esac')
    done = check_tools(tmp_path / "bin", "python", "python3.11")
    assert_refused(
        done, "python3.11 cannot make virtual environments; install its venv module (Debian: python3.11-venv)"
    )


def test_current_python_is_accepted(tmp_path: Path) -> None:
    assert check_tools(tmp_path / "bin", "python", sys.executable).returncode == 0


def test_missing_or_old_node_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "bin"
    assert_refused(check_tools(path, "node"), "node not found; install Node.js 20 or later")
    program(path, "node", "echo 18")
    assert_refused(check_tools(path, "node"), "npm not found; it comes with Node.js")
    program(path, "npm", "exit 0")
    assert_refused(check_tools(path, "node"), "Node.js 18 is too old; install Node.js 20 or later")
    program(path, "node", "echo 22")
    assert check_tools(path, "node").returncode == 0


def test_missing_foundry_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "bin"
    for tool in ("anvil", "forge", "cast"):
        assert_refused(check_tools(path, "foundry"), f"{tool} does not run; install Foundry 1.7 and put it on PATH")
        program(path, tool, "exit 0")
    assert check_tools(path, "foundry").returncode == 0


@pytest.fixture
def check_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    specification = importlib.util.spec_from_file_location("check_wheel", SCRIPTS / "check_wheel.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    repository = tmp_path / "repository"
    package = repository / "node" / "covey"
    package.mkdir(parents=True)
    for name in ("code.py", "data.json"):
        (package / name).write_text(name)
    for command in (["init", "--quiet"], ["add", "."]):
        subprocess.run(["git", *command], cwd=repository, check=True)
    monkeypatch.setattr(module, "ROOT", repository)
    return module


def wheel(folder: Path, *names: str) -> Path:
    path = folder / "covey-0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, name)
    return path


def test_wheel_without_a_tracked_file_is_refused(check_wheel: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"not in covey-0-py3-none-any\.whl: covey/data\.json"):
        check_wheel.check_files(wheel(tmp_path, "covey/code.py"))


def test_untracked_file_is_named(check_wheel: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check_wheel.check_files(wheel(tmp_path, "covey/code.py", "covey/data.json", "covey/untracked.py"))
    assert "but not tracked: covey/untracked.py" in capsys.readouterr().err


def test_constraints_are_the_locked_versions(check_wheel: ModuleType) -> None:
    requirements = check_wheel.ROOT / "requirements"
    requirements.mkdir()
    (requirements / "dev.lock").write_text(
        "one==1.0 \\\n    --hash=sha256:00\n    # via two\ntwo[x]==2.0 ; python_version < '4' \\\n"
    )
    assert check_wheel.constraints() == "one==1.0\ntwo[x]==2.0"
