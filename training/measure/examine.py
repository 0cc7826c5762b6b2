"""What is measured is what ships: the functions' own engine, with its tiles, limits and joining of pieces.

A request names one threshold; a curve needs the calls at all of them. So a picture is asked about three times: at the
threshold, as it is served; at chains.WEAK, from which pieces are joined; and at FLOOR, for the tail of the curve. From
each answer the calls that no higher one has are taken. The net runs once.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from pcb_aoi.config import weights
from pcb_aoi.config.model_config import ModelConfig
from pcb_aoi.config.settings import Settings
from pcb_aoi.engine import chains, merge
from pcb_aoi.engine.detections import Detections, Float32
from pcb_aoi.engine.detector import Detector
from pcb_aoi.engine.heads import at_least
from pcb_aoi.engine.model import Model
from pcb_aoi.exports.scene import Image

FLOOR = 0.01
"""Far below any useful threshold: the tail of the precision-recall curve needs it."""
MOST_PER_TILE = 20_000
"""Candidates of a tile. The limit of what is served binds at FLOOR, and at no threshold that anybody serves at."""


class RememberingModel(Model):
    """Runs each batch of a picture once, however often the picture is asked about."""

    def __init__(self, model: bytes, config: ModelConfig, settings: Settings) -> None:
        self.known: dict[bytes, list[Float32]] = {}
        super().__init__(model, config, settings)

    def run(self, tiles: npt.NDArray[np.uint8]) -> list[Float32]:
        """As Model.run."""
        key = tiles.tobytes()
        if key not in self.known:
            self.known[key] = super().run(tiles)
        return self.known[key]


class Examiner:
    """Weights as their function runs them, to be measured."""

    def __init__(self, model: bytes, config: ModelConfig, settings: Settings | None = None) -> None:
        """Load `model`, the bytes of an ONNX file, into the engine that `config` describes.

        Raises:
            ModelError: the weights do not fit `config`.
        """
        settings = settings or Settings()
        config = replace(config, types=("rectangle",) * len(config.slugs))  # boxes are measured, no contours
        session = RememberingModel(model, config, settings)
        self.config, self.metadata = config, session.metadata
        self.gaps = merge.Rules.of(config, session.metadata, {}).gaps
        self._session = session
        self._detector = Detector(config, session, settings, MOST_PER_TILE)
        apart = copy.copy(session)  # the same net, of which nothing is joined
        apart.metadata = {key: value for key, value in session.metadata.items() if key != "joined"}
        self._apart = Detector(config, apart, settings, MOST_PER_TILE)

    @classmethod
    def load(cls, folder: Path, model: Path | None = None, um_per_px: float | None = None) -> Self:
        """The weights of a function folder, or `model` in their place.

        Raises:
            ConfigError, MissingWeights, ModelError: see Detector.load.
        """
        config = ModelConfig.load(folder / "model.yaml")
        content = weights.read(folder, config) if model is None else model.read_bytes()
        return cls(content, config, Settings(um_per_px=um_per_px))

    def detect(self, image: Image, threshold: float) -> Detections:
        """All calls over FLOOR, best first; those from `threshold` on are exactly what is served at it."""
        self._session.known.clear()
        parts, below = [], np.float32(np.inf)
        for level in sorted({threshold, chains.WEAK, FLOOR}, reverse=True):
            found = self._detector.detect(image, level).detections
            parts.append(found[found.scores < below])
            below = at_least(level)
        return Detections.concatenate(parts)

    def served(self, image: Image, threshold: float) -> Detections:
        """What is answered at a threshold, best first, and nothing else."""
        self._session.known.clear()
        return self._detector.detect(image, threshold).detections

    def pieces(self, image: Image) -> Detections:
        """All calls over FLOOR, best first, of which none are joined: joining depends on what calibration decides."""
        self._session.known.clear()
        return self._apart.detect(image, FLOOR).detections
