"""boards imports training, training imports pcb_aoi, never the reverse; and each name means one thing."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("pcb_aoi", "training", "boards", "deploy")
MAY_IMPORT = {"pcb_aoi": set(), "training": {"pcb_aoi"}, "boards": {"training", "pcb_aoi", "deploy"}}


def sources(package: str) -> list[Path]:
    """The modules of a package."""
    return sorted((ROOT / package).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """The project's packages that a module imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found & set(PACKAGES)


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_go_one_way(package: str) -> None:
    wrong = {
        str(path.relative_to(ROOT)): sorted(others)
        for path in sources(package)
        if (others := imported(path) - MAY_IMPORT[package] - {package})
    }
    assert not wrong
    assert len(sources(package)) > 10


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("training.data.augment", "boards"),
        ("training.finetune", "boards"),
        ("training.measure.evaluate", "boards"),
        ("pcb_aoi.engine.detector", "training"),
    ],
)
def test_what_a_command_loads_holds_nothing_of_the_other_package(module: str, unwanted: str) -> None:
    code = f"import sys, {module}; print(sum(name.split('.')[0] == {unwanted!r} for name in sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "0"


def test_no_class_and_no_module_shares_its_name_with_another() -> None:
    classes, modules = defaultdict(list), defaultdict(list)
    for package in PACKAGES:
        for path in sources(package):
            place = str(path.relative_to(ROOT))
            if path.name not in {"__init__.py", "__main__.py"}:
                modules[path.name].append(place)
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.ClassDef):
                    classes[node.name].append(place)
    assert {name: places for name, places in (classes | modules).items() if len(places) > 1} == {}
    assert len(classes) > 60


def test_no_file_is_long() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for package in ("training", "boards")
        for path in sources(package)
        if (lines := len(path.read_text("utf-8").splitlines())) > 250
    }
    assert not long


@pytest.mark.parametrize("room", ["demo", "exports"])
def test_the_functions_image_goes_without(room: str, tmp_path: Path) -> None:
    """.dockerignore leaves it out of the build context, nothing else imports it, and the command line works."""
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert ignored.index("!pcb_aoi") < ignored.index(f"pcb_aoi/{room}")
    outside = [path for path in sources("pcb_aoi") if path.parent.name != room]
    assert [path for path in outside if f"pcb_aoi.{room}" in path.read_text("utf-8")] == []
    shutil.copytree(ROOT / "pcb_aoi", tmp_path / "pcb_aoi", ignore=shutil.ignore_patterns(room, "__pycache__"))
    # Nor is there `training`, whose commands this environment's `pcb-aoi` has.
    code = "import sys; sys.modules['training'] = None; from pcb_aoi import cli; cli.main(['--help'])"
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0
    assert "annotate" in run.stdout
    assert room not in run.stdout


def test_what_a_user_trains_with_stays_small() -> None:
    lines = sum(len(path.read_text("utf-8").splitlines()) for path in sources("training"))
    assert lines <= 3_600
