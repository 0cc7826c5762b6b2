"""The peers: other ways to run the same weights over the same board, each from the bytes of a file to a list of boxes.

All use the float32 file, tiles and threshold of model.yaml, and ONNX Runtime with as many threads. What they do
beyond is their own: SAHI and supervision as their documentation has it, a plain loop as most people write it, and one
look at the whole picture squashed to the network's input, as CVAT's own ONNX functions do. Needs the extra `bench`.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import onnxruntime
import sahi.models.base
import sahi.predict
import sahi.prediction
import supervision
from calling import Function
from PIL import Image

from pcb_aoi.config.model_config import ModelConfig
from pcb_aoi.engine import tiles
from pcb_aoi.engine.cores import usable_cores

UInt8 = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.float32]
"""(N, 6): xyxy in pixels of the image, score, label."""
_NMS_IOU = 0.5


class Net:
    """The bare network: tiles uint8 (B, T, T, 3) -> Rows of the first tile."""

    def __init__(self, folder: Path) -> None:
        self.config = ModelConfig.load(folder / "model.yaml")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = usable_cores()
        path = str(folder / self.config.weights)
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def __call__(self, tile: UInt8) -> Rows:
        side = self.config.tile
        height, width = tile.shape[:2]
        padded = np.pad(tile, ((0, side - height), (0, side - width), (0, 0)), mode="edge")  # as this project does
        boxes, scores = self.session.run(None, {"images": padded[None]})
        row, label = np.nonzero(scores[0] >= self.config.threshold)
        inside = boxes[0, row].clip(0, (width, height, width, height))
        columns = [inside, scores[0, row, label][:, None], label[:, None]]
        return np.concatenate(columns, axis=1).astype(np.float32)


def decoded(file: bytes) -> UInt8:
    with Image.open(io.BytesIO(file)) as image:
        return np.asarray(image.convert("RGB"))


def suppressed(rows: Rows) -> Rows:
    """By label, with OpenCV."""
    if not len(rows):
        return rows
    corners, sizes = rows[:, :2], rows[:, 2:4] - rows[:, :2]
    boxes = np.concatenate([corners, sizes], axis=1).tolist()
    kept = cv2.dnn.NMSBoxesBatched(boxes, rows[:, 4].tolist(), rows[:, 5].astype(int).tolist(), 0.0, _NMS_IOU)
    best: Rows = rows[np.asarray(kept, int).ravel()]
    return best


def floor(net: Net, file: bytes) -> Callable[[], int]:
    """What nobody can leave out: decoding, and the network on tiles that lie ready. Finds nothing."""
    image, config = decoded(file), net.config
    grid = tiles.plan(image.shape[0], image.shape[1], config.tile, config.overlap)
    ready = [batch for _, batch in tiles.batches(image, grid, 1)]

    def run() -> int:
        decoded(file)
        for batch in ready:
            net.session.run(None, {"images": batch})
        return 0

    return run


def ours(function: Function, file: bytes) -> Callable[[], int]:
    """CVAT's call of the function: JSON and base64 are in it."""
    body = json.dumps({"image": base64.b64encode(file).decode()}).encode()
    return lambda: len(function.post(body).body)


def plain_loop(net: Net, file: bytes) -> Callable[[], int]:
    def run() -> int:
        image, side = decoded(file), net.config.tile
        step, found = side - net.config.overlap, []
        for y in range(0, max(1, image.shape[0] - net.config.overlap), step):
            for x in range(0, max(1, image.shape[1] - net.config.overlap), step):
                rows = net(image[y : y + side, x : x + side])
                rows[:, :4] += (x, y, x, y)
                found.append(rows)
        return len(suppressed(np.concatenate(found)))

    return run


def squashed(net: Net, file: bytes) -> Callable[[], int]:
    def run() -> int:
        side = net.config.tile
        return len(suppressed(net(np.asarray(cv2.resize(decoded(file), (side, side)), np.uint8))))

    return run


def with_supervision(net: Net, file: bytes) -> Callable[[], int]:
    def callback(tile: UInt8) -> supervision.Detections:
        rows = net(tile)
        return supervision.Detections(xyxy=rows[:, :4], confidence=rows[:, 4], class_id=rows[:, 5].astype(int))

    slicer = supervision.InferenceSlicer(
        callback, slice_wh=net.config.tile, overlap_wh=net.config.overlap, iou_threshold=_NMS_IOU
    )
    return lambda: len(slicer(decoded(file)))


class _Sahi(sahi.models.base.DetectionModel):  # type: ignore[misc]
    """The network as SAHI wants a model of the user's own."""

    def load_model(self) -> None:
        self.category_mapping: dict[str, str] = {}

    def set_model(self, model: Net) -> None:
        self.model = model
        self.category_mapping = {str(i): slug for i, slug in enumerate(model.config.slugs)}

    def perform_inference(self, image: UInt8) -> None:
        self._original_predictions = [self.model(image)]

    def _create_object_prediction_list_from_original_predictions(
        self, shift_amount_list: list[Any] | None = None, full_shape_list: list[Any] | None = None
    ) -> None:
        shifts, shapes = shift_amount_list or [[0, 0]], full_shape_list
        if isinstance(shifts[0], int):
            shifts = [shifts]
        if shapes is not None and isinstance(shapes[0], int):
            shapes = [shapes]
        self._object_prediction_list_per_image = [
            [
                sahi.prediction.ObjectPrediction(
                    bbox=row[:4].tolist(),
                    score=float(row[4]),
                    category_id=int(row[5]),
                    category_name=self.category_mapping[str(int(row[5]))],
                    shift_amount=shifts[i],
                    full_shape=shapes[i] if shapes else None,
                )
                for row in rows
            ]
            for i, rows in enumerate(self._original_predictions)
        ]


def with_sahi(net: Net, file: bytes) -> Callable[[], int]:
    model = _Sahi(confidence_threshold=net.config.threshold, device="cpu", load_at_init=False)
    model.set_model(net)
    side, share = net.config.tile, net.config.overlap / net.config.tile

    def run() -> int:
        result = sahi.predict.get_sliced_prediction(
            decoded(file),
            model,
            slice_height=side,
            slice_width=side,
            overlap_height_ratio=share,
            overlap_width_ratio=share,
            perform_standard_pred=False,
            verbose=0,
        )
        return len(result.object_prediction_list)

    return run


@dataclass(frozen=True)
class Peer:
    """One way, and how it is called in tables."""

    name: str
    make: Callable[[Net, bytes], Callable[[], int]]


PEERS = (
    Peer("supervision", with_supervision),
    Peer("SAHI", with_sahi),
    Peer("plain loop", plain_loop),
    Peer("squashed", squashed),
)
