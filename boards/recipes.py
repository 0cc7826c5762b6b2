"""Which labels each function has, which images teach them, and what its weights say about themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from boards.process.board import PROCESSES
from boards.scenes import deeppcb, real_tiles
from pcb_aoi.exports.scene import SceneList, Source
from training.data.sheets import Sheets
from training.data.store import Pool

REAL_TILES_SHARE = 0.1  # beside a share of 1 of rendered boards: a tenth
REAL_SHARE = 0.5  # of the crops, where rendered boards are mixed in

Mix = list[tuple[float, Source]]  # (share of the crops, where they come from)
Sources = Callable[[Path, Path | None, list[str]], Mix]  # (data folder, folder of rendered boards, slugs)


@dataclass(frozen=True)
class Recipe:
    """How the weights of one name are made."""

    function: str  # folder under functions/ that such weights are for
    slugs: list[str]  # order of labelmaps/<function>.yaml; a test compares the two
    provenance: str  # what a run by this recipe learns from
    sources: Sources
    bright_copper: bool = False  # thresholded boards, whose copper is black, are learnt as negatives


def inner_layer(held_out: tuple[str, ...], data: Path, rendered: Path | None, slugs: list[str]) -> Mix:
    """Real boards but those of the groups held out; with a pool of rendered ones, those too."""
    real = SceneList(deeppcb.load(data / "deeppcb", "train", slugs, held_out))
    if rendered is None:
        return [(1.0, real)]
    return [(REAL_SHARE, real), (1 - REAL_SHARE, Pool(rendered))]


def renders_only(data: Path, rendered: Path | None, slugs: list[str]) -> Mix:
    """Rendered boards alone."""
    if rendered is None:
        raise SystemExit("this model learns from rendered boards: render some with `python -m boards pool`, --pool")
    return [(1.0, Pool(rendered))]


def outer_layer(data: Path, rendered: Path | None, slugs: list[str]) -> Mix:
    """Rendered boards, and the few real tiles there are, side by side: one alone is smaller than a crop."""
    tiles = real_tiles.load(data / "real-tiles", slugs) if (data / "real-tiles").is_dir() else []
    mix = renders_only(data, rendered, slugs)
    return [*mix, (REAL_TILES_SHARE, Sheets(tiles))] if tiles else mix


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
        "inner-layer",
        list(PROCESSES["inner-layer"].labels),
        f"Trained on DeepPCB groups {groups} (real images; the data's LICENSE file is MIT, its README says: You can "
        "only use this dataset for research purpose) and on boards rendered by this project, some of them on the "
        "artwork of those groups.",
        partial(inner_layer, held_out),
        bright_copper=True,
    )


def drawn(function: str, provenance: str, sources: Sources = renders_only, bright_copper: bool = False) -> Recipe:
    """A recipe of a function whose boards the renderer draws."""
    return Recipe(function, list(PROCESSES[function].labels), provenance, sources, bright_copper)


RECIPES = {
    **{name: inner_layer_recipe(held_out) for name, held_out in deeppcb.HELD_OUT.items()},
    "inner-layer-clean": drawn("inner-layer", f"{RENDERED}.", bright_copper=True),
    "acid-outer-layer": drawn("acid-outer-layer", OUTER, outer_layer),
    "alkaline-outer-layer": drawn("alkaline-outer-layer", OUTER, outer_layer),
    "resin-plug": drawn("resin-plug", f"{RENDERED}."),
    "gold-osp": drawn("gold-osp", f"{RENDERED}; {MEIWEI}."),
}


def get(function: str) -> Recipe:
    """The recipe of a function; exits with the list of known ones."""
    if function not in RECIPES:
        raise SystemExit(f"no training recipe for {function!r}; there is one for: {', '.join(RECIPES)}")
    return RECIPES[function]
