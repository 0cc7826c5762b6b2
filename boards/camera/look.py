"""How a camera sees a copper layer: colours, texture, optics, compression. One frozen record a picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

KINDS = ("binary", "grey", "colour")

RGB = tuple[float, float, float]

# Copper and laminate pairs seen by real AOI stations: hue differs between machines more than within one.
_COPPERS: tuple[RGB, ...] = (
    (184, 139, 108),  # tan
    (206, 150, 118),  # salmon
    (214, 120, 52),  # orange under warm light
    (170, 150, 140),  # grey-pink
    (226, 196, 170),  # pale
    (150, 106, 84),  # brown
    (196, 190, 180),  # nearly grey
)
_LAMINATES: tuple[RGB, ...] = (
    (54, 45, 35),  # brown-black
    (34, 33, 33),  # black
    (44, 52, 40),  # olive
    (64, 60, 48),
    (38, 30, 26),
)

# How far white balance is off, in training, at the end of its range, and in the rendered test.
STRENGTHS = {"all": (0.0, 0.14), "edge": (0.105, 0.14), "held out": (0.14, 0.18)}


@dataclass(frozen=True, slots=True)
class Look:
    """All of a picture that is not the board. Lengths in pixels, amplitudes relative to brightness."""

    kind: str
    copper: RGB = (184.0, 139.0, 108.0)  # mean colour, white balance and gain included
    laminate: RGB = (54.0, 45.0, 35.0)
    grain: float = 0.06  # fine copper texture
    grain_px: float = 1.0
    brush: float = 0.03  # rolling or brushing streaks
    brush_vertical: bool = True
    cloud: float = 0.03  # slow brightness drift over the copper
    rim: float = -0.3  # edge slope: negative darkens the border of the copper, positive makes it shine
    rim_px: float = 1.5
    relief: float = 0.0  # light from one side: slopes facing it shine, the others are dark
    relief_angle: float = 0.0  # radians
    weave: float = 0.05  # glass cloth seen through the laminate
    weave_px: float = 24.0
    psf_px: float = 0.9
    banding: float = 0.008  # line-scan gain from row to row
    noise: float = 1.5  # sensor noise in grey levels
    jagged: float = 0.12  # binary only: noise on the threshold
    jpeg: int = 0  # quality, 0 for none

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"look kind must be one of {KINDS}, got {self.kind!r}")

    @staticmethod
    def sample(rng: np.random.Generator, kind: str | None = None, held_out: bool = False, edge: bool = False) -> Look:
        """Draw a look. `held_out` uses ranges of optics, colour and grain that training never draws.

        `edge` draws from the end of training's ranges that lies next to those: who calibrates on familiar looks alone
        sets thresholds that are too high for the camera of anybody else.
        """
        kind = kind or str(rng.choice(KINDS, p=(0.3, 0.3, 0.4)))
        if kind not in KINDS:
            raise ValueError(f"look kind must be one of {KINDS}, got {kind!r}")
        span = _span_held_out if held_out else _span_edge if edge else _span
        copper, laminate = _colours(
            rng, kind == "grey", STRENGTHS["held out" if held_out else "edge" if edge else "all"]
        )
        return Look(
            kind=kind,
            copper=copper,
            laminate=laminate,
            grain=span(rng, 0.004, 0.042),
            grain_px=span(rng, 0.6, 2.0),
            brush=span(rng, 0.0, 0.027),
            brush_vertical=bool(rng.random() < 0.6),
            cloud=span(rng, 0.0, 0.03),
            rim=float(rng.uniform(-0.55, 0.2)),
            rim_px=span(rng, 0.8, 2.4),
            weave=span(rng, 0.0, 0.07),
            weave_px=float(rng.uniform(18, 50)),
            psf_px=span(rng, 0.6, 1.5) if kind != "binary" else float(rng.uniform(0.6, 0.9)),
            banding=span(rng, 0.0, 0.012),
            noise=span(rng, 0.3, 2.4),
            jagged=span(rng, 0.02, 0.12),
            jpeg=int(rng.integers(75, 96)) if rng.random() < 0.8 else 0,
        )


def _span(rng: np.random.Generator, low: float, high: float) -> float:
    """The lower four fifths of a range: what training draws."""
    return float(rng.uniform(low, low + 0.8 * (high - low)))


def _span_edge(rng: np.random.Generator, low: float, high: float) -> float:
    """The last quarter of what training draws."""
    return float(rng.uniform(low + 0.6 * (high - low), low + 0.8 * (high - low)))


def _span_held_out(rng: np.random.Generator, low: float, high: float) -> float:
    """The top fifth: kept for the rendered test."""
    return float(rng.uniform(low + 0.8 * (high - low), high))


def _colours(rng: np.random.Generator, grey: bool, strengths: tuple[float, float]) -> tuple[RGB, RGB]:
    """Mean copper and laminate colour after white balance and exposure."""
    copper = np.array(_COPPERS[rng.integers(len(_COPPERS))])
    laminate = np.array(_LAMINATES[rng.integers(len(_LAMINATES))])
    # Lamps differ from amber to blue and hardly from green to magenta.
    strength = rng.uniform(*strengths) * rng.choice((-1.0, 1.0))
    balance = 1 + strength * np.array([1.0, rng.uniform(-0.25, 0.25), -1.0])
    # Percentiles of real tiles: copper 147..228 in red, laminate 37..79.
    copper = np.minimum.accumulate(copper * balance) * rng.uniform(0.72, 1.18)  # red >= green >= blue, as on all tiles
    laminate = laminate * np.sqrt(balance) * rng.uniform(0.55, 1.4)
    if grey:
        copper, laminate = np.repeat(copper.mean(), 3), np.repeat(laminate.mean(), 3)
    copper = np.clip(copper, 60, 245)
    laminate = np.clip(laminate, 6, 110)
    laminate *= min(1.0, 0.45 * float(copper.mean() / laminate.mean()))  # copper stays the brighter of the two
    return (float(copper[0]), float(copper[1]), float(copper[2])), (
        float(laminate[0]),
        float(laminate[1]),
        float(laminate[2]),
    )
