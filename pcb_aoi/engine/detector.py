"""The pipeline from pixels to detections; knows neither nuclio nor CVAT."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from pcb_aoi.config import thresholds, weights
from pcb_aoi.config.model_config import ModelConfig
from pcb_aoi.config.settings import Settings
from pcb_aoi.engine import contours, doubles, merge, polarity, tiles, whole
from pcb_aoi.engine.contours import Contours
from pcb_aoi.engine.detections import Detections
from pcb_aoi.engine.model import Model
from pcb_aoi.errors import DeadlineExceeded, ModelError

log = logging.getLogger(__name__)

UInt8 = npt.NDArray[np.uint8]

# A pitch this many times coarser than the model's coarsest cannot be mended: detail that was not imaged is not there.
_HOPELESS = 1.5
# No production panel is longer; a frame that would be has a finer pitch than assumed.
_LONGEST_PANEL_UM = 1_300_000


@dataclass
class Stopwatch:
    """Milliseconds spent per stage."""

    ms: dict[str, float] = field(default_factory=dict)
    _last: float = field(default_factory=time.perf_counter)

    def lap(self, stage: str) -> None:
        """Book the time since the last lap under `stage`."""
        now = time.perf_counter()
        self.ms[stage] = self.ms.get(stage, 0.0) + (now - self._last) * 1e3
        self._last = now


@dataclass(frozen=True)
class Result:
    """Detections in image pixels, best first, and what the log says about them."""

    detections: Detections
    tiles: int
    ms: dict[str, float]
    warnings: tuple[str, ...]
    contours: Contours | None = None
    """Of each detection; None: the weights give no masks, or no label is a polygon."""


class Detector:
    """One model, ready to run. Not for several threads at once."""

    def __init__(
        self, config: ModelConfig, model: Model, settings: Settings, most_per_tile: int = doubles.MOST
    ) -> None:
        """Join the parts; `most_per_tile` bounds the candidates of a tile that are looked at, the best ones."""
        self.config, self.model, self.settings = config, model, settings
        self.thresholds = thresholds.of(config, settings)
        """Slug -> score from which a label counts, where it has one of its own."""
        self._rules = merge.Rules.of(config, model.metadata, self.thresholds, most_per_tile)
        self._bright_copper = polarity.bright_copper(model.metadata)

    @classmethod
    def load(cls, folder: Path, settings: Settings | None = None) -> Self:
        """Load the function folder's model.yaml and weights and warm up.

        Raises:
            ConfigError: model.yaml is wrong.
            MissingWeights: there are none yet.
            ModelError: the weights do not fit model.yaml, or the device asked for is not there.
        """
        settings = settings or Settings()
        config = ModelConfig.load(folder / "model.yaml")
        model = Model(weights.read(folder, config), config, settings)
        return cls(config, model, settings)

    @property
    def threshold(self) -> float:
        """The score from which a detection counts when the caller names none."""
        return self.config.threshold if self.settings.threshold is None else self.settings.threshold

    def detect(self, image: UInt8, threshold: float | None = None, deadline: float = float("inf")) -> Result:
        """Find defects.

        Args:
            image: uint8 (H, W) grey or (H, W, 3) RGB.
            threshold: smallest score answered; None takes the default. Labels with a larger one of their own keep it.
            deadline: `time.monotonic()` by which the answer must be there.

        Raises:
            DeadlineExceeded: the board has more tiles than the time allows; found before the first tile where the
                speed of the last ones tells, else at the deadline.
            ModelError, OutOfMemory: see Model.run.
        """
        threshold = self.threshold if threshold is None else threshold
        watch, bad = Stopwatch(), 0
        height, width = image.shape[:2]
        grid = self._grid(height, width)
        self._check_time(len(grid), deadline)
        negative, doubt = self._polarity(image)
        merging = merge.Merge(self._rules, grid, threshold)
        watch.lap("tile")
        cut = tiles.batches(image, grid, self.model.runtime.batch) if grid.fit is None else whole.batches(image, grid)
        for first, batch in cut:
            if negative:
                np.bitwise_not(batch, out=batch)
            watch.lap("tile")
            outputs = self.model.run(batch)
            watch.lap("infer")
            merging.add(self.model.candidates(outputs, merging.floor), first)
            bad += sum(not np.isfinite(output).all() for output in outputs)
            watch.lap("merge")
            if time.monotonic() > deadline:
                raise DeadlineExceeded(
                    f"out of time after {first + len(batch)} of {len(grid)} tiles; crop the frame or raise the limits"
                )
        if bad and not len(merging):
            raise ModelError("the model gives numbers that are not finite", detail=f"in {bad} output tensors")
        merged = merging.answer()
        result = tiles.to_image(merged.detections, grid, height, width)
        watch.lap("merge")
        masks = merging.masks()
        outlines = None
        if masks is not None:
            outlines = contours.trace(masks, merged, tiles.ratio(grid, height, width), (height, width), deadline)
            watch.lap("contour")
        notes = (*doubt, *self._warnings(height, width, merging.over, bad))
        return Result(result, len(grid), watch.ms, notes, outlines)

    def _grid(self, height: int, width: int) -> tiles.Grid:
        if self.config.frame == "whole":
            return whole.plan(height, width, self.config.tile, self.model.fit)
        scale = self.config.scale(self.settings.um_per_px)
        return tiles.plan(height, width, self.config.tile, self.config.overlap, scale)

    def _polarity(self, image: UInt8) -> tuple[bool, tuple[str, ...]]:
        """Whether the weights see the picture's negative, and what is to be said about it."""
        if not self._bright_copper:
            return False, ()
        if self.settings.copper != "auto":
            return self.settings.copper == "dark", ()
        seen = polarity.evidence(image)
        side = "dark, as in a thresholded picture" if seen.thresholded else "bright, as a camera shows it"
        doubt = f"copper was taken as {side}, with little evidence: set PCB_AOI_COPPER to dark or bright"
        return seen.thresholded, (doubt,) if seen.weak else ()

    def _check_time(self, count: int, deadline: float) -> None:
        need, have = count * self.model.runtime.seconds_per_item, deadline - time.monotonic()
        # The estimate is a mean of few calls on a machine that others use too: refuse what is clearly hopeless only,
        # and not before the speed has been measured anew. A refusal runs no tile: else the next board would meet the
        # same estimate, for ever.
        if need > 1.25 * have:
            need, have = count * self.model.runtime.measure(), deadline - time.monotonic()
        if need > 1.25 * have:
            raise DeadlineExceeded(f"{count} tiles need about {need:.0f} s, {have:.0f} s are left")

    def _warnings(self, height: int, width: int, over: int, bad: int) -> tuple[str, ...]:
        pitch, given = self.config.pitch, self.settings.um_per_px
        notes = []
        if over:
            notes.append(f"{over} detections over the limit were dropped: the threshold is too low for this frame")
        if bad:
            notes.append(f"{bad} output tensors held numbers that are not finite; those rows were dropped")
        if self.config.frame == "whole" or self.config.fixed_scale is not None:
            return tuple(notes)  # the pitch that these weights were trained at is not known
        if given is not None and given > _HOPELESS * pitch.max:
            notes.append(f"{given:g} um/px is too coarse for this model ({pitch.min:g} to {pitch.max:g} um/px)")
        if given is None and max(height, width) * pitch.min > _LONGEST_PANEL_UM:
            notes.append(
                f"at {pitch.min:g} um/px this frame would be {max(height, width) * pitch.min / 1e6:.1f} m long: "
                "set PCB_AOI_UM_PER_PX"
            )
        return tuple(notes)
