"""How copper looks on real tiles and on rendered boards: its grain at several scales, and its hue.

    python -m training texture acid-outer-layer

A renderer cannot be trusted by eye alone: the ranges of look.py follow what this prints of ../shared/data/real-tiles.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from training import rendered
from training.render.board import PROCESSES

SCALES_PX = (0.0, 1.0, 2.0, 4.0)  # blur before the grain is measured; 0: none
DRIFT_PX = 10.0  # slower changes are light, not grain
EDGE_PX = 6  # of the copper, left out: rim and optics
LEAST_PX = 800  # copper needed for a measurement
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def measure(image: NDArray[np.uint8]) -> NDArray[np.float32] | None:
    """float32 (6,): grain at SCALES_PX relative to the copper's brightness, then green / red and blue / green.

    image: uint8 (H, W) or (H, W, 3) RGB. Grain is 1.4826 x the median absolute deviation, so that defects and drill
    holes hardly count. None where too little copper shows.
    """
    colour = np.atleast_3d(image).astype(np.float32)
    grey = np.ascontiguousarray(colour.mean(axis=2))
    level, _ = cv2.threshold(grey.astype(np.uint8), 0, 255, cv2.THRESH_OTSU)
    size = 2 * EDGE_PX + 1
    copper = cv2.erode((grey > level).astype(np.uint8), np.ones((size, size), np.uint8)).astype(np.float32)
    inside = copper > 0
    if int(inside.sum()) < LEAST_PX:
        return None
    share = np.maximum(cv2.GaussianBlur(copper, (0, 0), DRIFT_PX), 1e-3)
    light = cv2.GaussianBlur(grey * copper, (0, 0), DRIFT_PX) / share
    values = []
    for scale in SCALES_PX:
        rest = ((cv2.GaussianBlur(grey, (0, 0), scale) if scale else grey) - light)[inside]
        values.append(1.4826 * float(np.median(np.abs(rest - np.median(rest)))) / float(grey[inside].mean()))
    mean = np.median(colour[inside], axis=0)
    red, green, blue = (float(value) for value in np.resize(mean, 3))
    return np.array([*values, green / max(red, 1.0), blue / max(green, 1.0)], np.float32)


def quantiles(images: Iterable[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """float32 (5, 6): QUANTILES of `measure` over the images that show copper; ValueError if none does."""
    rows = [row for row in map(measure, images) if row is not None]
    if not rows:
        raise ValueError("no picture shows enough copper to measure")
    return np.asarray(np.quantile(np.stack(rows), QUANTILES, axis=0), np.float32)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "function", choices=sorted(PROCESSES), help="whose boards are rendered, for example acid-outer-layer"
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of real-tiles/, artwork/")
    parser.add_argument("--count", type=int, default=40, help="boards rendered of each split")


def run(args: argparse.Namespace) -> int:
    paths = sorted((args.data / "real-tiles" / "images").glob("*.png"))
    if not paths:
        raise SystemExit(f"no real tiles in {args.data / 'real-tiles' / 'images'}")
    tiles = [np.asarray(cv2.imread(str(path)), np.uint8)[:, :, ::-1] for path in paths]
    sets = {"real tiles": tiles}
    for split in ("train", "test"):
        scenes = (rendered.render_tile(args.function, args.data, split, 1, number) for number in range(args.count))
        sets[f"rendered, {split}"] = [scene.image if scene.clean is None else scene.clean for scene in scenes]
    print(f"| boards | quantile | {' | '.join(f'grain at {scale:g} px' for scale in SCALES_PX)} | G / R | B / G |")
    print("| --- | --- " + "| ---: " * (len(SCALES_PX) + 2) + "|")
    for name, images in sets.items():
        for share, row in zip(QUANTILES, quantiles(images), strict=True):
            print(f"| {name} | {share:.2f} | {' | '.join(f'{value:.3f}' for value in row)} |")
    return 0
