"""金OSP: the finished board under a colour line scan: solder mask, gold and OSP lands, white legend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from boards.camera.look import RGB, Look
from boards.camera.shade import capture
from boards.copper.lands import Land, Panel, lay_out, probe_marks
from boards.defects import finish, legend
from boards.defects.planting import Order, Truth, scatter
from boards.defects.surface import FOREIGN_UM, foreign_object, harmless
from boards.pixels.noise import Field, Image, Mask, blur, smooth
from boards.pixels.paintwork import Box
from training.traits import MARGIN_PX

LABELS = (
    "gold_scratch",
    "exposed_nickel",
    "oxidation",
    "stain",
    "foreign_object",
    "dent",
    "extraneous_gold",
    "mask_exposed_copper",
    "legend_defect",
)

WHOLE = ("legend_defect",)  # boxed with what is left of the sign

_MASKS: tuple[RGB, ...] = (
    (22, 20, 20),  # black
    (30, 28, 27),
    (24, 82, 46),  # green
    (40, 104, 60),
    (22, 44, 100),  # blue
    (110, 26, 28),  # red
    (196, 196, 190),  # white
)


@dataclass(frozen=True, slots=True)
class Colours:
    """Mean colours of one board, white balance included."""

    mask: RGB
    gold: RGB
    osp: RGB
    ink: RGB
    through: float  # how much copper shows through the mask


def render(order: Order) -> tuple[Image, Truth]:
    """Draw a finished board. A grey look is grey; a binary one is drawn in colour, as this process needs it."""
    layout_rng, look_rng, ink_rng, paint_rng, surface_rng, camera_rng = order.rng.spawn(6)
    look = order.look if order.look.kind != "binary" else Look("colour", psf_px=order.look.psf_px)
    margin = MARGIN_PX
    panel = lay_out(order.artwork, layout_rng)
    colours = _colours(look, look_rng)
    truth, printed = Truth(), panel.ink.copy()
    for label in order.wanted:
        if label == "legend_defect":
            legend.spoil(panel.ink, order.um_per_px, margin, truth, ink_rng)
    smeared = np.where(panel.ink > printed, panel.ink, np.uint8(0))
    image = _paint(panel, smeared, colours, look, paint_rng)
    clean_rng, defect_rng = surface_rng.spawn(2)
    _hard_negatives(image, panel, colours, clean_rng)
    harmless(image, clean_rng)
    _defects(image, panel, colours, order, truth, margin, defect_rng)
    return capture(image, look, camera_rng), truth


def _defects(
    image: Image,
    panel: Panel,
    colours: Colours,
    order: Order,
    truth: Truth,
    margin: int,
    rng: np.random.Generator,
) -> None:
    """Everything on the surface, on lands of the right finish, clear of each other."""
    brush = finish.Brush(image, panel, order.um_per_px, margin, order.shapes, rng)
    on_gold: dict[str, Callable[[Land], Box | None]] = {
        "gold_scratch": brush.scratch,
        "exposed_nickel": brush.nickel,
        "extraneous_gold": lambda land: brush.extra_gold(land, colours.gold),
    }
    on_any: dict[str, Callable[[Land], Box | None]] = {"oxidation": brush.oxidation, "dent": brush.dent}
    anywhere: dict[str, tuple[Callable[[tuple[float, float], float], Box | None], tuple[float, float]]] = {
        "stain": (brush.stain, (150.0, 1500.0)),
        "mask_exposed_copper": (lambda at, size: brush.bare(at, size, colours.osp), (80.0, 900.0)),
        "foreign_object": (
            lambda at, size: foreign_object(image, rng, order.um_per_px, margin, size, at),
            FOREIGN_UM,
        ),
    }
    height, width = panel.gold.shape
    seen = [land for land in panel.lands if 0 < land.x < width and 0 < land.y < height]
    for label in order.wanted:
        if label in anywhere:
            place, range_um = anywhere[label]
            scatter(image, truth, label, place, range_um, order.um_per_px, rng)
            continue
        draw = on_gold.get(label) or on_any.get(label)
        lands = [land for land in seen if land.gold] if label in on_gold else seen
        if draw is None or not lands:
            continue
        for _ in range(15):
            land = lands[int(rng.integers(len(lands)))]
            if not truth.hits(land.x, land.y, min(land.width, land.height) / 2) and truth.add(label, draw(land)):
                break


def _colours(look: Look, rng: np.random.Generator) -> Colours:
    """Board colours under the white balance that the look implies."""
    balance = np.clip(np.array(look.copper) / np.array([184.0, 139.0, 108.0]), 0.8, 1.25)
    balance = 1 + 0.35 * (balance / balance.mean() - 1)
    gain = float(rng.uniform(0.8, 1.15))

    def tint(colour: RGB, spread: float) -> RGB:
        values = np.array(colour) * balance * gain * rng.uniform(1 - spread, 1 + spread, 3)
        if look.kind == "grey":
            values = np.repeat(values.mean(), 3)
        red, green, blue = (float(value) for value in np.clip(values, 5, 245))
        return red, green, blue

    mask = _MASKS[int(rng.choice(len(_MASKS), p=(0.25, 0.2, 0.15, 0.15, 0.12, 0.06, 0.07)))]
    gold = (208.0, 172.0, 118.0) if rng.random() < 0.7 else (222.0, 196.0, 140.0)
    ink = (232.0, 232.0, 226.0) if mask[0] < 150 else (40.0, 40.0, 40.0)
    return Colours(
        mask=tint(mask, 0.12),
        gold=tint(gold, 0.06),
        osp=tint((166.0, 112.0, 98.0), 0.08),
        ink=tint(ink, 0.03),
        through=float(rng.uniform(0.05, 0.5)),
    )


def _paint(panel: Panel, smeared: Mask, colours: Colours, look: Look, rng: np.random.Generator) -> Image:
    """Mask over copper and laminate, then metal in the openings with a dark border, then ink, on metal if `smeared`."""
    copper = blur(_unit(panel.copper), 1.6)
    gold, osp = blur(_unit(panel.gold), 0.6), blur(_unit(panel.osp), 0.6)
    opening = np.maximum(gold, osp)
    shape = copper.shape
    height, width = shape
    angle = float(rng.uniform(0, 2 * np.pi))
    slope = np.gradient(copper, axis=1) * np.cos(angle) + np.gradient(copper, axis=0) * np.sin(angle)
    lacquer = 1 + 0.03 * smooth((height, width), 1.2, rng) + 0.03 * smooth((height, width), 30.0, rng)
    lacquer = (lacquer + float(rng.uniform(0.2, 1.2)) * slope) * (1 + colours.through * copper)
    border = np.clip(blur(opening, 2.2) * 2, 0, 1) * (1 - opening)
    lacquer *= 1 - float(rng.uniform(0.1, 0.75)) * border
    grain = float(rng.uniform(0.015, 0.05))
    metal = 1 + grain * smooth((height, width), float(rng.uniform(0.7, 1.6)), rng)
    metal += 0.02 * smooth((height, width), 25.0, rng)
    if rng.random() < 0.4:
        metal += float(rng.uniform(0.01, 0.04)) * smooth((height, width), (0.6, 20.0), rng)
    inner = np.minimum(1 - blur(opening, 2.0), 0.5)
    metal *= 1 + float(rng.uniform(-0.5, 0.2)) * inner
    # The wall of the mask shines on the side that faces the light and shadows the other.
    wall = np.gradient(blur(opening, 1.0), axis=1) * np.cos(angle)
    wall += np.gradient(blur(opening, 1.0), axis=0) * np.sin(angle)
    metal += float(rng.uniform(0.0, 0.5)) * wall
    ink = np.maximum(blur(_unit(panel.ink), 0.7) * (1 - opening), blur(_unit(smeared), 0.7))
    ink *= float(rng.uniform(0.8, 1.0))
    ink *= np.clip(1 + 0.06 * smooth((height, width), 1.5, rng), 0, 1)
    image = np.empty((height, width, 3), np.uint8)
    for channel in range(3):
        plane = lacquer * colours.mask[channel]
        plane += gold * (metal * colours.gold[channel] - plane)
        plane += osp * (metal * colours.osp[channel] - plane)
        plane += ink * (colours.ink[channel] - plane)
        image[:, :, channel] = np.clip(plane, 0, 255)
    return image


def _hard_negatives(image: Image, panel: Panel, colours: Colours, rng: np.random.Generator) -> None:
    """假性露铜 thin mask over copper edges looks lighter; needles leave marks on gold. Neither is a defect."""
    height, width = panel.gold.shape
    if rng.random() < 0.5:
        copper = _unit(panel.copper)
        edge = np.clip(4 * blur(copper, 2.5) * (1 - blur(copper, 2.5)), 0, 1)
        opening = blur(np.maximum(_unit(panel.gold), _unit(panel.osp)), 1.0)
        patches = np.clip(smooth((height, width), 12.0, rng) - 0.8, 0, 1)
        thin = edge * patches * (1 - opening) * float(rng.uniform(0.2, 0.5))
        mix = np.array(colours.osp, np.float32) * 0.75
        image[:] = np.clip(image + thin[:, :, None] * (mix - image), 0, 255).astype(np.uint8)
    if rng.random() < 0.4:
        marks = blur(_unit(probe_marks((height, width), panel.lands, rng)), 0.7)
        strength = float(rng.uniform(0.08, 0.3)) * float(rng.choice((-1, 1)))
        image[:] = np.clip(image * (1 + strength * marks[:, :, None]), 0, 255).astype(np.uint8)


def _unit(mask: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Field:
    return mask.astype(np.float32) / np.float32(255)
