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

CLASSES, TILE = 3, 64
CELLS = 84  # of 8, 16 and 32 px


def scene(seed: int, batch: int = 2, rows: int = CELLS) -> tuple[Float32, Float32]:
    """Boxes (B, rows, 4) xyxy inside the tile and scores (B, rows, CLASSES), one class above 0.3 a row at most."""
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, TILE - 10, (batch, rows, 2))
    boxes = np.concatenate([low, low + rng.uniform(4, 10, (batch, rows, 2))], axis=2)
    scores = rng.uniform(0, 0.2, (batch, rows, CLASSES))
    best = rng.integers(0, CLASSES, (batch, rows, 1))
    np.put_along_axis(scores, best, rng.uniform(0.31, 0.79, (batch, rows, 1)), axis=2)
    return boxes.astype(np.float32), scores.astype(np.float32)


def scene_for(name: str, seed: int, batch: int = 2) -> tuple[Float32, Float32]:
    """YOLOv5 has three anchors a cell; what lists boxes of one picture has no batch."""
    return scene(seed, 1 if heads.get(name).collect else batch, 3 * CELLS if name == "yolov5" else CELLS)


def cxcywh(boxes: Float32) -> Float32:
    return np.concatenate([(boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]], axis=2)


def logits(scores: Float32) -> Float32:
    with np.errstate(divide="ignore"):
        result: Float32 = np.maximum(np.log(scores / (1 - scores)), np.float32(-50))
    return result


def encode(name: str, boxes: Float32, scores: Float32) -> list[Float32]:
    """Write the scene as the exporter of that head does."""
    shares, best = cxcywh(boxes) / np.float32(TILE), scores.argmax(axis=2)
    surest = np.take_along_axis(scores, best[..., None], 2)[..., 0]
    ids = (best + heads.get(name).first_id).astype(np.float32)

    def joined(*parts: Float32) -> Float32:
        return np.concatenate(parts, axis=2)

    def written() -> list[Float32]:
        match name:
            case "pcb" | "yolonas":
                return [boxes, scores]
            case "yolov8":
                return [joined(cxcywh(boxes), scores).transpose(0, 2, 1)]
            case "yolov8-unit":
                return [joined(shares, scores).transpose(0, 2, 1)]
            case "rtdetr-ultralytics":
                return [joined(shares, scores)]
            case "yolo9":
                return [joined(boxes, scores).transpose(0, 2, 1)]
            case "picodet":
                return [joined(boxes, scores)]
            case "yolov5" | "yolov6" | "yolox":
                objectness = np.full((*scores.shape[:2], 1), 0.8, np.float32)
                return [joined(cxcywh(boxes), objectness, scores / np.float32(0.8))]
            case "detr" | "detr-imagenet":
                return [logits(scores), shares]
            case "rfdetr":
                return [shares, logits(scores)]
            case "rtdetr":
                return [ids, boxes, surest]
            case "efficientnms":
                return [np.full((len(boxes), 1), boxes.shape[1], np.float32), boxes, surest, ids]
            case "end2end":
                return [joined(boxes, surest[..., None], ids[..., None])]
            case "torchvision":
                return [boxes[0], ids[0], surest[0]]
            case "yolov7":
                return [joined(np.zeros_like(boxes[..., :1]), boxes, ids[..., None], surest[..., None])[0]]
        raise KeyError(name)

    return [output.astype(np.float32) for output in written()]


def collected(name: str, outputs: list[Float32]) -> list[Float32]:
    """As the model hands them to `check` and `decode`."""
    collect = heads.get(name).collect
    return [collect(outputs)] if collect else outputs


@pytest.mark.parametrize("name", heads.NAMES)
@given(seed=st.integers(0, 10**6), threshold=st.floats(0.3, 0.8))
def test_decode_is_the_inverse_of_the_export(name: str, seed: int, threshold: float) -> None:
    head = heads.get(name)
    boxes, scores = scene_for(name, seed)
    outputs = collected(name, encode(name, boxes, scores))
    found = head.decode(outputs, CLASSES + head.first_id, threshold)
    tile, row, label = np.nonzero(scores >= threshold)
    side = np.float32(TILE if head.unit else 1)
    labels = found.detections.labels - head.first_id
    wanted = sorted(zip(tile, label, *boxes[tile, row].T, scores[tile, row, label], strict=True))
    got = sorted(zip(found.tile, labels, *found.detections.boxes.T * side, found.detections.scores, strict=True))
    # A product of two float32 (objectness), or a sigmoid, may fall just under a threshold that the score itself meets.
    near = np.abs(scores - threshold).min() < 1e-6
    assert near or len(got) == len(wanted)
    if not near and wanted:
        np.testing.assert_allclose(got, wanted, atol=1e-4)
    assert (found.detections.scores.astype(float) >= threshold).all()
    assert found.detections.boxes.dtype == found.detections.scores.dtype == np.float32
    assert found.detections.labels.dtype == np.int32


# With logits the sigmoid rounds: on which side of a threshold a score falls is not the exporter's word.
@pytest.mark.parametrize("name", [name for name in heads.NAMES if name not in ("detr", "detr-imagenet", "rfdetr")])
def test_the_threshold_is_honoured_to_the_last_bit(name: str) -> None:
    """0.7 lies between two float32 numbers: the lower one must not pass."""
    head = heads.get(name)
    boxes, scores = scene_for(name, 0, 1)
    scores[...] = 0
    scores[0, :2, 0] = np.float32(0.7), np.nextafter(np.float32(0.7), np.float32(1))
    if name in ("yolov5", "yolov6", "yolox"):
        output = encode(name, boxes, scores)[0]
        output[..., 4], output[..., 5:] = 1, scores
        outputs = [output]
    else:
        outputs = collected(name, encode(name, boxes, scores))
    assert float(np.float32(0.7)) < 0.7
    assert len(head.decode(outputs, CLASSES + head.first_id, 0.7).tile) == 1


