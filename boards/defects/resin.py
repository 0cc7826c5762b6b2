"""One resin plug: what it looks like sound, and with each of its defects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from boards.camera.look import Look
from boards.pixels.noise import Field, blur, smooth
from boards.pixels.shapes import curve, fill, outline, stroke

_RESINS = ((205, 190, 160), (170, 168, 160), (140, 150, 120), (190, 170, 120), (120, 112, 100), (222, 214, 200))


@dataclass(frozen=True, slots=True)
class Resin:
    """One panel's resin and how the knee of its holes catches the light."""

    colour: tuple[float, float, float]
    grain: float
    knee: float  # positive: bright rim, negative: dark rim
    light: float  # direction of the light, radians

    @staticmethod
    def sample(look: Look, rng: np.random.Generator) -> Resin:
        """Draw a resin that can be told from the copper it sits in."""
        copper = np.array(look.copper)
        base = np.array(_RESINS[rng.integers(len(_RESINS))], np.float64) * rng.uniform(0.65, 1.0)
        base *= copper.mean() / 165
        if look.kind == "grey":
            base = np.repeat(base.mean(), 3)
        if abs(base.mean() - copper.mean()) < 22:  # resin of the same brightness is a little duller
            base *= (copper.mean() - 25) / base.mean()
        red, green, blue = (float(value) for value in np.clip(base, 30, 240))
        knee = float(rng.choice((-1, 1)) * rng.uniform(0.1, 0.5))
        return Resin((red, green, blue), float(rng.uniform(0.02, 0.08)), knee, float(rng.uniform(0, 2 * np.pi)))


