"""Which labels each function has, which images teach them, and what its weights say about themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from training import deeppcb
from training.scene import SceneList, Source

WIDE_SHARE = 0.15  # of the batches, with rendered boards: crops of a whole tile, for scratches that cross it
REAL_SHARE = 0.5  # of the crops, where rendered boards are mixed in

Mix = list[tuple[float, Source]]  # (share of the crops, where they come from)


@dataclass(frozen=True)
class Recipe:
    slugs: list[str]  # order of labelmaps/<function>.yaml; a test compares the two
    um_per_px: float
    provenance: str
    sources: Callable[[Path, Path | None, list[str]], Mix]  # (data folder, folder of rendered boards, slugs)
    tile: int = 640


def inner_layer(data: Path, rendered: Path | None, slugs: list[str]) -> Mix:
    """Real boards; with a pool of rendered ones, those too."""
    real = SceneList(deeppcb.load(data / "deeppcb", deeppcb.TRAIN, slugs))
    if rendered is None:
        return [(1.0, real)]
    from training.pool import Pool  # the renderer is needed here only

    return [(REAL_SHARE, real), (1 - REAL_SHARE, Pool(rendered))]


RECIPES = {
    "inner-layer": Recipe(
        ["open", "short", "nick", "pinhole", "spur", "residual_copper", "scratch", "foreign_object"],
        deeppcb.UM_PER_PX,
        "Trained from scratch on DeepPCB groups " + ", ".join(deeppcb.TRAIN) + " (real images; the data's LICENSE file "
        "is MIT, its README says: You can only use this dataset for research purpose) and on boards rendered by this "
        "project, some of them on the artwork of those groups.",
        inner_layer,
    ),
}


def get(function: str) -> Recipe:
    """The recipe of a function; exits with the list of known ones."""
    if function not in RECIPES:
        raise SystemExit(f"no training recipe for {function!r}; there is one for: {', '.join(RECIPES)}")
    return RECIPES[function]
