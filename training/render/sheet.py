"""A page of renders beside real pictures, for eyes: can anybody tell at a glance which is which?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw

from training.render.board import render_board
from training.render.look import Look

_ROWS, _COLUMNS = 3, 3


def write_sheet(
    out: Path, function: str, kind: str, real: Path | None, tile: int, seed: int, boxes: bool = False
) -> None:
    """Write a page: renders on the left, random crops of the pictures in `real` on the right.

    Raises FileNotFoundError when `real` holds no PNG or JPEG.
    """
    rng = np.random.default_rng(seed)
    columns = _COLUMNS * (2 if real else 1)
    page = PillowImage.new("RGB", (columns * (tile + 4) + (12 if real else 0), _ROWS * (tile + 4)), "white")
    for index in range(_ROWS * _COLUMNS):
        board = render_board(function, (tile, tile), None, Look.sample(rng, kind), rng, 4e6 / tile**2 * 1.0)
        picture = PillowImage.fromarray(board.image)
        if boxes:
            pen = ImageDraw.Draw(picture)
            for label, box in zip(board.labels, board.boxes.tolist(), strict=True):
                pen.rectangle(box, outline="cyan")
                pen.text((box[0] + 2, box[1] + 1), label, fill="lime")
        row, column = divmod(index, _COLUMNS)
        page.paste(picture, (column * (tile + 4), row * (tile + 4)))
    if real is not None:
        files = sorted([*real.glob("*.png"), *real.glob("*.jpg")])
        if not files:
            raise FileNotFoundError(f"no PNG or JPEG in {real}")
        for index in range(_ROWS * _COLUMNS):
            picture = _crop(files[int(rng.integers(len(files)))], tile, rng)
            row, column = divmod(index, _COLUMNS)
            page.paste(picture, ((column + _COLUMNS) * (tile + 4) + 12, row * (tile + 4)))
    page.save(out)


def _crop(path: Path, tile: int, rng: np.random.Generator) -> PillowImage.Image:
    """Random square of a picture, enlarged where the picture is smaller."""
    with PillowImage.open(path) as opened:
        picture = opened.convert("RGB")
    scale = max(tile / picture.width, tile / picture.height, 1.0)
    if scale > 1:
        picture = picture.resize((round(picture.width * scale + 0.5), round(picture.height * scale + 0.5)))
    x = int(rng.integers(picture.width - tile + 1))
    y = int(rng.integers(picture.height - tile + 1))
    return picture.crop((x, y, x + tile, y + tile))
