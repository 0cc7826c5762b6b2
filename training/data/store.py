"""Scenes on disk, one .npz each: rendered boards, a user's pictures, real boards. What trains and measures reads these.

A folder may say in `pool.json` what it holds: {"pool": "rendered test", "real": false}. Reports quote it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from pcb_aoi.errors import PcbAoiError
from pcb_aoi.exports.scene import Scene

DESCRIPTION = "pool.json"
KEPT = 256  # scenes of a Stored that stay in memory, 1 to 5 MiB each


class NoBoards(PcbAoiError):
    """A folder of scenes has none; names it and the cure."""


def write_scene(path: Path, scene: Scene) -> None:
    """Save atomically: a folder may be read while it grows."""
    temporary = path.with_suffix(".tmp.npz")
    arrays: dict[str, Any] = {"image": scene.image, "boxes": scene.boxes, "labels": scene.labels}
    arrays |= {"trails": scene.trails, "name": scene.name}
    if scene.clean is not None:
        arrays["clean"] = scene.clean
    np.savez(temporary, **arrays)
    temporary.replace(path)


def read_scene(path: Path) -> Scene:
    """Read what `write_scene` has written."""
    with np.load(path) as part:
        return Scene(part["image"], part["boxes"], part["labels"], str(part["name"]), part.get("clean"), part["trails"])


def listed(folder: Path) -> list[Path]:
    """The scenes of a folder, in order.

    Raises:
        NoBoards: there are none.
    """
    paths = sorted(path for path in folder.glob("*.npz") if not path.name.endswith(".tmp.npz"))
    if not paths:
        raise NoBoards(f"{folder} 里没有板图 / no boards in {folder}: run `python -m boards pool` first")
    return paths


@dataclass(frozen=True)
class Description:
    """What a folder of scenes holds."""

    pool: str
    real: bool  # pictures of real boards


def write_description(folder: Path, description: Description) -> None:
    """Say in the folder what it holds."""
    text = json.dumps({"pool": description.pool, "real": description.real}, ensure_ascii=False)
    (folder / DESCRIPTION).write_text(text + "\n", encoding="utf-8")


def describe(folder: Path) -> Description:
    """What the folder says of itself; one that says nothing goes by its name, as rendered boards."""
    path = folder / DESCRIPTION
    if not path.is_file():
        return Description(folder.name, False)
    content = json.loads(path.read_text("utf-8"))
    return Description(str(content["pool"]), bool(content["real"]))


class Stored(Sequence[Scene]):
    """The scenes of a folder, read when asked for; an empty folder has none."""

    def __init__(self, folder: Path) -> None:
        self.paths = sorted(path for path in folder.glob("*.npz") if not path.name.endswith(".tmp.npz"))
        self._read = lru_cache(maxsize=KEPT)(read_scene)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Scene:  # type: ignore[override]
        return self._read(self.paths[index])


class Pool:
    """A source of the boards of a folder that may grow; read on first use and then kept (0.4 to 1.2 MiB each)."""

    def __init__(self, folder: Path, look_again: int = 400) -> None:
        self.folder, self.look_again = folder, look_again
        self.paths: list[Path] = []
        self.kept: dict[Path, Scene] = {}
        self.draws = 0

    def draw(self, rng: np.random.Generator) -> Scene:
        """A board, evenly; raises NoBoards where there is none."""
        if self.draws % self.look_again == 0:
            self.paths = listed(self.folder)
        self.draws += 1
        path = self.paths[int(rng.integers(len(self.paths)))]
        if path not in self.kept:
            self.kept[path] = read_scene(path)
        return self.kept[path]
