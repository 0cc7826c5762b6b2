"""Whether the int8 twin of a function's weights answers as they do, on the function's sample boards."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from pcb_aoi.config.model_config import ModelConfig
from pcb_aoi.config.settings import Settings
from pcb_aoi.engine import boxes
from pcb_aoi.engine.detections import Detections
from pcb_aoi.engine.detector import Detector
from pcb_aoi.errors import ModelError

_SURE = 0.1
"""A box this far over the threshold must be in both answers; one nearer to it may be on either side."""
_IOU = 0.75
_SHARE = 0.95
"""Of the sure boxes that must have a partner."""


def compare(samples: Path, folder: Path, config: ModelConfig) -> str:
    """Run both weights over the sample boards; return what was seen, for people.

    Raises:
        ModelError: too many boxes of one have no partner in the answer of the other, or a file cannot be loaded.
    """
    exact, twin = (Detector.load(folder, Settings(precision=kind)) for kind in ("float32", "int8"))
    sure = paired = 0
    for path in sorted(p for p in samples.glob("*") if p.suffix in (".jpg", ".png")):
        with Image.open(path) as file:
            image = np.asarray(file.convert("RGB"))
        for one, other in ((exact, twin), (twin, exact)):
            found = one.detect(image, min(1.0, config.threshold + _SURE)).detections
            sure += len(found)
            paired += partners(found, other.detect(image, max(0.0, config.threshold - _SURE)).detections)
    if paired < _SHARE * sure:
        raise ModelError(
            f"{config.model}: int8 与 float32 的结果不一致：{sure} 个框里只有 {paired} 个对得上；请重做 int8 文件，"
            f"或删掉 model.yaml 的 int8 一行 / the int8 weights disagree: {paired} of {sure} boxes have a partner; "
            "make them again, or remove the line int8 from model.yaml"
        )
    return f"int8 与 float32 一致 agrees: {paired}/{sure}"


def partners(found: Detections, other: Detections) -> int:
    """Return how many boxes of `found` have one of their label in `other` that they share _IOU with."""
    if not len(found) or not len(other):
        return 0
    shared = boxes.iou(np.repeat(found.boxes, len(other), 0), np.tile(other.boxes, (len(found), 1)))
    same = found.labels[:, None] == other.labels[None]
    return int(((shared.reshape(same.shape) >= _IOU) & same).any(1).sum())
