"""What ops may set: the environment variables `PCB_AOI_*`, checked once at start."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from pcb_aoi.config import thresholds
from pcb_aoi.errors import ConfigError

MIB = 1024 * 1024


@dataclass(frozen=True)
class Settings:
    """Settings of one function. Units are in the names; None means "as model.yaml says" or "automatic"."""

    device: str = "cpu"
    """`cpu` or `cuda`. A function asked for `cuda` that cannot have it refuses to start."""
    threshold: float | None = None
    """Score from which a detection is answered when the request names none."""
    thresholds: Mapping[str, Any] | None = None
    """Label -> score on top of that, or model -> label -> score: see thresholds.py."""
    um_per_px: float | None = None
    """Pixel pitch of the user's images; None cuts tiles at the image's own scale."""
    bad_frame: str = "skip"
    """`skip` or `error`: answer a frame of which nothing decodes with an empty list and a warning, or with 4xx."""
    copper: str = "auto"
    """`auto`, `dark` or `bright`: whether copper is the dark side of the pictures, where it cannot be told by them."""
    deadline_s: float = 100.0
    max_image_mib: float = 190.0
    max_megapixels: float = 300.0
    threads: int | None = None
    """Threads of ONNX Runtime on the CPU; None takes the cores this process may really use."""
    batch: int | None = None
    """Tiles per inference call; None takes 1 on the CPU (fastest there) and 16 on a GPU."""
    gpu_mem_mib: int | None = None
    """Upper limit of ONNX Runtime's arena on the GPU, for several functions that share one card."""

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """Read the `PCB_AOI_*` variables; an empty value counts as not set.

        Raises:
            ConfigError: a value is not of its type or out of range, or the variable is not known.
        """
        known = {f"PCB_AOI_{name.upper()}": name for name in cls.__dataclass_fields__}
        given = {key: value.strip() for key, value in env.items() if key.startswith("PCB_AOI_")}
        unknown = sorted(set(given) - set(known))
        if unknown:
            raise ConfigError(f"unknown environment variable {unknown[0]}; known: {', '.join(sorted(known))}")
        values = {known[key]: _parse(key, known[key], text) for key, text in given.items() if text}
        return cls(**values)  # type: ignore[arg-type]


def _parse(key: str, name: str, text: str) -> object:
    if name == "thresholds":
        return thresholds.parse(text)
    if name in _CHOICES:
        if text not in _CHOICES[name]:
            raise ConfigError(f"{key} must be one of {', '.join(_CHOICES[name])}; got {text!r}")
        return text
    kind, low, high = _RANGES[name]
    try:
        number = kind(text)
    except ValueError:
        raise ConfigError(f"{key} must be a number; got {text!r}") from None
    if not (low <= number <= high and math.isfinite(number)):
        raise ConfigError(f"{key} must be in [{low:g}, {high:g}]; got {text!r}")
    return number


_CHOICES: dict[str, tuple[str, ...]] = {
    "device": ("cpu", "cuda"),
    "bad_frame": ("skip", "error"),
    "copper": ("auto", "dark", "bright"),
}
_RANGES: dict[str, tuple[type[int] | type[float], float, float]] = {
    "threshold": (float, 0, 1),
    "um_per_px": (float, 0.1, 1000),
    "deadline_s": (float, 1, 3600),
    "max_image_mib": (float, 0.01, 4096),
    "max_megapixels": (float, 0.01, 10_000),
    "threads": (int, 1, 1024),
    "batch": (int, 1, 256),
    "gpu_mem_mib": (int, 64, 1_000_000),
}
