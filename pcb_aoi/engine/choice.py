"""Which of two weights of one model runs: float32, or its int8 twin where that is faster on this processor.

Static int8 halves the time of a tile on processors with VNNI and can cost time on others. So both are timed at the
start. A GPU takes float32: its int8 kernels are not those of the twin.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from pcb_aoi.config import weights
from pcb_aoi.config.model_config import ModelConfig
from pcb_aoi.config.settings import Settings
from pcb_aoi.engine.model import Model
from pcb_aoi.errors import MissingWeights, ModelError

log = logging.getLogger(__name__)

TWIN_OF = "twin_of"
"""In a twin's metadata: the SHA-256 of the weights that it was made of."""
_GAIN = 1.1
"""The twin must be faster by this much: less is noise, and float32 is what was calibrated."""
_ROUNDS = 5
_CURE = "删掉 model.yaml 的 int8 一行 / remove the line int8 from model.yaml, or make the file: python -m boards int8"


@dataclass(frozen=True)
class Choice:
    """A model, warm; what it runs in, and why."""

    model: Model
    precision: str
    why: str


def load(folder: Path, config: ModelConfig, settings: Settings) -> Choice:
    """Load the weights of a function folder in the precision that PCB_AOI_PRECISION asks for, or the faster one.

    Raises:
        MissingWeights, ModelError, OutOfMemory: see weights.read and Model; the twin is not of these weights.
    """
    reason = _settled(config, settings)
    if reason:
        if settings.precision == "int8":
            log.warning("%s: PCB_AOI_PRECISION=int8, but %s: float32 runs", config.model, reason)
        return Choice(Model(weights.read(folder, config), config, settings), "float32", reason)
    try:
        twin = Model(weights.read_twin(folder, config), config, settings)
    except MissingWeights as error:
        raise ModelError(
            f"{config.model}: model.yaml names int8 weights, but {weights.twin_name(config.weights)} is not there",
            detail=_CURE,
        ) from error
    _check_origin(twin, config)
    if settings.precision == "int8":
        return Choice(twin, "int8", "PCB_AOI_PRECISION=int8")
    exact = Model(weights.read(folder, config), config, settings)
    # In turns: a machine that gets slower or faster does so for both.
    times = [(exact.runtime.measure(), twin.runtime.measure()) for _ in range(_ROUNDS)]
    slow, fast = (min(column) * 1e3 for column in zip(*times, strict=True))
    why = f"a tile takes {slow:.1f} ms in float32 and {fast:.1f} ms in int8"
    return Choice(twin, "int8", why) if fast * _GAIN < slow else Choice(exact, "float32", why)


def _settled(config: ModelConfig, settings: Settings) -> str:
    """Return why float32 runs without a look at the twin, or ""."""
    if settings.precision == "float32":
        return "PCB_AOI_PRECISION=float32"
    if settings.device != "cpu":
        return "a GPU runs float32"
    return "" if config.int8 else "model.yaml names no int8 weights"


def _check_origin(twin: Model, config: ModelConfig) -> None:
    if twin.metadata.get(TWIN_OF) != config.sha256:
        raise ModelError(
            f"{config.model}: {weights.twin_name(config.weights)} was made of other weights than model.yaml names",
            detail=_CURE,
        )
