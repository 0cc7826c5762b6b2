"""heads: what an exporter writes is what comes back; anything else is refused by name."""

from __future__ import annotations

import numpy as np
import pytest
from analytic import f32
from hypothesis import given
from hypothesis import strategies as st

from pcb_aoi.engine import heads
from pcb_aoi.engine.detections import Float32
from pcb_aoi.errors import ModelError

CLASSES, TILE, ROWS = 3, 64, 84


def scene(seed: int, batch: int = 2) -> tuple[Float32, Float32]:
    """Boxes (B, ROWS, 4) xyxy inside the tile and scores (B, ROWS, CLASSES), one class above 0.3 a row at most."""
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, TILE - 10, (batch, ROWS, 2))
    boxes = np.concatenate([low, low + rng.uniform(4, 10, (batch, ROWS, 2))], axis=2)
    scores = rng.uniform(0, 0.2, (batch, ROWS, CLASSES))
    best = rng.integers(0, CLASSES, (batch, ROWS, 1))
    np.put_along_axis(scores, best, rng.uniform(0.31, 0.79, (batch, ROWS, 1)), axis=2)
    return boxes.astype(np.float32), scores.astype(np.float32)


def cxcywh(boxes: Float32) -> Float32:
    return np.concatenate([(boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]], axis=2)


def encode(name: str, boxes: Float32, scores: Float32) -> list[Float32]:
    """Write the scene as the exporter of that head does."""
    if name == "pcb":
        return [boxes, scores]
    if name == "yolov8":
        return [np.concatenate([cxcywh(boxes), scores], axis=2).transpose(0, 2, 1)]
    if name in ("yolov5", "yolox"):
        objectness = np.full((*scores.shape[:2], 1), 0.8, np.float32)
        return [np.concatenate([cxcywh(boxes), objectness, scores / np.float32(0.8)], axis=2)]
    best = scores.argmax(axis=2)[..., None]
    return [np.concatenate([boxes, np.take_along_axis(scores, best, 2), best], axis=2).astype(np.float32)]


@pytest.mark.parametrize("name", heads.NAMES)
@given(seed=st.integers(0, 10**6), threshold=st.floats(0.3, 0.8))
def test_decode_is_the_inverse_of_the_export(name: str, seed: int, threshold: float) -> None:
    boxes, scores = scene(seed)
    found = heads.get(name).decode(encode(name, boxes, scores), CLASSES, threshold)
    tile, row, label = np.nonzero(scores >= threshold)
    wanted = sorted(zip(tile, label, *boxes[tile, row].T, scores[tile, row, label], strict=True))
    got = sorted(
        zip(found.tile, found.detections.labels, *found.detections.boxes.T, found.detections.scores, strict=True)
    )
    # A product of two float32 (objectness) may fall just under a threshold that the score itself meets.
    near = np.abs(scores - threshold).min() < 1e-6
    assert near or len(got) == len(wanted)
    if not near and wanted:
        np.testing.assert_allclose(got, wanted, atol=1e-4)
    assert (found.detections.scores.astype(float) >= threshold).all()
    assert found.detections.boxes.dtype == found.detections.scores.dtype == np.float32
    assert found.detections.labels.dtype == np.int32


@pytest.mark.parametrize("name", heads.NAMES)
def test_the_threshold_is_honoured_to_the_last_bit(name: str) -> None:
    """0.7 lies between two float32 numbers: the lower one must not pass."""
    boxes, scores = scene(0, 1)
    scores[...] = 0
    scores[0, :2, 0] = np.float32(0.7), np.nextafter(np.float32(0.7), np.float32(1))
    if name in ("yolov5", "yolox"):
        output = encode(name, boxes, scores)[0]
        output[..., 4], output[..., 5:] = 1, scores
        outputs = [output]
    else:
        outputs = encode(name, boxes, scores)
    assert float(np.float32(0.7)) < 0.7
    assert len(heads.get(name).decode(outputs, CLASSES, 0.7).tile) == 1


@pytest.mark.parametrize("name", heads.NAMES)
def test_the_right_export_passes_the_check(name: str) -> None:
    heads.get(name).check(encode(name, *scene(1)), CLASSES, TILE)


BOXES, SCORES = scene(2)
NAN = np.full_like(SCORES, np.nan)


@pytest.mark.parametrize(
    ("name", "outputs", "message"),
    [
        ("pcb", [BOXES], "expected boxes"),
        ("pcb", [SCORES, BOXES], "expected boxes"),
        ("pcb", [BOXES, SCORES[..., :2]], r"scores \(B, N, 3\)"),
        ("pcb", [BOXES, NAN], "not finite"),
        ("pcb", [BOXES, SCORES * 9 - 4], "sigmoid"),
        ("yolov8", encode("yolov8", BOXES, SCORES[..., :2]), "another number of classes"),
        ("yolov8", [encode("yolov8", BOXES, SCORES)[0].transpose(0, 2, 1)], "another layout"),
        ("yolov8", [*encode("yolov8", BOXES, SCORES), BOXES], "expected one output"),
        ("yolov8", [np.concatenate([BOXES, SCORES], axis=2).transpose(0, 2, 1)], "look like x1, y1, x2, y2"),
        ("yolov5", encode("yolov8", BOXES, SCORES), "another layout"),
        ("yolox", [encode("yolox", BOXES / f32(64) - f32(1), SCORES)[0]], "raw grid values"),
        ("end2end", encode("yolov8", BOXES, SCORES), "expected"),
        ("end2end", [np.zeros((1, 8400, 6), np.float32)], "1000"),
        ("end2end", [f32([[[0, 0, 9, 9, 0.9, 3]]])], "class ids"),
        ("end2end", [f32([[[0, 0, 9, 9, 0.9, 0.5]]])], "class ids"),
    ],
)
def test_another_layout_is_refused_by_name(name: str, outputs: list[Float32], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        heads.get(name).check(outputs, CLASSES, TILE)


def test_end2end_checks_class_ids_of_every_answer() -> None:
    with pytest.raises(ModelError, match="class ids must be 0 to 2"):
        heads.get("end2end").decode([f32([[[0, 0, 9, 9, 0.9, 7]]])], CLASSES, 0.5)


@pytest.mark.parametrize(
    ("name", "shape", "dtype", "white", "order"),
    [
        ("pcb", (2, TILE, TILE, 3), np.uint8, 255, "RGB"),
        ("yolov8", (2, 3, TILE, TILE), np.float32, 1, "RGB"),
        ("yolov5", (2, 3, TILE, TILE), np.float32, 1, "RGB"),
        ("yolox", (2, 3, TILE, TILE), np.float32, 255, "BGR"),
        ("end2end", (2, 3, TILE, TILE), np.float32, 1, "RGB"),
    ],
)
def test_input_is_made_as_the_network_was_trained(
    name: str, shape: tuple[int, ...], dtype: type, white: float, order: str
) -> None:
    tiles = np.zeros((2, TILE, TILE, 3), np.uint8)
    tiles[..., 0] = 255  # pure red
    made = heads.get(name).prepare(tiles)
    assert made.shape == shape
    assert made.dtype == dtype
    assert made.flags.c_contiguous
    channels = np.moveaxis(made, 3, 0) if name == "pcb" else np.moveaxis(made, 1, 0)
    red = 0 if order == "RGB" else 2
    assert channels[red].min() == pytest.approx(white)
    assert np.delete(channels, red, 0).max() == 0