class Spot:
    """Pixels round one disc, in coordinates of its radius."""

    def __init__(self, shape: tuple[int, ...], x: float, y: float, radius: float) -> None:
        rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
        self.dx, self.dy = columns + np.float32(0.5 - x), rows + np.float32(0.5 - y)
        self.distance = np.hypot(self.dx, self.dy)
        self.radius = radius
        self.centre = np.array([x, y])
        self.shape = (shape[0], shape[1])

    def disc(self, radius: float) -> Field:
        """Antialiased disc round the same centre."""
        return np.asarray(np.clip(radius - self.distance + 0.5, 0, 1), np.float32)

    def ring(self, radius: float, width: float) -> Field:
        """Soft ring."""
        return np.asarray(np.exp(-(((self.distance - radius) / width) ** 2)), np.float32)

    def side(self, angle: float) -> Field:
        """-1 to 1 across the disc along a direction."""
        return np.asarray((self.dx * np.cos(angle) + self.dy * np.sin(angle)) / self.radius, np.float32)

    def fill(self, before: NDArray[np.float32], resin: Resin, rng: np.random.Generator) -> NDArray[np.float32]:
        """A sound plug: resin with fine grain, a trace of the grinding marks, a thin knee."""
        texture = 1 + resin.grain * (0.7 * smooth(self.shape, 0.8, rng) + 0.5 * smooth(self.shape, 3.0, rng))
        level = texture * float(rng.normal(1, 0.03))
        marks = before.mean(axis=2) / max(float(before.mean()), 1.0)
        colour = np.array(resin.colour, np.float32) * (level * (0.6 + 0.4 * marks))[:, :, None]
        after = before + self.disc(self.radius)[:, :, None] * (colour - before)
        knee = resin.knee * float(rng.uniform(0.6, 1.2)) * self.ring(self.radius + 0.8, 1.3)
        return np.asarray(after * (1 + knee[:, :, None]), np.float32)

    def damage(
        self,
        label: str,
        before: NDArray[np.float32],
        sound: NDArray[np.float32],
        resin: Resin,
        look: Look,
        rng: np.random.Generator,
    ) -> NDArray[np.float32]:
        """The plug with one defect; `before` is the copper without the plug."""
        after = {
            "missing_plug": self._missing,
            "underfill": self._underfill,
            "dimple": self._dimple,
            "void": self._void,
            "crack": self._crack,
            "knee_copper_loss": self._knee,
        }[label](sound, resin, look, rng)
        return np.asarray(after, np.float32)

    def _missing(
        self, sound: NDArray[np.float32], resin: Resin, look: Look, rng: np.random.Generator
    ) -> NDArray[np.float32]:
        lit = np.clip(self.side(resin.light), 0, 1) * np.clip((self.distance / self.radius - 0.6) / 0.4, 0, 1)
        wall = np.array(look.copper, np.float32) * (lit * float(rng.uniform(0.1, 0.6)))[:, :, None]
        dark = float(rng.uniform(4, 40)) * (1 + 0.15 * smooth(self.shape, 1.5, rng))[:, :, None] + wall
        return np.asarray(sound + self.disc(self.radius)[:, :, None] * (dark - sound), np.float32)

    def _underfill(
        self, sound: NDArray[np.float32], resin: Resin, look: Look, rng: np.random.Generator
    ) -> NDArray[np.float32]:
        dark = np.array(resin.colour, np.float32) * float(rng.uniform(0.08, 0.4))
        if rng.random() < 0.6:  # crescent: resin stands on one side only
            angle = rng.uniform(0, 2 * np.pi)
            wavy = 0.12 * smooth(self.shape, self.radius / 2 + 1, rng)
            edge = self.side(float(angle)) + wavy - float(rng.uniform(-0.2, 0.55))
            gone = np.clip(edge * self.radius / 2.5 + 0.5, 0, 1) * self.disc(self.radius - 0.5)
        else:  # sunken middle
            sink = outline(self.radius * 0.6, self.radius * float(rng.uniform(0.35, 0.6)), 0.25, rng)
            canvas = np.zeros(self.shape, np.uint8)
            fill(canvas, sink + self.centre)
            soft = blur(canvas.astype(np.float32) / np.float32(255), 1.8)
            gone = np.asarray(soft * self.disc(self.radius - 0.5), np.float64)
        return np.asarray(sound + (gone * float(rng.uniform(0.75, 1.0)))[:, :, None] * (dark - sound), np.float32)

    def _dimple(
        self, sound: NDArray[np.float32], resin: Resin, look: Look, rng: np.random.Generator
    ) -> NDArray[np.float32]:
        hollow = float(rng.uniform(0.6, 0.95)) * self.radius
        slope = (self.distance / hollow) * np.exp(-((self.distance / hollow) ** 4))
        angle = np.arctan2(self.dy, self.dx) - resin.light
        shading = -float(rng.uniform(0.35, 0.8)) * slope * np.cos(angle)
        shading -= float(rng.uniform(0.0, 0.25)) * np.exp(-((self.distance / hollow) ** 2))
        return np.asarray(sound * (1 + (shading * self.disc(self.radius))[:, :, None]), np.float32)

    def _void(
        self, sound: NDArray[np.float32], resin: Resin, look: Look, rng: np.random.Generator
    ) -> NDArray[np.float32]:
        after = sound
        bright = float(rng.uniform(0.0, 0.6))
        for _ in range(int(rng.choice((1, 1, 2, 3, 5)))):
            pit = max(self.radius * float(rng.uniform(0.12, 0.35)), 1.8)
            far, angle = (self.radius - pit - 1) * np.sqrt(rng.uniform(0, 0.9)), rng.uniform(0, 2 * np.pi)
            distance = np.hypot(self.dx - far * np.cos(angle), self.dy - far * np.sin(angle))
            hole = np.clip(pit - distance + 0.5, 0, 1)[:, :, None]
            rim = np.exp(-(((distance - pit - 0.6) / 0.9) ** 2))[:, :, None]
            dark = np.array(resin.colour, np.float32) * float(rng.uniform(0.1, 0.45))
            after = np.asarray(after + hole * (dark - after), np.float32)
            after = np.asarray(after + bright * rim * (235 - after), np.float32)
        return after

    def _crack(
        self, sound: NDArray[np.float32], resin: Resin, look: Look, rng: np.random.Generator
    ) -> NDArray[np.float32]:
        canvas = np.zeros(self.shape, np.uint8)
        if rng.random() < 0.55:  # across the disc
            path = curve(self.radius * float(rng.uniform(1.2, 2.1)), 0.7, rng)
            stroke(canvas, path + self.centre + rng.normal(0, 0.2 * self.radius, 2), int(rng.choice((1, 1, 2))))
        else:  # along the wall, resin pulled off the copper
            start, span = rng.uniform(0, 2 * np.pi), float(rng.uniform(0.7, 3.5))
            angle = np.linspace(start, start + span, 40)
            away = self.radius * 0.93 + rng.normal(0, 0.02 * self.radius, 40)
            arc = np.stack([away * np.cos(angle), away * np.sin(angle)], axis=1)
            stroke(canvas, arc + self.centre, int(rng.choice((1, 2))))
        line = canvas.astype(np.float32) / np.float32(255) * self.disc(self.radius + 1)
        return np.asarray(sound * (1 - (line * float(rng.uniform(0.55, 0.95)))[:, :, None]), np.float32)

    def _knee(
        self, sound: NDArray[np.float32], resin: Resin, look: Look, rng: np.random.Generator
    ) -> NDArray[np.float32]:
        laminate = np.array(look.laminate, np.float32) * float(rng.uniform(0.9, 2.2))
        wide = float(rng.uniform(2.5, max(0.35 * self.radius, 4.5)))
        span = float(rng.uniform(0.8, 3.3))  # half the angle; from pi on a closed ring
        angle = np.arctan2(self.dy, self.dx) - rng.uniform(-np.pi, np.pi)
        away = np.abs((angle + np.pi) % (2 * np.pi) - np.pi)
        depth = wide * np.clip((span - away) / 0.6, 0, 1) * (1 + 0.3 * smooth(self.shape, 4.0, rng))
        outside = self.distance - self.radius
        lost = np.clip(depth - outside + 0.5, 0, 1) * np.clip(outside + 0.5, 0, 1) * (depth > 0.5)
        grain = (1 + 0.08 * smooth(self.shape, 1.0, rng))[:, :, None]
        return np.asarray(sound + lost[:, :, None] * (laminate * grain - sound), np.float32)