@pytest.mark.parametrize("name", heads.NAMES)
def test_the_right_export_passes_the_check(name: str) -> None:
    head = heads.get(name)
    boxes, scores = scene_for(name, 1)
    # On a picture of nothing, most queries are sure of nothing.
    head.check(collected(name, encode(name, boxes, scores * f32(0.5))), CLASSES + head.first_id, TILE)


@pytest.mark.parametrize("name", [name for name in heads.NAMES if name != "pcb"])
def test_boxes_on_another_scale_are_refused(name: str) -> None:
    """Shares of the picture where pixels are due, and the other way round: boxes in one corner, or gone."""
    head = heads.get(name)
    boxes, scores = scene_for(name, 1)
    outputs = collected(name, encode(name, boxes * f32(TILE if head.unit else 1 / TILE), scores))
    with pytest.raises(ModelError, match="0 to 1"):
        head.check(outputs, CLASSES + head.first_id, TILE)


def test_mask_coefficients_are_no_classes() -> None:
    """Segmentation: prototypes beside the boxes, and as many coefficients behind each row."""
    boxes, scores = scene(3)
    more, prototypes = np.full((2, CELLS, 32), 9, np.float32), np.zeros((2, 32, 16, 16), np.float32)
    plain = heads.get("yolov8").decode(encode("yolov8", boxes, scores), CLASSES, 0.3)
    for name in ("yolov8", "yolov5", "end2end"):
        (output,) = encode(name, boxes, scores)
        rows = output.transpose(0, 2, 1) if name == "yolov8" else output
        longer = np.concatenate([rows, more], axis=2)
        outputs = [longer.transpose(0, 2, 1) if name == "yolov8" else longer, prototypes]
        head = heads.get(name)
        if name != "yolov5":
            head.check(outputs, CLASSES, TILE)
        found = head.decode(outputs, CLASSES, 0.3)
        order, as_plain = (
            np.lexsort((found.detections.boxes[:, 0], found.tile)),
            np.lexsort((plain.detections.boxes[:, 0], plain.tile)),
        )
        np.testing.assert_allclose(found.detections.boxes[order], plain.detections.boxes[as_plain], atol=1e-4)
        assert (found.detections.labels[order] == plain.detections.labels[as_plain]).all()


def test_padding_is_no_box_even_at_threshold_0() -> None:
    """Some exporters pad with class -1."""
    rows = f32([[[1, 2, 30, 40, 0.9, 2], [0, 0, 0, 0, 0, -1]]])
    assert len(heads.get("end2end").decode([rows], CLASSES, 0.0).tile) == 1


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
        ("yolov8", encode("yolov5", BOXES, SCORES), "another layout"),
        ("yolo9", encode("yolov8", BOXES, SCORES), "look like centre"),
        ("yolov5", encode("yolox", BOXES, SCORES), "for head yolox or yolov6"),
        ("yolox", encode("yolov5", *scene(2, rows=3 * CELLS)), "for head yolov5"),
        ("detr", encode("rfdetr", BOXES, SCORES), "expected boxes"),
        ("detr", [SCORES, cxcywh(BOXES) / f32(TILE)], "expected logits"),
        ("detr", encode("detr", BOXES, SCORES * f32(1.2)), "a class for no object"),
        ("rtdetr", encode("torchvision", *scene(2, 1)), r"expected boxes \(B, K, 4\)"),
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


@pytest.mark.parametrize("name", ["end2end", "efficientnms", "rtdetr", "torchvision", "yolov7"])
def test_lists_are_checked_for_pixels_on_every_answer(name: str) -> None:
    """The blank picture at load may have given no box at all."""
    head = heads.get(name)
    boxes, scores = scene_for(name, 4)
    outputs = collected(name, encode(name, boxes / f32(TILE), scores))
    with pytest.raises(ModelError, match="not in pixels"):
        head.decode(outputs, CLASSES + head.first_id, 0.3)


@pytest.mark.parametrize(
    ("name", "shape", "dtype", "white", "order"),
    [
        ("pcb", (2, TILE, TILE, 3), np.uint8, 255, "RGB"),
        ("yolov8", (2, 3, TILE, TILE), np.float32, 1, "RGB"),
        ("yolov5", (2, 3, TILE, TILE), np.float32, 1, "RGB"),
        ("yolox", (2, 3, TILE, TILE), np.float32, 255, "BGR"),
        ("end2end", (2, 3, TILE, TILE), np.float32, 1, "RGB"),
        ("yolo9", (2, 3, TILE, TILE), np.float32, 1, "RGB"),
        ("detr", (2, 3, TILE, TILE), np.float32, 1, "RGB"),
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


def test_imagenet_input_is_less_the_mean_over_the_deviation() -> None:
    made = heads.get("rfdetr").prepare(np.full((1, 2, 2, 3), (255, 0, 51), np.uint8))
    expected = f32([(1 - 0.485) / 0.229, -0.456 / 0.224, (0.2 - 0.406) / 0.225])
    assert np.abs(f32(made[0, :, 0, 0]) - expected).max() < 1e-5
