"""whole: a picture lies in its tile as the exporter's own prediction lays it, and boxes come back from there."""

from __future__ import annotations

from pathlib import Path

import analytic
import cv2
import layout_cases
import layouts
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcb_aoi.engine import tiles, whole
from pcb_aoi.engine.detections import Detections
from pcb_aoi.engine.detector import Detector

UInt8 = npt.NDArray[np.uint8]
TILE = 640


def letterbox(image: UInt8, side: int, centre: bool = True) -> tuple[UInt8, float, tuple[int, int]]:
    """The formula of Ultralytics' documentation: ratio, unpadded size, half of the rest on each side, 114.

    YOLOX's and LibreYOLO's, not centred: the fraction of the size cut off, and all of the rest at the right and below.

    Returns the square, the ratio, and the padding (left, top).
    """
    height, width = image.shape[:2]
    ratio = min(side / height, side / width)
    inner = (round if centre else int)(width * ratio), (round if centre else int)(height * ratio)
    rest = [(side - length) / (2 if centre else 1) for length in inner]
    left, top = (round(rest[0] - 0.1), round(rest[1] - 0.1)) if centre else (0, 0)
    right, bottom = (round(rest[0] + 0.1), round(rest[1] + 0.1)) if centre else (round(rest[0]), round(rest[1]))
    resized = cv2.resize(image, inner, interpolation=cv2.INTER_LINEAR)
    square = cv2.copyMakeBorder(resized, top, bottom, left, right, cv2.BORDER_CONSTANT, value=(114, 114, 114))
    return np.asarray(square, np.uint8), ratio, (left, top)


def picture(height: int, width: int) -> UInt8:
    """Lines and noise: what tells one resampling from another."""
    rng = np.random.default_rng(height * 10_000 + width)
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    image[:, :: max(2, width // 20)] = 255
    return image


@pytest.mark.parametrize("size", [(300, 300), (200, 416), (416, 233), (301, 300), (640, 640), (1280, 960), (999, 701)])
@pytest.mark.parametrize("fit", ["centre", "corner"])
def test_a_picture_lies_in_the_tile_as_the_exporter_lays_it(size: tuple[int, int], fit: str) -> None:
    image = picture(*size)
    reference, _, _ = letterbox(image, TILE, fit == "centre")
    ((first, made),) = whole.batches(image, whole.plan(*size, TILE, fit))
    assert first == 0
    assert made.shape == (1, TILE, TILE, 3)
    # OpenCV counts in 11 bits of a pixel's fraction, Pillow in floating point.
    assert np.abs(made[0].astype(int) - reference.astype(int)).max() <= 2


@pytest.mark.parametrize("size", [(300, 300), (200, 416), (1200, 500)])
def test_a_grey_picture_lies_there_as_its_three_channels_do(size: tuple[int, int]) -> None:
    grey = picture(*size)[..., 0]
    for fit in ("centre", "corner", "stretch"):
        grid = whole.plan(*size, TILE, fit)
        ((_, one),), ((_, three),) = whole.batches(grey, grid), whole.batches(np.repeat(grey[..., None], 3, 2), grid)
        assert (one == three).all()


@given(st.integers(20, 3000), st.integers(20, 3000), st.integers(0, 10**6))
def test_boxes_come_back_as_the_exporter_brings_them_back(height: int, width: int, seed: int) -> None:
    """Within half a pixel of the tile of (box - padding) / ratio, clipped: within one of a picture below 1280 px.

    The exporter divides by the ratio before its rounding to whole pixels, this engine by the one after it.
    """
    ratio = min(TILE / height, TILE / width)
    pad = [round((TILE - round(length * ratio)) / 2 - 0.1) for length in (width, height)]
    rng = np.random.default_rng(seed)
    corners = np.sort(rng.uniform(0, TILE, (20, 2, 2)), axis=1)
    boxes = corners.reshape(20, 4).astype(np.float32)
    expected = np.clip((boxes - np.tile(pad, 2)) / ratio, 0, np.tile((width, height), 2))
    inside = ((expected[:, 2:] - expected[:, :2]) * ratio > 1).all(axis=1)
    grid = whole.plan(height, width, TILE, "centre")
    found = Detections(boxes[inside], np.ones(inside.sum(), np.float32), np.zeros(inside.sum(), np.int32))
    board, kept = tiles.onto_board(found, np.zeros(len(found), np.intp), grid)
    assert kept.all()
    back = tiles.to_image(board, grid, height, width).boxes
    rounding = max(abs(length * ratio - round(length * ratio)) for length in (height, width))
    assert rounding <= 0.5
    assert np.abs(back - expected[inside]).max(initial=0) <= rounding / ratio + 0.01


def test_stretched_boxes_come_back_on_each_axis() -> None:
    grid = whole.plan(200, 400, TILE, "stretch")
    found = Detections(np.array([[64, 64, 320, 640]], np.float32), np.ones(1, np.float32), np.zeros(1, np.int32))
    board, _ = tiles.onto_board(found, np.zeros(1, np.intp), grid)
    assert tiles.to_image(board, grid, 200, 400).boxes.tolist() == [[40, 20, 200, 200]]


def test_the_detector_takes_the_whole_picture_when_model_yaml_says_so(tmp_path: Path) -> None:
    """A rectangle of a picture of twice the tile's side: in tiles it comes from several, here from one, shrunk."""
    folder = analytic.write_function(tmp_path / "f")
    config = folder / "model.yaml"
    config.write_text(config.read_text("utf-8").replace("overlap: 16", "overlap: 16\nframe: whole"), "utf-8")
    result = Detector.load(folder).detect(analytic.board(128, 96, [(20, 40, 76, 100)]))
    assert result.tiles == 1
    assert np.abs(result.detections.boxes - (20, 40, 76, 100)).max() <= 2  # of a pixel of the shrunk picture
    assert len(result.detections) == 1


def test_the_file_says_where_its_family_pads(tmp_path: Path) -> None:
    """LibreYOLO's older yolo9 weights were trained with the padding in one corner, converted ones with it all round."""
    for told, fit in (
        ({}, "corner"),
        ({"letterbox_pad": "center"}, "centre"),
        ({"letterbox_pad": "topleft"}, "corner"),
    ):
        root, file = (
            layout_cases.make_root(tmp_path / f"{fit}{len(told)}{told.get('letterbox_pad')}"),
            tmp_path / "best.onnx",
        )
        table = layouts.rows(layouts.BOXES, layouts.scores()).T
        metadata = {"libreyolo_version": "1.6.0", "model_family": "yolo9", "names": layouts.JSON_NAMES, **told}
        file.write_bytes(layouts.graph({"output": table}, metadata))
        assert layout_cases.adopt(root, str(file))[0] == 0
        assert Detector.load(root / "functions" / layout_cases.FUNCTION).model.fit == fit
