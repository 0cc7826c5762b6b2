"""Draw what a function's weights find on a folder of pictures, so that a person can judge it.

    python -m boards look acid-outer-layer --images PICTURES --out out/look

Runs the function folder as in production: model.yaml, tiles, and the scale that `--um-per-px` asks for. Writes every
picture with its boxes, and all of them on one sheet, contact.png. There is no score: for pictures without truth.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pcb_aoi.config.settings import Settings
from pcb_aoi.engine import image as images
from pcb_aoi.engine.detections import Detections
from pcb_aoi.engine.detector import Detector

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
SMALLEST_VIEW = 640  # px: smaller pictures are enlarged, or labels would cover them
CELL = 360  # px of a picture on the sheet
COLOURS = ("#ff4d4d", "#ffd23f", "#3fd0ff", "#7dff6b", "#ff8ad8", "#ffa04d", "#b79bff", "#4dffd2", "#ffffff")


def draw(pixels: np.ndarray, found: Detections, slugs: tuple[str, ...]) -> Image.Image:
    """The picture, uint8 (H, W) or (H, W, 3), with a box, slug and score for every detection."""
    view = Image.fromarray(pixels).convert("RGB")
    zoom = max(1, round(SMALLEST_VIEW / max(view.size)))
    view = view.resize((view.width * zoom, view.height * zoom), Image.Resampling.NEAREST)
    pen, font = ImageDraw.Draw(view), ImageFont.load_default(size=13)
    # Best last: it lies on top.
    for box, score, label in reversed(list(zip(found.boxes, found.scores, found.labels, strict=True))):
        x1, y1, x2, y2 = (float(edge) * zoom for edge in box)
        colour = COLOURS[int(label) % len(COLOURS)]
        pen.rectangle((x1, y1, x2, y2), outline=colour, width=2)
        text = f"{slugs[int(label)]} {score:.2f}"
        _, _, right, bottom = pen.textbbox((0, 0), text, font=font)
        x = max(0.0, min(x1, view.width - right - 2))
        y = y1 - bottom - 2 if y1 > bottom + 2 else y2 + 1
        pen.rectangle((x, y, x + right + 2, y + bottom + 1), fill="#000000")
        pen.text((x + 1, y), text, fill=colour, font=font)
    return view


def sheet(views: list[tuple[str, Image.Image]]) -> Image.Image:
    """All pictures in rows, each with its name."""
    columns = math.ceil(math.sqrt(len(views)))
    page = Image.new("RGB", (columns * CELL, -(-len(views) // columns) * (CELL + 16)), "#202020")
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(size=11)
    for number, (name, view) in enumerate(views):
        x, y = number % columns * CELL, number // columns * (CELL + 16)
        small = view.copy()
        small.thumbnail((CELL - 4, CELL - 4))
        page.paste(small, (x + 2, y + 16))
        pen.text((x + 4, y + 1), name[-52:], fill="#ffffff", font=font)
    return page


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("function", help="folder under functions/, for example acid-outer-layer")
    parser.add_argument("--images", type=Path, required=True, help="folder of pictures")
    parser.add_argument("--out", type=Path, required=True, help="where the drawn pictures go")
    parser.add_argument("--threshold", type=float, help="smallest score shown (default: as in model.yaml)")
    parser.add_argument("--um-per-px", type=float, help="pixel pitch of the pictures; without it nothing is scaled")


def run(args: argparse.Namespace) -> int:
    paths = sorted(path for path in args.images.iterdir() if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise SystemExit(f"no pictures in {args.images}: looked for {', '.join(SUFFIXES)}")
    if args.out.resolve() == args.images.resolve():
        raise SystemExit("--out must be another folder than --images: the pictures would be overwritten")
    settings = Settings(um_per_px=args.um_per_px)
    detector = Detector.load(Path("functions") / args.function, settings)
    args.out.mkdir(parents=True, exist_ok=True)
    counts = np.zeros(len(detector.config.slugs), np.int64)
    views: list[tuple[str, Image.Image]] = []
    for path in paths:
        pixels = images.decode(path.read_bytes(), settings.max_megapixels).pixels
        found = detector.detect(pixels, args.threshold).detections
        counts += np.bincount(found.labels, minlength=len(counts))
        view = draw(pixels, found, detector.config.slugs)
        view.save(args.out / f"{path.stem}.png")
        views.append((f"{path.stem}: {len(found)}", view))
    sheet(views).save(args.out / "contact.png")
    print(f"{len(paths)} pictures, {counts.sum()} detections; all of them on {args.out / 'contact.png'}")
    for slug, count in zip(detector.config.slugs, counts.tolist(), strict=True):
        print(f"{slug:20} {count}")
    return 0
