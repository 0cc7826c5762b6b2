"""Defects of surface finish and solder mask on finished boards."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from boards.camera.look import RGB
from boards.copper.lands import Land, Panel
from boards.copper.layer import conductor_at
from boards.defects.shape_bank import ShapeBank
from boards.defects.surface import groove
from boards.pixels.noise import Field, Image, IntPoint, Mask, Points, blur, smooth
from boards.pixels.paintwork import Box, commit, is_grey, patch_of
from boards.pixels.shapes import canvas_for, curve, fill, outline, stroke


class Brush:
    """Draws on one board; every method returns the box of what visibly changed, or None."""

    def __init__(
        self,
        image: Image,
        panel: Panel,
        um_per_px: float,
        margin: int,
        shapes: ShapeBank | None,
        rng: np.random.Generator,
    ) -> None:
        """image: uint8 (H, W, 3), changed in place. shapes: outlines of real defects, used half the time."""
        self.image = image
        self.panel = panel
        self.um_per_px = um_per_px
        self.margin = margin
        self.shapes = shapes
        self.rng = rng
        self.metal: Mask = np.maximum(panel.gold, panel.osp)

    def scratch(self, land: Land) -> Box | None:
        """金面划伤: one or a few lines over a gold land, bright or dark, pale where they go on over the mask."""
        rng = self.rng
        size = float(np.hypot(land.width, land.height))
        length = float(np.clip(np.exp(rng.uniform(np.log(80), np.log(3000))) / self.um_per_px, 8, 2.5 * size))
        angle = float(rng.uniform(0, 2 * np.pi))
        middle = self._within(land, 0.3)
        paths = [curve(length * float(rng.uniform(0.6, 1)), 0.4, rng, angle) + middle]
        for _ in range(int(rng.choice((0, 0, 1, 3)))):
            paths.append(paths[0] + rng.normal(0, 3, 2))
        canvas, corner = self._canvas(np.concatenate(paths))
        for path in paths:
            stroke(canvas, path - corner, int(rng.choice((1, 1, 2))), int(rng.uniform(140, 255)))
        metal = self._window(self.metal, canvas, corner)
        return groove(self.image, _unit(canvas), corner, self.margin, rng, metal)

    def nickel(self, land: Land) -> Box | None:
        """露镍: grey nickel or red-brown copper in a sharp gap of the gold."""
        rng = self.rng
        shape = self._shape(self._size(60, 500, land)) + self._within(land, 0.4)
        bare = (168, 166, 160) if rng.random() < 0.6 else (150, 88, 66)
        colour = np.array(bare) * float(rng.uniform(0.75, 1.05))
        return self._lay(shape, colour, self.panel.gold, float(rng.uniform(0.8, 1.0)), 0.5, 0.05)

    def oxidation(self, land: Land) -> Box | None:
        """氧化: dark red, purple or brown mottling of a land, in part or as a whole."""
        rng = self.rng
        whole = rng.random() < 0.35
        size = 1.3 * max(land.width, land.height) if whole else self._size(120, 1200, land)
        shape = outline(size / 2, size / 2 * float(rng.uniform(0.5, 1)), 0.5, rng)
        shape = shape + ((land.x, land.y) if whole else self._within(land, 0.4))
        canvas, corner = self._canvas(shape)
        if canvas.size == 0:
            return None
        fill(canvas, shape - corner)
        own = np.zeros_like(canvas)
        left, top = land.x - float(corner[0]), land.y - float(corner[1])
        box = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (land.width / 2 + 2, land.height / 2 + 2)
        fill(own, box + np.array([left, top]))
        mottled = np.clip(0.7 + 0.45 * smooth(_size(canvas), max(2.0, size / 10), rng), 0.1, 1)
        alpha = blur(_unit(canvas), 2.5) * mottled * self._window(self.metal, canvas, corner) * _unit(own)
        alpha *= float(rng.uniform(0.5, 1.0))
        tone = np.array([(0.62, 0.42, 0.44), (0.5, 0.38, 0.5), (0.55, 0.45, 0.36)])[int(rng.integers(3))]
        patch = patch_of(self.image, canvas.shape, corner)
        before = patch.astype(np.float32)
        if is_grey(before):
            tone = np.repeat(tone.mean(), 3)
        after = before * (1 - alpha[:, :, None] * (1 - tone))
        return self._finish(patch, before, after, corner)

    def stain(self, at: tuple[float, float], size_um: float) -> Box | None:
        """污染: soft translucent patch, or a water mark with a stronger border; at least its middle on metal."""
        rng = self.rng
        if not self.metal[int(at[1]), int(at[0])]:
            return None
        size = max(size_um / self.um_per_px, 9.0)
        shape = self._shape(size, compact=True) + at
        canvas, corner = self._canvas(shape)
        fill(canvas, shape - corner)
        body = blur(_unit(canvas), max(1.0, size / 16))
        alpha = body * float(rng.uniform(0.2, 0.5))
        if rng.random() < 0.5:  # dried from the border inwards
            rim = np.clip(body - blur(body, max(1.5, size / 9)), 0, 1) * 2.5
            alpha = 0.5 * alpha + np.clip(rim, 0, 1) * float(rng.uniform(0.3, 0.6))
        alpha = alpha * np.clip(1 + 0.25 * smooth(_size(canvas), 4.0, rng), 0, 1.5)
        patch = patch_of(self.image, canvas.shape, corner)
        before = patch.astype(np.float32)
        colour = np.array([(90, 80, 70), (60, 60, 66), (225, 222, 214), (130, 110, 70)])[int(rng.integers(4))]
        if is_grey(before):
            colour = np.repeat(colour.mean(), 3)
        return self._finish(patch, before, before + alpha[:, :, None] * (colour - before), corner)

    def dent(self, land: Land) -> Box | None:
        """压伤: a pit with a lit and a shadowed side."""
        rng = self.rng
        radius = float(np.clip(np.exp(rng.uniform(np.log(50), np.log(220))) / self.um_per_px / 2, 2.5, 14))
        x, y = self._within(land, 0.38)
        reach = 1.8 * radius + 3
        canvas, corner = self._canvas(np.array([[x - reach, y - reach], [x + reach, y + reach]]))
        if canvas.size == 0:
            return None
        rows, columns = np.mgrid[0 : canvas.shape[0], 0 : canvas.shape[1]].astype(np.float32)
        dx = (columns - float(x - corner[0])) / radius
        dy = (rows - float(y - corner[1])) / radius * float(rng.uniform(0.75, 1.3))
        angle = float(rng.uniform(0, 2 * np.pi))
        distance = np.hypot(dx, dy)
        tilt = dx * np.cos(angle) + dy * np.sin(angle)
        shading = np.exp(-(distance**4)) * (tilt * float(rng.uniform(0.7, 1.5)) - float(rng.uniform(0.1, 0.5)))
        shading = shading * self._window(self.metal, canvas, corner)
        patch = patch_of(self.image, canvas.shape, corner)
        before = patch.astype(np.float32)
        return self._finish(patch, before, before * np.clip(1 + shading, 0.1, 1.8)[:, :, None], corner)

    def extra_gold(self, land: Land, gold: RGB) -> Box | None:
        """渗金: specks of gold on the mask near a land, or a fringe that grew out of its border."""
        rng = self.rng
        if rng.random() < 0.5:
            size = float(np.clip(np.exp(rng.uniform(np.log(50), np.log(400))) / self.um_per_px, 5, 40))
            angle = rng.uniform(0, 2 * np.pi)
            away = np.array([land.width, land.height]) / 2 + size / 2 + float(rng.uniform(2, 14))
            shape = outline(size / 2, size / 2 * float(rng.uniform(0.4, 1)), 0.6, rng)
            shape = shape + np.array([land.x + away[0] * np.cos(angle), land.y + away[1] * np.sin(angle)])
        else:
            side = int(rng.integers(4))
            length = float(rng.uniform(0.25, 0.9)) * (land.width if side % 2 else land.height)
            depth = float(rng.uniform(4.5, 11))
            along = np.linspace(-length / 2, length / 2, 24)
            bulge = depth * np.clip(np.sin(np.linspace(0, np.pi, 24)) * 1.6, 0, 1) * rng.uniform(0.5, 1, 24)
            out = np.concatenate([bulge, np.full(24, -2.0)])
            run = np.concatenate([along, along[::-1]])
            shape = {
                0: np.stack([land.x + land.width / 2 + out, land.y + run], axis=1),
                1: np.stack([land.x + run, land.y + land.height / 2 + out], axis=1),
                2: np.stack([land.x - land.width / 2 - out, land.y + run], axis=1),
                3: np.stack([land.x + run, land.y - land.height / 2 - out], axis=1),
            }[side]
        elsewhere = 255 - self.metal
        return self._lay(shape, np.array(gold) * float(rng.uniform(0.75, 1.05)), elsewhere, 0.92, 0.6, 0.08)

    def bare(self, at: tuple[float, float], size_um: float, metal: RGB) -> Box | None:
        """防焊露铜: the mask is gone over one conductor; its copper shows in a sharp ragged gap with a dark border.

        Clear of lands of copper: beside one the gap would be a larger land, as good as any.
        """
        rng = self.rng
        x, y = int(at[0]), int(at[1])
        if self.metal[y, x] or not self.panel.copper[y, x]:
            return None
        size = max(size_um / self.um_per_px, 7.0)
        shape = self._shape(size) + at
        off_limits = (self.metal > 0) | (cv2.dilate(self.panel.osp, np.ones((11, 11))) > 0)
        if off_limits[y, x]:
            return None
        over_copper = 255 * conductor_at(np.where(off_limits, 0, self.panel.copper).astype(np.uint8), x, y)
        self._lay(shape * 1.0, np.array(metal) * 0.25, over_copper, 0.4, 1.6, 0.0, record=False)
        return self._lay(shape, np.array(metal) * float(rng.uniform(0.75, 1.0)), over_copper, 0.95, 0.5, 0.06)

    def _lay(
        self,
        shape: Points,
        colour: NDArray[np.float64],
        where: Mask,
        alpha: float,
        soft: float,
        grain: float,
        record: bool = True,
    ) -> Box | None:
        """Fill an outline with a grainy colour where the mask `where` allows it."""
        canvas, corner = self._canvas(shape)
        if canvas.size == 0:
            return None
        fill(canvas, shape - corner)
        cover = blur(_unit(canvas) * self._window(where, canvas, corner), soft) * np.float32(alpha)
        patch = patch_of(self.image, canvas.shape, corner)
        before = patch.astype(np.float32)
        if is_grey(before):
            colour = np.repeat(colour.mean(), 3)
        texture = 1 + grain * smooth(_size(canvas), 1.2, self.rng)
        after = before + cover[:, :, None] * (colour * texture[:, :, None] - before)
        if not record:
            patch[:] = np.clip(after, 0, 255).astype(np.uint8)
            return None
        return self._finish(patch, before, after, corner)

    def _finish(
        self, patch: Image, before: NDArray[np.float32], after: NDArray[np.floating], corner: IntPoint
    ) -> Box | None:
        return commit(patch, before, np.asarray(after, np.float32), corner, self.margin)

    def _canvas(self, points: Points) -> tuple[Mask, IntPoint]:
        return canvas_for(points, 5, (self.image.shape[0], self.image.shape[1]))

    def _window(self, mask: Mask, canvas: Mask, corner: IntPoint) -> Field:
        """The part of a board layer under a canvas, 0 to 1."""
        x, y = int(corner[0]), int(corner[1])
        return _unit(mask[y : y + canvas.shape[0], x : x + canvas.shape[1]])

    def _within(self, land: Land, share: float) -> Points:
        """A random point of a land, `share` of its size round the middle."""
        offset = self.rng.uniform(-share, share, 2)
        return np.array([land.x + offset[0] * land.width, land.y + offset[1] * land.height])

    def _size(self, low_um: float, high_um: float, land: Land) -> float:
        """Random size in pixels, no longer than the land."""
        size = float(np.exp(self.rng.uniform(np.log(low_um), np.log(high_um)))) / self.um_per_px
        return float(np.clip(size, 5.0, max(max(land.width, land.height), 6.0)))

    def _shape(self, size: float, compact: bool = False) -> Points:
        """Outline round (0, 0): of a real defect where a bank was given, else invented."""
        if self.shapes is not None and self.rng.random() < 0.5:
            return self.shapes.draw(size, self.rng, False if compact else None)
        return outline(size / 2, size / 2 * float(self.rng.uniform(0.45, 1)), 0.5, self.rng)


def _unit(mask: Mask) -> Field:
    return mask.astype(np.float32) / np.float32(255)


def _size(canvas: Mask) -> tuple[int, int]:
    return canvas.shape[0], canvas.shape[1]
