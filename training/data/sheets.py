"""Annotated images of any size as training scenes: small ones are laid side by side, none is ever enlarged.

A crop is 320 px or 640 px wide. Images smaller than that, such as the close-ups an AOI station saves, would have to
be blown up to fill it, and the net would learn defects at a scale that it never meets again.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pcb_aoi.exports.scene import Scene

SIDE = 640  # px: the widest crop

Kind = tuple[int, int, tuple[int, ...] | None]  # height, width, labels it can teach: what one sheet has in common


class Sheets:
    """A source of scenes of at least SIDE x SIDE px."""

    def __init__(self, scenes: Sequence[Scene]) -> None:
        self.scenes = scenes
        self.kinds: list[Kind] = []
        self.alike: dict[Kind, list[int]] = {}
        for index in range(len(scenes)):
            height, width = scenes[index].image.shape[:2]
            self.kinds.append((height, width, scenes[index].taught))
            self.alike.setdefault(self.kinds[-1], []).append(index)

    def draw(self, rng: np.random.Generator) -> Scene:
        """A scene; a small one with others of its size around it, which teach the same labels."""
        first = int(rng.integers(len(self.scenes)))
        height, width, _ = self.kinds[first]
        rows, columns = -(-SIDE // height), -(-SIDE // width)
        if rows * columns == 1:
            return self.scenes[first]
        others = rng.choice(self.alike[self.kinds[first]], rows * columns - 1)
        chosen = [self.scenes[index] for index in rng.permutation([first, *others.tolist()])]
        return sheet(chosen, columns)


def sheet(scenes: list[Scene], columns: int) -> Scene:
    """Scenes of one kind, row by row, as one; colour where any of them has it."""
    colour = any(scene.image.ndim == 3 for scene in scenes)
    height, width = scenes[0].image.shape[:2]
    cells, boxes = [], []
    for number, scene in enumerate(scenes):
        image = scene.image
        cells.append(np.repeat(image[:, :, None], 3, axis=2) if colour and image.ndim == 2 else image)
        x, y = number % columns * width, number // columns * height
        boxes.append(scene.boxes + np.array([x, y, x, y], np.float32))
    rows = [np.concatenate(cells[at : at + columns], axis=1) for at in range(0, len(cells), columns)]
    labels = np.concatenate([scene.labels for scene in scenes])
    return Scene(np.concatenate(rows), np.concatenate(boxes), labels, scenes[0].name, taught=scenes[0].taught)
