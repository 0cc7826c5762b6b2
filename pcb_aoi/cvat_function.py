"""The second door into CVAT: a function for `cvat-cli task auto-annotate --function-module`, and for CVAT's agents.

    cvat-cli --server-host URL --auth USER task auto-annotate TASK --function-module pcb_aoi.cvat_function \\
        -p function=str:inner-layer -p root=str:/srv/pcb-aoi --allow-unmatched-labels

It runs where it is called and uploads the shapes: no nuclio, and CVAT need not reach this machine. The shapes are those
that the nuclio function answers. The score goes into CVAT's own field for it, where cvat-sdk and the server have one:
from 2.56.1. An attribute for it, as of `sync --score`, is not declared: cvat-sdk refuses a task whose attribute differs
in any way.

Needs the extra `cvat`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cvat_sdk.auto_annotation as cvataa
import numpy as np
import numpy.typing as npt
from cvat_sdk import models
from PIL import Image

from pcb_aoi.config.settings import Settings
from pcb_aoi.engine import image as images
from pcb_aoi.engine import response
from pcb_aoi.engine.detector import Detector
from pcb_aoi.errors import FrameError

log = logging.getLogger(__name__)

_HAS_SCORE = "score" in models.LabeledShapeRequest.attribute_map


def create(function: str, root: str = ".", device: str = "") -> DetectionFunction:
    """Load a function for cvat-cli, which hands over what stands behind its `-p`.

    Args:
        function: the folder under functions/, for example `inner-layer`.
        root: the folder that holds functions/.
        device: `cpu` or `cuda`; empty: as PCB_AOI_DEVICE says, else `cpu`.

    Raises:
        PcbAoiError: a setting, model.yaml or the weights are wrong.
    """
    settings = Settings.from_env({**os.environ, **({"PCB_AOI_DEVICE": device} if device else {})})
    return DetectionFunction(Detector.load(Path(root) / "functions" / function, settings))


class DetectionFunction:
    """One detector as cvat-sdk's driver and agents call it. Not for several threads at once."""

    def __init__(self, detector: Detector) -> None:
        """Declare the labels that the function offers."""
        self._detector = detector
        config = detector.config
        shown = [i for i, offer in enumerate(config.offered) if offer]
        self._ids = {config.names[i]: i for i in shown}
        self.spec = cvataa.DetectionFunctionSpec(
            labels=[cvataa.label_spec(config.names[i], i, type=config.types[i]) for i in shown]
        )

    def detect(
        self, context: cvataa.DetectionFunctionContext, image: Image.Image
    ) -> Sequence[models.LabeledShapeRequest]:
        """Return the shapes of one frame, best first.

        A frame of which nothing decodes has none, and a line in the log; PCB_AOI_BAD_FRAME=error ends the run.

        Raises:
            FrameError, TooLarge, ModelError, OutOfMemory: as the nuclio function refuses a frame.
        """
        try:
            pixels = _pixels(image, self._detector.settings.max_megapixels)
        except FrameError as error:
            if self._detector.settings.bad_frame == "error":
                raise
            log.warning("%s skipped: %s", context.frame_name, error)
            return []
        result = self._detector.detect(pixels, context.conf_threshold)
        for warning in result.warnings:
            log.warning("%s: %s", context.frame_name, warning)
        height, width = pixels.shape[:2]
        found = response.shapes(result.detections, self._detector.config, height, width, result.contours)
        return [self._shape(shape) for shape in found]

    def _shape(self, shape: Mapping[str, Any]) -> models.LabeledShapeRequest:
        score = {"score": shape["confidence"]} if _HAS_SCORE else {}
        return cvataa.shape(self._ids[shape["label"]], type=shape["type"], points=shape["points"], **score)


def _pixels(image: Image.Image, max_megapixels: float) -> npt.NDArray[np.uint8]:
    """Decode a frame as the nuclio function does.

    From the file, where the picture has one that is not read yet: Pillow alone would keep 8 of 16 bits a sample. A
    region of interest, which an agent cuts out, has none.
    """
    file = getattr(image, "fp", None)
    if file is None or file.closed:
        images.Limits(max_megapixels).check(*image.size)
        return images.frame_of(image).pixels
    file.seek(0)
    return images.decode(file.read(), max_megapixels).pixels
