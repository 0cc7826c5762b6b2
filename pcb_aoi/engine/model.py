"""A model: weights, the head that reads them, and the runtime they run in. Tiles go in, candidates come out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pcb_aoi.config import classes
from pcb_aoi.config.model_config import ModelConfig
from pcb_aoi.config.settings import Settings
from pcb_aoi.engine import arrange, heads, layout
from pcb_aoi.engine.detections import Detections, Float32
from pcb_aoi.engine.heads.base import Array, Candidates
from pcb_aoi.engine.runtime import Runtime
from pcb_aoi.errors import ModelError

UInt8 = npt.NDArray[np.uint8]

_GREY = 114
"""Of the blank tiles that a model is tried with: neither side of a board."""


class Model:
    """One model, warm. Not for several threads at once."""

    def __init__(self, weights: bytes, config: ModelConfig, settings: Settings) -> None:
        """Load the bytes of an ONNX file, check them against `config` and warm up.

        Raises:
            ModelError: the file is no usable ONNX model, does not fit model.yaml, or would run on another device
                than the one asked for.
            OutOfMemory: not even one tile fits.
        """
        self._config, self._head = config, heads.get(config.head)
        sizes = {self._head.sizes: np.array((config.tile, config.tile), np.int64)} if self._head.sizes else None
        self.runtime = Runtime(weights, settings, batched=self._head.collect is None, constants=sizes)
        self.metadata = self.runtime.metadata
        self._label_of = classes.label_of(self.metadata, config)
        blank = self._arrange(self._head.prepare(np.full((1, config.tile, config.tile, 3), _GREY, np.uint8)))
        outputs = self.runtime.warm_up(blank)
        self._check(outputs)
        self.gives_masks = any(output.ndim == 4 for output in outputs) and self._head.collect is None
        """Whether candidates have masks, so that polygons are contours; else they are boxes."""
        self.runtime.measure()

    @property
    def fit(self) -> str:
        """How the family brings a whole picture to its input: see Head.fit. LibreYOLO writes it into the file."""
        return "centre" if self.metadata.get("letterbox_pad") == "center" else self._head.fit

    def run(self, tiles: UInt8) -> list[Float32]:
        """Infer uint8 tiles (B, T, T, 3); return the network's outputs, each with B in front.

        Raises:
            OutOfMemory, ModelError: see Runtime.run.
        """
        items = self._arrange(self._head.prepare(tiles))
        if self._head.collect is None:
            return self.runtime.run(items)
        rows = [self._head.collect(self.runtime.run(items[i : i + 1])) for i in range(len(items))]
        most = max(row.shape[1] for row in rows)
        # Rows of zeros are padding to the heads that read them.
        return [np.concatenate([np.pad(row, ((0, 0), (0, most - row.shape[1]), (0, 0))) for row in rows])]

    def candidates(self, outputs: Sequence[Float32], floor: float) -> Candidates:
        """Return every box and label of the outputs of `run` that scores at least `floor`.

        Raises:
            ModelError: a class that model.yaml does not know.
        """
        seen = self._head.decode(outputs, len(self._label_of), floor)
        found, labels = seen.detections, self._label_of[seen.detections.labels]
        if (labels == classes.UNKNOWN).any():
            number = found.labels[labels == classes.UNKNOWN][0]
            raise ModelError(f"{self._config.model}: the weights found class {number}, of which classes says nothing")
        boxes = found.boxes * np.float32(self._config.tile) if self._head.unit else found.boxes
        named = Candidates(seen.tile, Detections(boxes, found.scores, labels), seen.coefficients, seen.prototypes)
        return named[labels != classes.DROPPED]

    def _check(self, outputs: Sequence[Float32]) -> None:
        """Raise ModelError unless the outputs of blank tiles are of the head's layout, and of no other."""
        count = len(self._label_of)
        try:
            reading = layout.recognise(self.runtime.signature, outputs, count, self._config.tile)
            if self._config.head not in reading.heads:
                others = " 或 / or ".join(reading.heads)
                raise ModelError(f"应为 / should be head: {others} ({reading.why})")
            collected = [self._head.collect(outputs)] if self._head.collect else outputs
            self._head.check(collected, count, self._config.tile)
        except ModelError as error:
            raise ModelError(f"{self._config.model}: head {self._config.head}: {error}", detail=error.detail) from None

    def _arrange(self, items: Array) -> Array:
        try:
            return arrange.arrange(items, self.runtime.input_shape)
        except ValueError as error:
            raise ModelError(
                f"{self._config.model}: model.yaml's tile {self._config.tile} with head {self._config.head} feeds "
                f"{error}, the weights take {self.runtime.input_shape}; {self._cure()}"
            ) from None

    def _cure(self) -> str:
        """Say what to write into model.yaml, or how to export, for weights of another input."""
        try:
            side = layout.side(self.runtime.signature)
        except ModelError as error:
            return str(error)
        return f"请写 / write tile: {side}" if side != self._config.tile else "another head may feed them"
