"""Rendered boards of the inner layer as training scenes, 640 x 640 px, of three kinds:

- `procedural`: artwork of the generator, defects planted, pitch 13 to 28 um/px;
- `template`: artwork of DeepPCB's defect-free templates (training groups only), defects planted;
- `shaded`: DeepPCB's real images with their real defects, thresholded to a mask and shaded as a grey or a colour
  camera would see them.

For `inner-layer-clean`, whose weights may not come from research-only data, the third kind is `artwork` of
open-hardware boards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from boards.camera.look import Look
from boards.camera.shade import capture, paint
from boards.camera.visible import measure
from boards.copper.artwork import draw_artwork
from boards.copper.real_artwork import BoardLayer
from boards.defects import decoys, scribble, surface
from boards.defects.etch import Etch
from boards.defects.planting import etched
from boards.pixels.paintwork import FAINT, VISIBLE, is_grey
from boards.process.inner_layer import LABELS
from boards.scenes import deeppcb
from boards.scenes.outer_tiles import EDGE, SIDE, thinned
from pcb_aoi.exports.scene import Scene
from training.traits import INNER_MARGIN_PX

SCRIBBLED = 0.6  # share of template and procedural tiles whose defects are drawn by hand, not etched
KINDS = {"procedural": 0.45, "template": 0.30, "shaded": 0.25}
LOOKS = {"binary": 0.4, "grey": 0.28, "colour": 0.32}
# To learn from beside real boards, which are all near-binary: fewer such, more real ones shaded.
BESIDE_REAL_KINDS = {"procedural": 0.35, "template": 0.25, "shaded": 0.40}
BESIDE_REAL_LOOKS = {"binary": 0.2, "grey": 0.37, "colour": 0.43}
# For inner-layer-clean, whose weights may not come from research-only data: `artwork` is of open-hardware boards.
CLEAN_KINDS = {"procedural": 0.55, "artwork": 0.45}
CLEAN = 0.12  # share of tiles without planted defects
PER_TILE = 11.0  # mean number of planted defects
# Scratches and foreign objects have no real pictures to learn from and are the hardest: drawn more often.
SHARES = [(0.22 if label == "scratch" else 0.16 if label == "foreign_object" else 0.62 / 6) for label in LABELS]
PITCHES = (13.0, 28.0)  # um/px of procedural artwork
# Share of scratches drawn from LONG_UM, where a tile is 13 mm wide. Training draws more: a faint bundle across a wide
# field of copper is what nets miss most.
LONG_SHARE = {"train": 0.7, "calibration": 0.4, "test": 0.4}
LONG_UM = (6_000.0, 30_000.0)
ON_SURFACE = ("scratch", "foreign_object")
# The artwork of templates follows deeppcb.names(); procedural artwork differs by seed, looks of `test` by range.
SEEDS = {"train": 0, "calibration": 1_000_000, "test": 2_000_000}


def turned(mask: NDArray[np.uint8], number: int) -> NDArray[np.uint8]:
    """One of the eight flips and quarter turns."""
    mask = np.rot90(mask, number % 4)
    return np.ascontiguousarray(mask[:, ::-1] if number >= 4 else mask)


def trail(before: NDArray[np.uint8], after: NDArray[np.uint8], line: bool) -> NDArray[np.float32]:
    """Where a defect shows: (P, 2) xy of changed pixels, one per cell of CELL px; of a line, where it is faint, too."""
    change = np.abs(after.astype(np.int16) - before).max(axis=2).astype(np.float32)
    changed: NDArray[np.bool_] = np.asarray(cv2.GaussianBlur(change, (0, 0), 0.9)) > (FAINT if line else VISIBLE)
    return thinned(changed)


@dataclass
class Planting:
    """Defects so far; `trails` rows are x, y, index of the defect."""

    boxes: list[tuple[float, ...]] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    trails: list[NDArray[np.float32]] = field(default_factory=list)


def lay_on_surface(
    image: NDArray[np.uint8],
    wanted: list[str],
    pitch: float,
    planted: Planting,
    rng: np.random.Generator,
    long_share: float,
) -> None:
    """Scratches and foreign objects on a painted board, in place, each with its trail."""
    scratches = surface.Scratches(image, pitch, INNER_MARGIN_PX, rng)
    long = rng.random(wanted.count("scratch")) < long_share
    lengths = [float(rng.uniform(*LONG_UM)) for _ in range(long.sum())]  # first: they find a place while there is one
    for label in wanted:
        before = image.copy()
        if label == "scratch":
            box = scratches.lay(lengths.pop() if lengths else None)
        else:
            # On grey, a fibre on bare laminate is a thin line of copper to anybody.
            on_copper = surface.bright_place(image, rng) if is_grey(image) else None
            box = surface.foreign_object(image, rng, pitch, INNER_MARGIN_PX, centre=on_copper)
        if box is None:
            continue
        points = trail(before, image, label == "scratch")
        owner = np.full((len(points), 1), len(planted.boxes), np.float32)
        planted.trails.append(np.concatenate((points, owner), axis=1))
        planted.boxes.append(tuple(np.clip(box, 0, SIDE)))
        planted.labels.append(LABELS.index(label))


@dataclass(frozen=True)
class InnerBoard:
    """A board without its defects; drawn twice, with and without, everything else is the same."""

    coverage: NDArray[np.float32] | None  # (H, W) of a real board with its own defects; None: of `mask`
    mask: NDArray[np.uint8]  # (H, W), 1 is copper
    pitch: float  # um/px
    look: Look
    scribbled: bool  # defects in copper are drawn by hand, not etched
    seeds: tuple[int, ...]  # of copper, paint, dirt, defects on the surface, camera
    long_share: float = LONG_SHARE["test"]  # of the scratches

    def draw(self, wanted: list[str]) -> tuple[NDArray[np.uint8], Planting]:
        """The picture uint8 (H, W, 3), and what was planted."""
        in_copper, paint_rng, dirt, on_surface, camera = (np.random.default_rng(seed) for seed in self.seeds)
        planted, labels = Planting(), [label for label in wanted if label not in ON_SURFACE]
        if self.coverage is not None:
            coverage = self.coverage
        elif self.scribbled:
            mask = self.mask.copy()
            drawn = scribble.plant(mask, labels, in_copper)
            coverage = np.asarray(cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.5), np.float32)
            planted.boxes, planted.labels = [box for _, box in drawn], [LABELS.index(slug) for slug, _ in drawn]
        else:
            process = Etch.sample(in_copper)
            coverage, truth = etched(self.mask, labels, process, self.pitch, INNER_MARGIN_PX, in_copper)
            found, slugs = truth.clipped((SIDE, SIDE))
            planted.boxes, planted.labels = [tuple(box) for box in found], [LABELS.index(slug) for slug in slugs]
        image = paint(coverage, self.look, paint_rng)
        if self.look.kind != "binary":
            surface.harmless(image, dirt)
            laid = [label for label in wanted if label in ON_SURFACE]
            lay_on_surface(image, laid, self.pitch, planted, on_surface, self.long_share)
        return capture(image, self.look, camera), planted


def coverage_of(grey: NDArray[np.uint8], blur: float) -> NDArray[np.float32]:
    """float32 (H, W): how much of each pixel of a near-binary picture, copper dark, is copper."""
    return np.asarray(cv2.GaussianBlur((grey < 128).astype(np.float32), (0, 0), blur), np.float32)


def shaded(scene: Scene, kind: str, number: int) -> Scene:
    """A real near-binary scene and its twin as a `grey` or `colour` camera sees them, of looks kept for tests."""
    rng = np.random.default_rng((SEEDS["test"], number))
    look = Look.sample(rng, kind, held_out=True)
    blur, seeds = rng.uniform(0.5, 1.0), tuple(int(seed) for seed in rng.integers(2**62, size=5))

    def seen(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
        plan = InnerBoard(coverage_of(grey, blur), np.zeros_like(grey), deeppcb.UM_PER_PX, look, False, seeds)
        image, _ = plan.draw([])
        return image if kind == "colour" else image[:, :, 0]

    clean = None if scene.clean is None else seen(scene.clean)
    return replace(scene, image=seen(scene.image), clean=clean, name=f"{scene.name}-{kind}")


def render_tile(
    data: Path,
    names: list[str],
    split: str,
    seed: int,
    number: int,
    layers: Sequence[BoardLayer] = (),
) -> Scene:
    """Tile `number` of a pool; `names` are the DeepPCB images that may be used, none with `layers` of real artwork.

    Without either, all artwork is generated.

    The split `test` takes optics, colours and grain from ranges that training never draws; of the others, half of the
    looks are at the edge of training's.
    """
    rng, held_out = np.random.default_rng((seed + SEEDS[split], number)), split == "test"
    beside_real = not held_out and not layers
    kinds = CLEAN_KINDS if layers else BESIDE_REAL_KINDS if beside_real else KINDS
    if not names and not layers:
        kinds = {"procedural": 1.0}
    looks = BESIDE_REAL_LOOKS if beside_real else LOOKS
    kind = str(rng.choice(list(kinds), p=list(kinds.values())))
    look_kind = str(rng.choice(list(looks), p=list(looks.values())))
    if kind == "shaded" and look_kind == "binary":
        look_kind = "grey"  # the raw image itself is the binary look
    edge = not held_out and rng.random() < EDGE["train"]
    look = Look.sample(rng, look_kind, held_out, edge)
    wanted = [] if rng.random() < CLEAN else [str(x) for x in rng.choice(LABELS, rng.poisson(PER_TILE), p=SHARES)]
    seeds = tuple(int(number) for number in rng.integers(2**62, size=5))
    pitch, name = deeppcb.UM_PER_PX, str(rng.choice(names)) if names and not layers else ""
    coverage, mask = None, np.zeros((SIDE, SIDE), np.uint8)
    if kind == "shaded":
        coverage = coverage_of(deeppcb.read_grey(data / "images" / f"{name}.jpg"), rng.uniform(0.5, 1.0))
    elif kind == "template":
        grey = deeppcb.read_grey(data / "templates" / f"{name}.png")
        mask = turned((grey < 128).astype(np.uint8), int(rng.integers(8)))
    else:
        pitch = float(rng.uniform(*PITCHES))
        if kind == "artwork":
            mask = layers[int(rng.integers(len(layers)))].crop((SIDE, SIDE), pitch, rng).copper
        else:
            mask = draw_artwork((SIDE, SIDE), pitch, rng).copper
    decoys.add_decoys(mask, rng)
    board = InnerBoard(coverage, mask, pitch, look, rng.random() < SCRIBBLED, seeds, LONG_SHARE[split])
    image, planted = board.draw(wanted)
    clean = image if not planted.labels else board.draw([])[0]
    boxes = np.array(planted.boxes, np.float32).reshape(-1, 4)
    lines = np.isin(planted.labels, LABELS.index("scratch"))
    image, boxes, shows = measure(image, clean, boxes, np.zeros(len(boxes), bool), INNER_MARGIN_PX, lines=lines)
    labels, trails = np.array(planted.labels, np.int64)[shows], kept_trails(planted.trails, boxes, shows)
    grey_level = look.kind != "colour"
    if kind == "shaded":  # the real defects, which the twin has, too
        text = (data / "labels" / f"{name}.txt").read_text()
        own, slugs = deeppcb.parse_labels(text, name, list(LABELS))
        trails[:, 2] += len(own)
        boxes, labels = np.concatenate((own, boxes[shows])), np.concatenate((slugs, labels))
    else:
        boxes = boxes[shows]
    return Scene(
        image[:, :, 0] if grey_level else image,
        boxes.astype(np.float32),
        labels,
        f"{kind}-{look.kind}-{number}",
        None if kind == "shaded" else clean[:, :, 0] if grey_level else clean,
        trails,
    )


def kept_trails(
    trails: list[NDArray[np.float32]], boxes: NDArray[np.float32], shows: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """(P, 3): the trails of the defects that show, numbered as these are, without ends that the camera lost."""
    if not trails:
        return np.empty((0, 3), np.float32)
    points = np.concatenate(trails)
    owner = points[:, 2].astype(int)
    inside = ((points[:, :2] >= boxes[owner, :2]) & (points[:, :2] < boxes[owner, 2:])).all(axis=1)
    kept = shows[owner] & inside
    points, owner = points[kept], owner[kept]
    points[:, 2] = (np.cumsum(shows) - 1)[owner]
    return np.asarray(points, np.float32)
