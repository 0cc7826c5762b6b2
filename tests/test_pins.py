"""The packages of the tests are pinned, and those that ship are the ones in the functions' images."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def pins(lines: list[str]) -> dict[str, str]:
    """Name, as package indexes compare names, to version."""
    pairs = (line.split("==") for line in lines if "==" in line)
    return {re.sub(r"[-_.]+", "-", name).lower(): version.strip() for name, version in pairs}


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
