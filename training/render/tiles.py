"""The training distribution: which pitch, look, artwork and density of defects a random tile has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from training.render.board import Board, render_board
from training.render.look import Look
from training.render.real_artwork import BoardLayer
from training.render.shape_bank import ShapeBank

# Pitches a tile is drawn at, um per pixel: round each function's native one.
PITCHES = {
    "inner-layer": (14.0, 27.0),
    "acid-outer-layer": (6.0, 20.0),
    "alkaline-outer-layer": (6.0, 20.0),
    "resin-plug": (7.0, 20.0),
    "gold-osp": (6.0, 20.0),
}


@dataclass(frozen=True, slots=True)
class TileSource:
    """Where tiles of one function come from. `held_out` draws looks that training never sees: for the test.

    Real artwork and real shapes are passed in, already split; without them everything is procedural.
    """

    function: str
    held_out: bool = False
    artwork: Sequence[BoardLayer] = ()
    shapes: ShapeBank | None = None
    real_share: float = 0.3  # of tiles with real artwork, where there is any
    clean_share: float = 0.3
    per_megapixel: float = 40.0  # mean defects of tiles that are not clean
    kinds: Sequence[str] = field(default=("binary", "grey", "colour"))

    def draw(self, size: tuple[int, int], rng: np.random.Generator) -> Board:
        """One random tile of (height, width) pixels."""
        low, high = PITCHES[self.function]
        pitch = float(np.exp(rng.uniform(np.log(low), np.log(high))))
        # Only inner layers come thresholded; the others are inspected in grey or colour.
        kinds = [kind for kind in self.kinds if kind != "binary" or self.function == "inner-layer"]
        look = Look.sample(rng, str(rng.choice(kinds)), self.held_out)
        artwork = None
        if self.artwork and rng.random() < self.real_share:
            artwork = self.artwork[int(rng.integers(len(self.artwork)))].crop(size, pitch, rng)
        return render_board(
            self.function,
            size,
            pitch,
            look,
            rng,
            self.per_megapixel,
            self.clean_share,
            artwork,
            self.shapes,
        )

    def stream(self, size: tuple[int, int], seed: int) -> Iterator[Board]:
        """Endless tiles; tile number n depends on the seed and on n alone, so that a run can be resumed."""
        for number in range(2**62):
            yield self.draw(size, np.random.default_rng((seed, number)))
