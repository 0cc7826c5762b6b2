"""A model: weights, the head that reads them, and the runtime they run in. Tiles go in, candidates come out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pcb_aoi.config.model_config import ModelConfig
from pcb_aoi.config.settings import Settings
from pcb_aoi.engine import heads
from pcb_aoi.engine.detections import Float32
from pcb_aoi.engine.heads.base import Candidates
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
        self.runtime = Runtime(weights, settings, batched=self._head.batched)
        self.metadata = self.runtime.metadata
        blank = self._head.prepare(np.full((1, config.tile, config.tile, 3), _GREY, np.uint8))
        self._check_input(blank.shape)
        outputs = self.runtime.warm_up(blank)
        try:
            self._head.check(outputs, len(config.slugs), config.tile)
        except ModelError as error:
            raise ModelError(f"{config.model}: head {config.head}: {error}") from None
        self.runtime.measure()

    def run(self, tiles: UInt8) -> list[Float32]:
        """Infer uint8 tiles (B, T, T, 3); return the network's outputs, each with B in front.

        Raises:
            OutOfMemory, ModelError: see Runtime.run.
        """
        return self.runtime.run(self._head.prepare(tiles))

    def candidates(self, outputs: Sequence[Float32], floor: float) -> Candidates:
        """Return every box and class of the outputs of `run` that scores at least `floor`."""
        return self._head.decode(outputs, len(self._config.slugs), floor)

    def _check_input(self, expected: tuple[int, ...]) -> None:
        shape = self.runtime.input_shape
        fits = len(shape) == len(expected) and all(
            not isinstance(has, int) or has == wants for has, wants in zip(shape[1:], expected[1:], strict=True)
        )
        if not fits:
            raise ModelError(
                f"{self._config.model}: model.yaml's tile {self._config.tile} with head {self._config.head} feeds "
                f"(B, {', '.join(map(str, expected[1:]))}), the weights take {shape}"
            )
