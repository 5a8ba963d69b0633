"""Checks that links, file paths and commands named in the documentation exist."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from covey.config.renamed import RENAMED

ROOT = Path(__file__).resolve().parents[3]
FOLDERS = ("docs", ".github", "deployments", "examples")
PAGES = sorted([*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in ROOT.glob(f"{folder}/**/*.md"))])
FENCE = re.compile(r"^(```|~~~).*?^\1\s*$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
PATH = re.compile(
    r"`((?:node|tests|contracts|scripts|bench|docs|examples|deployments|web|requirements|\.ci|\.github)/[\w.\-/]*)`"
)
MODULE = re.compile(r"`(covey(?:\.[a-z_0-9]+)+)`")
ROOM_PATH = re.compile(
    r"[`(]((?:cli|client|daemon|devnet|audit|config|chain|lora|ipfs|protocol|ops|sim)/[a-z_0-9/]+(?:\.py|/)?)[`),]"
)
MAKE = re.compile(r"`make ([a-z][a-z0-9-]*)[^`]*`")


def ids(pages: list[Path]) -> list[str]:
    return [str(page.relative_to(ROOT)) for page in pages]


def anchor(heading: str) -> str:
    """The fragment that GitHub gives a heading."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").replace("*", "").strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


@cache
def anchors(page: Path) -> frozenset[str]:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    return frozenset(anchor(heading) for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=ids(PAGES))
def test_relative_links_resolve(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    broken = []
    for groups in LINK.findall(text):
        target = groups[0] or groups[1]
        if re.match(r"[a-z]+:", target):
            continue
        path, _, fragment = target.partition("#")
        found = page if not path else (page.parent / path).resolve()
        missing = not found.exists()
        if str(found.relative_to(ROOT)) in GENERATED:
            continue
        if missing or (fragment and found.suffix == ".md" and fragment not in anchors(found)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=ids(PAGES))
def test_named_files_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = [path for path in PATH.findall(text) if path not in GENERATED]
    missing = [path for path in named if not (ROOT / path).exists()]
    missing += [path for path in ROOM_PATH.findall(text) if not (ROOT / "node" / "covey" / path).exists()]
    for module in MODULE.findall(text):
        if not module.endswith((".toml", ".service")) and not is_importable_path(module):
            missing.append(module)
    assert missing == []


GENERATED = {
    "deployments/31337",
    "deployments/31337/",
}
"""Files and folders that a run or a script makes."""


def is_importable_path(dotted: str) -> bool:
    """Whether a dotted name is a module, or a name that stands in the text of one."""
    parts = dotted.split(".")
    path = ROOT / "node" / "/".join(parts)
    if path.is_dir() or path.with_suffix(".py").is_file():
        return True
    parent = path.parent.with_suffix(".py") if path.parent.with_suffix(".py").is_file() else path.parent / "__init__.py"
    return parent.is_file() and re.search(rf"\b{parts[-1]}\b", parent.read_text(encoding="utf-8")) is not None


@pytest.mark.parametrize("page", PAGES, ids=ids(PAGES))
def test_make_targets_exist(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", makefile, re.MULTILINE))
    benches = {f"bench-{path.stem}" for path in ROOT.glob("bench/*.py")}
    named = {target for target in MAKE.findall(page.read_text(encoding="utf-8")) if not target.endswith("-")}
    named = {target.replace("_", "-") if target in targets else target for target in named}
    assert {target for target in named if target not in targets | benches and not target.startswith("bench")} == set()


@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in ("CHANGELOG.md", "settings.md")], ids=str)
def test_no_former_name_of_a_setting_is_used(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    former = [name for name in RENAMED if "_" in name]
    assert [name for name in former if re.search(rf"(?<![\w.]){re.escape(name)}(?!\w)", text)] == []


@pytest.mark.parametrize("page", PAGES, ids=ids(PAGES))
def test_fences_are_closed(page: Path) -> None:
    lines = [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("```")]
    assert len(lines) % 2 == 0


def test_methods_and_names_in_the_architecture_exist() -> None:
    """Backticked `Class.method`, `Class` and `function()` of architecture.md are defined in the package."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "node" / "covey").rglob("*.py"))
    missing = []
    for owner, method in re.findall(r"`([A-Z]\w+)(?:\.(\w+))?`", text):
        if f"class {owner}" not in source and owner not in BUILT_IN:
            missing.append(owner)
        if method and f"def {method}(" not in source:
            missing.append(f"{owner}.{method}")
    missing += [name for name in re.findall(r"`(\w+)\(\w*\)`", text) if f"def {name}(" not in source]
    assert missing == []


BUILT_IN = {"OSError", "Call"}
