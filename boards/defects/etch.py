"""What the etchant makes of the artwork: ragged edges, line-width bias, rounded corners."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from boards.pixels.noise import Field, Mask, blur, smooth


@dataclass(frozen=True, slots=True)
class Etch:
    """Lengths in pixels; every displacement is that of an edge."""

    rounding: float = 1.0  # corner radius, more or less: the resist image is not sharp
    ragged: float = 0.25  # deviation of the fine edge
    ragged_px: float = 1.6  # correlation length of it
    drift: float = 0.3  # deviation of the slow edge: half-pixel steps along straight lines
    bias: float = 0.0  # over-etch: positive makes copper thinner

    @staticmethod
    def sample(rng: np.random.Generator, ragged: float = 1.0) -> Etch:
        """Draw an etch; `ragged` scales how rough edges are (galvanic copper is rougher)."""
        return Etch(
            rounding=float(rng.uniform(0.8, 1.4)),
            ragged=float(rng.uniform(0.02, 0.2)) * ragged,
            ragged_px=float(rng.uniform(0.8, 2.2)),
            drift=float(rng.uniform(0.03, 0.2)),
            bias=float(rng.normal(0, 0.35)),
        )


def etch(mask: Mask, process: Etch, seed: int) -> Field:
    """Copper coverage in [0, 1], float32 (H, W), with soft one-pixel edges.

    The same seed gives the same edges: a board and its defect-free twin differ at the defects only.
    """
    return etch_with(mask, process, edge_shift(mask.shape, process, seed))


def edge_shift(shape: tuple[int, ...], process: Etch, seed: int) -> Field:
    """How far every edge moves into the copper, in pixels, float32 (H, W)."""
    rng = np.random.default_rng(seed)
    size = (shape[0], shape[1])
    shift = process.ragged * smooth(size, process.ragged_px, rng)
    shift += process.drift * smooth(size, 20.0, rng)
    shift += np.float32(process.bias)
    # No shift may be so large that the noise shows inside copper or on open laminate.
    largest = min(1.2, 0.5 / _climb(process) - 0.5)
    return np.asarray(np.clip(shift, -largest, largest), np.float32)


def etch_with(mask: Mask, process: Etch, shift: Field) -> Field:
    """Etch a mask, or a window of one, with edge shifts made before."""
    climb = np.float32(_climb(process))
    field = blur(mask.astype(np.float32), process.rounding)
    field -= np.float32(0.5)
    field /= climb
    field += np.float32(0.5)
    field -= shift
    return np.clip(field, 0, 1, out=field)


def _climb(process: Etch) -> float:
    """Slope of the blurred mask at an edge, in levels a pixel: it turns shifts into levels."""
    return float(1 / (np.sqrt(2 * np.pi) * process.rounding))
