"""What weights find in a picture in both frames, tiles and whole, drawn side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from pcb_aoi.config.model_config import FRAMES
from pcb_aoi.engine import boxes as bx
from pcb_aoi.engine import image as images
from pcb_aoi.engine.detections import Detections
from pcb_aoi.engine.detector import Detector

_SIDE = 900
"""Of each half, in pixels: small crops are enlarged, boards shrunk."""
_COLOURS = ("#ff4d4d", "#ffd23f", "#3fd0ff", "#7dff6b", "#ff8ad8", "#ffa04d", "#b79bff", "#4dffd2")


def draw(detector: Detector, source: Path, target: Path) -> None:
    """Run the detector's model on a picture in both frames, print the counts, and write the drawing to `target`.

    Raises:
        FrameError: the picture cannot be read.
    """
    pixels = images.decode(source.read_bytes(), 1000).pixels
    found = {}
    for frame in FRAMES:
        config = replace(detector.config, frame=frame)
        found[frame] = Detector(config, detector.model, detector.settings).detect(pixels).detections
    halves = [_half(pixels, found[frame], frame, detector.config.slugs) for frame in FRAMES]
    page = Image.new("RGB", (sum(half.width for half in halves) + 10, halves[0].height), "#202020")
    page.paste(halves[0], (0, 0))
    page.paste(halves[1], (halves[0].width + 10, 0))
    page.save(target)
    counts = ", ".join(f"{frame} {len(found[frame])}" for frame in FRAMES)
    shared = common(found["tiles"], found["whole"])
    print(f"框 boxes: {counts}, 相同 in common {shared}; 图 drawn: {target}")


def common(one: Detections, other: Detections) -> int:
    """Return how many boxes of `one` have a box of their label in `other` with an IoU of at least 0.5."""
    pairs = 0
    for box, label in zip(one.boxes, one.labels, strict=True):
        same = other.boxes[other.labels == label]
        many = np.repeat(box[None], len(same), axis=0)
        shared = bx.intersection(many, same)
        pairs += bool((shared >= 0.5 * (bx.area(many) + bx.area(same) - shared)).any())
    return pairs


def _half(pixels: npt.NDArray[np.uint8], found: Detections, title: str, slugs: Sequence[str]) -> Image.Image:
    view = Image.fromarray(pixels).convert("RGB")
    zoom = _SIDE / max(view.size)
    view = view.resize((max(1, round(view.width * zoom)), max(1, round(view.height * zoom))))
    canvas = Image.new("RGB", (view.width, view.height + 24), "#202020")
    canvas.paste(view, (0, 24))
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(size=13)
    pen.text((4, 4), f"frame: {title}   {len(found)} boxes", fill="#ffffff", font=font)
    for box, score, label in zip(found.boxes[::-1], found.scores[::-1], found.labels[::-1], strict=True):
        x1, y1, x2, y2 = (float(edge) * zoom for edge in box)
        colour = _COLOURS[int(label) % len(_COLOURS)]
        pen.rectangle((x1, y1 + 24, x2, y2 + 24), outline=colour, width=2)
        pen.text((x1 + 2, y2 + 26), f"{slugs[int(label)]} {score:.2f}", fill=colour, font=font)
    return canvas
