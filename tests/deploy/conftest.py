"""What the tests of deploy/ share."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from deploy_world import Port, World


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    place = tmp_path / "small"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place], capture_output=True).returncode:
        pytest.skip("a small file system can be mounted by root alone")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Fakes of docker and nuctl on PATH."""
    return World(tmp_path, monkeypatch)


@pytest.fixture
def port() -> Iterator[Port]:
    """A function that answers well: a box of the label 开路 at [10, 10, 30, 30]."""
    about = {"labels": ["开路"], "slugs": ["open"], "provider": "CPU", "version": "1.0.0", "sha256": "c0ffee",
             "um_per_px": None}  # fmt: skip
    server = Port(about, [{"label": "开路", "type": "rectangle", "points": [10, 10, 30, 30]}])
    yield server
    server.close()
