"""Rendered boards of the outer layers, plugged holes and finishes as training scenes, each with its defect-free twin.

The twin shares artwork, etch, texture and noise: where the two differ, a defect shows. That gives the trails of long
scratches (a crop that cuts one is boxed anew) and lets training undo defects, so that the same place is a negative.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from boards.camera.look import Look
from boards.camera.visible import changes, followed, seen
from boards.copper.real_artwork import BoardLayer, load_artwork
from boards.defects.shape_bank import ShapeBank
from boards.process.board import PROCESSES, RenderedBoard, render_board
from pcb_aoi.exports.scene import Scene
from training.traits import LINES, LONG

SIDE = 640
# Pitches a tile is drawn at, um per pixel: round each function's native one.
PITCHES = {
    "acid-outer-layer": (6.0, 20.0),
    "alkaline-outer-layer": (6.0, 20.0),
    "resin-plug": (7.0, 20.0),
    "gold-osp": (6.0, 20.0),
}
# Defects planted, before what nobody could see is left out. More for training: a crop teaches by what is on it.
PER_MEGAPIXEL = {"train": 90.0, "calibration": 40.0, "test": 40.0}
CLEAN = {"train": 0.2, "calibration": 0.3, "test": 0.3}  # share of tiles without defects
# Share of tiles whose look is at the end of the range that training draws from, in all it consists of at once: a camera
# that nobody has seen yet is likely to be soft *and* grainy *and* off in colour.
EDGE = {"train": 0.5, "calibration": 0.5, "test": 0.0}
# Share of drilled boards with more than their artwork has: holes straight in large copper and large ones in thin rings,
# pads tied by design, opens and nicks that leave some copper. Real boards have all of it, but less: thresholds are
# chosen, and judged, without.
EXTRAS = {"train": 0.4, "calibration": 0.0, "test": 0.0}
DRILLED = ("acid-outer-layer", "alkaline-outer-layer")
REAL_ARTWORK = 0.35  # share of tiles on artwork of real boards
SEEDS = {"train": 11, "calibration": 12, "test": 13}
CELL = 3  # px: the grid to which the trail of a defect is thinned


@lru_cache(maxsize=2)
def artwork(folder: Path, held_out: bool) -> tuple[BoardLayer, ...]:
    """Outer layers of real boards: the families of training, or those kept for the test. Reading takes seconds."""
    return tuple(load_artwork(folder, held_out=held_out, inner=False))


def thinned(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(P, 2) xy of the pixels set, one per cell of CELL px: the trail of a defect."""
    y, x = np.nonzero(mask)
    _, first = np.unique((y // CELL) * 4096 + x // CELL, return_index=True)
    return np.stack((x[first], y[first]), axis=1).astype(np.float32)


def trails(board: RenderedBoard, clean: NDArray[np.uint8], long_labels: tuple[str, ...]) -> NDArray[np.float32]:
    """(P, 3) x, y, index: pixels in which the board differs from its twin inside the boxes of `long_labels`.

    Not those in the smaller box of a defect of another label: the box of a slanted scratch is mostly empty.
    """
    change = changes(board.image, clean)
    shows, faint = seen(change), followed(change)
    area = (board.boxes[:, 2:] - board.boxes[:, :2]).prod(axis=1)
    found = []
    for row, (label, box) in enumerate(zip(board.labels, board.boxes, strict=True)):
        if label not in long_labels:
            continue
        x1, y1, x2, y2 = np.round(box).astype(int)
        own = (faint if label in LINES else shows)[y1:y2, x1:x2].copy()
        for other in np.flatnonzero((area < area[row]) & (np.array(board.labels) != label)):
            left, top, right, bottom = np.round(board.boxes[other]).astype(int)
            own[max(top - y1, 0) : max(bottom - y1, 0), max(left - x1, 0) : max(right - x1, 0)] = False
        points = thinned(own) + np.array([x1, y1], np.float32)
        found.append(np.concatenate((points, np.full((len(points), 1), row, np.float32)), axis=1))
    return np.concatenate(found) if found else np.empty((0, 3), np.float32)


def render_tile(function: str, data: Path | None, split: str, seed: int, number: int) -> Scene:
    """Tile `number` of a split; it depends on function, split, seed and number alone.

    train, calibration: artwork of the training families (windows of the two may overlap) and generated, each of its own
    seeds. Half of either in looks at the edge of the range.
    test: artwork of families never trained on, looks from ranges that training never draws.
    Without `data` all artwork is generated, and all shapes are invented.
    """
    held_out = split == "test"
    key = (seed, SEEDS[split], sorted(PROCESSES).index(function), number)
    rng = np.random.default_rng(key)
    low, high = PITCHES[function]
    pitch = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    kind = "grey" if rng.random() < 0.3 and function != "gold-osp" else "colour"
    # Without a draw where there is no such share: a change of EDGE leaves the test's boards as they are.
    edge = EDGE[split] > 0 and rng.random() < EDGE[split]
    look = Look.sample(rng, kind, held_out, edge)
    window = None
    if rng.random() < REAL_ARTWORK and data:
        layers = artwork(data / "artwork", held_out)
        window = layers[int(rng.integers(len(layers)))].crop((SIDE, SIDE), pitch, rng)
    shapes = ShapeBank.load(data / "meiwei-masks", held_out) if function == "gold-osp" and data else None
    rate = 0.0 if rng.random() < CLEAN[split] else PER_MEGAPIXEL[split]
    own = np.random.default_rng(int(rng.integers(2**62)))
    # Last, and without a draw where there is no such share: the boards are otherwise those of before.
    extras = function in DRILLED and EXTRAS[split] > 0 and rng.random() < EXTRAS[split]
    board = render_board(function, (SIDE, SIDE), pitch, look, own, rate, 0.0, window, shapes, extras)
    clean = board.image if board.clean is None else board.clean
    slugs = PROCESSES[function].labels
    grey = look.kind == "grey"
    return Scene(
        board.image[:, :, 0] if grey else board.image,
        board.boxes.astype(np.float32),
        np.array([slugs.index(label) for label in board.labels], np.int64),
        f"{function}-{split}-{number}",
        clean=clean[:, :, 0] if grey else clean,
        trails=trails(board, clean, LONG),
    )
