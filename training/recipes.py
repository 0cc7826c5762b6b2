"""Which labels each function has, which images teach them, and what its weights say about themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from training import deeppcb, real_tiles, together
from training.annotated.sheets import Sheets
from training.render.board import PROCESSES
from training.scene import SceneList, Source

WIDE_SHARE = 0.15  # of the batches, with rendered boards: crops of a whole tile, for scratches that cross it
REAL_TILES_SHARE = 0.1  # beside a share of 1 of rendered boards: a tenth
REAL_SHARE = 0.5  # of the crops, where rendered boards are mixed in

# Functions whose nets are trained as one, and then taken apart: share of the crops, more where there is more to learn.
TOGETHER = {"acid-outer-layer": 0.2, "alkaline-outer-layer": 0.3, "resin-plug": 0.2, "gold-osp": 0.3}

Mix = list[tuple[float, Source]]  # (share of the crops, where they come from)


@dataclass(frozen=True)
class Recipe:
    slugs: list[str]  # order of labelmaps/<function>.yaml; a test compares the two
    um_per_px: float
    provenance: str  # what a run by this recipe learns from
    sources: Callable[[Path, Path | None, list[str]], Mix]  # (data folder, folder of rendered boards, slugs)
    tile: int = 640
    bright_copper: bool = False  # thresholded boards, whose copper is black, are learnt as negatives


def inner_layer(held_out: tuple[str, ...], data: Path, rendered: Path | None, slugs: list[str]) -> Mix:
    """Real boards but those of the groups held out; with a pool of rendered ones, those too."""
    real = SceneList(deeppcb.load(data / "deeppcb", "train", slugs, held_out))
    if rendered is None:
        return [(1.0, real)]
    from training.pool import Pool  # the renderer is needed here only

    return [(REAL_SHARE, real), (1 - REAL_SHARE, Pool(rendered))]


def renders_only(data: Path, rendered: Path | None, slugs: list[str]) -> Mix:
    """Rendered boards alone."""
    from training.pool import Pool

    if rendered is None:
        raise SystemExit("this model learns from rendered boards: render some with `python -m training pool`, --pool")
    return [(1.0, Pool(rendered))]


def outer_layer(data: Path, rendered: Path | None, slugs: list[str]) -> Mix:
    """Rendered boards, and the few real tiles there are, side by side: one alone is smaller than a crop."""
    tiles = real_tiles.load(data / "real-tiles", slugs) if (data / "real-tiles").is_dir() else []
    mix = renders_only(data, rendered, slugs)
    return [*mix, (REAL_TILES_SHARE, Sheets(tiles))] if tiles else mix


def four_together(data: Path, rendered: Path | None, slugs: list[str]) -> Mix:
    """Boards of all four; `rendered` has a folder of them per function."""
    mix: Mix = []
    for function, part in TOGETHER.items():
        recipe = RECIPES[function]
        own = recipe.sources(data, None if rendered is None else rendered / function, recipe.slugs)
        total = sum(share for share, _ in own)
        numbers = np.array([slugs.index(slug) for slug in recipe.slugs])
        mix += [(part * share / total, together.Member(source, numbers)) for share, source in own]
    return mix


RENDERED = "Trained on boards rendered by this project, on generated artwork and on open-hardware boards"
MEIWEI = "shapes of defects from MeiweiPCB (Apache-2.0)"
DSPCBSD = (
    "80 tiles recovered from published pictures of DsPCBSD+ (CC BY 4.0: Lv, S. et al., Scientific Data 11, 811, 2024)"
)
OUTER = f"{RENDERED}, and on {DSPCBSD}."


def inner_layer_recipe(held_out: tuple[str, ...]) -> Recipe:
    """A recipe of the inner layer that keeps some groups of boards for its test."""
    groups = ", ".join(group for group in deeppcb.GROUPS if group not in held_out)
    return Recipe(
        ["open", "short", "nick", "pinhole", "spur", "residual_copper", "scratch", "foreign_object"],
        deeppcb.UM_PER_PX,
        f"Trained on DeepPCB groups {groups} (real images; the data's LICENSE file is MIT, its README says: You can "
        "only use this dataset for research purpose) and on boards rendered by this project, some of them on the "
        "artwork of those groups.",
        partial(inner_layer, held_out),
        bright_copper=True,
    )


RECIPES = {
    **{name: inner_layer_recipe(held_out) for name, held_out in deeppcb.HELD_OUT.items()},
    "inner-layer-clean": Recipe(
        list(PROCESSES["inner-layer"].labels), 20.8, f"{RENDERED}.", renders_only, bright_copper=True
    ),
    "acid-outer-layer": Recipe(list(PROCESSES["acid-outer-layer"].labels), 10.0, OUTER, outer_layer),
    "alkaline-outer-layer": Recipe(list(PROCESSES["alkaline-outer-layer"].labels), 10.0, OUTER, outer_layer),
    "resin-plug": Recipe(list(PROCESSES["resin-plug"].labels), 10.0, f"{RENDERED}.", renders_only),
    "gold-osp": Recipe(list(PROCESSES["gold-osp"].labels), 10.0, f"{RENDERED}; {MEIWEI}.", renders_only),
}
RECIPES["together"] = Recipe(
    together.union([RECIPES[name].slugs for name in TOGETHER]),
    10.0,
    f"{RENDERED}, of four processes together; {MEIWEI}; and on {DSPCBSD}.",
    four_together,
)


def get(function: str) -> Recipe:
    """The recipe of a function; exits with the list of known ones."""
    if function not in RECIPES:
        raise SystemExit(f"no training recipe for {function!r}; there is one for: {', '.join(RECIPES)}")
    return RECIPES[function]
