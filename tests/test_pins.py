"""The packages of the tests are pinned, and those that ship are the ones in the functions' images."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def pins(lines: list[str]) -> dict[str, str]:
    """Name, as package indexes compare names, to version."""
    pairs = (re.match(r"([\w.-]+)==([\w.]+)", line) for line in lines)
    return {re.sub(r"[-_.]+", "-", pair[1]).lower(): pair[2] for pair in pairs if pair}


def test_every_package_of_the_tests_is_pinned() -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]["test"]
    assert [entry for entry in wanted if not re.fullmatch(r"[A-Za-z0-9-]+==[0-9.]+", entry)] == []


def test_the_tests_run_on_what_ships() -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]["test"]
    tested, ships = (
        pins(wanted),
        pins((ROOT / "functions" / "requirements" / "cpu.txt").read_text("utf-8").splitlines()),
    )
    both = tested.keys() & ships.keys()
    assert {"numpy", "pillow", "pyyaml"} <= both
    assert {name: tested[name] for name in both} == {name: ships[name] for name in both}


LOCKED = [*(ROOT / "functions" / "requirements").glob("*.txt"), *(ROOT / "deploy" / "locks").glob("*.txt")]


@pytest.mark.parametrize("path", LOCKED, ids=lambda path: path.name)
def test_every_package_has_hashes(path: Path) -> None:
    text = path.read_text("utf-8")
    entries = re.split(r"^(?=[a-z])", re.sub(r"(?m)^#.*\n", "", text), flags=re.MULTILINE)
    bare = [entry.split()[0] for entry in entries if entry.strip() and "--hash=sha256:" not in entry]
    assert len(entries) > 9
    assert bare == []


@pytest.mark.parametrize(("device", "stack"), [("cpu", "cpu"), ("gpu", "cuda13")])
def test_the_embedded_platform_runs_on_what_the_images_have(device: str, stack: str) -> None:
    locked = pins((ROOT / "deploy" / "locks" / f"embedded-{device}.txt").read_text("utf-8").splitlines())
    ships = pins((ROOT / "functions" / "requirements" / f"{stack}.txt").read_text("utf-8").splitlines())
    assert {name: locked.get(name) for name in ships} == ships
    assert {"starlette", "uvicorn", "nuclio-sdk", "hatchling", "editables"} <= locked.keys()
