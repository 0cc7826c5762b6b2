"""`pcb-aoi annotate`: run one model on image files without CVAT or nuclio, print what CVAT would get."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from pcb_aoi.config.settings import Settings
from pcb_aoi.engine import image, response
from pcb_aoi.engine.detector import Detector
from pcb_aoi.errors import FrameError, TooLarge


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `pcb-aoi annotate`."""
    parser.add_argument("function", type=Path, help="function folder, e.g. functions/inner-layer")
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE")
    parser.add_argument("--threshold", type=_between(0, 1), help="smallest score; default: as model.yaml says")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--um-per-px", type=_between(0.1, 1000), help="pixel pitch of the images; default: not scaled")


def _between(low: float, high: float) -> Callable[[str], float]:
    def number(text: str) -> float:
        value = float(text)
        if not low <= value <= high:  # NaN, too
            raise argparse.ArgumentTypeError(f"{text} is not in [{low:g}, {high:g}]")
        return value

    return number


def run(args: argparse.Namespace) -> int:
    """Print one JSON line an image: {"image", "shapes"}; progress goes to stderr. 1 if an image is unreadable."""
    settings = Settings(device=args.device, um_per_px=args.um_per_px)
    detector = Detector.load(args.function, settings)
    failed = 0
    for number, path in enumerate(args.images, 1):
        started = time.perf_counter()
        try:
            pixels = image.decode(path.read_bytes(), settings.max_megapixels).pixels
        except (OSError, FrameError, TooLarge) as error:
            print(f"[{number}/{len(args.images)}] {path}: {error}", file=sys.stderr)
            failed = 1
            continue
        result = detector.detect(pixels, args.threshold)
        height, width = pixels.shape[:2]
        shapes = response.shapes(result.detections, detector.config, height, width, result.contours)
        print(response.dumps({"image": str(path), "shapes": shapes}), flush=True)
        milliseconds = (time.perf_counter() - started) * 1e3
        print(
            f"[{number}/{len(args.images)}] {path}: {len(shapes)} 个缺陷 defects, {result.tiles} tiles, "
            f"{milliseconds:.0f} ms",
            file=sys.stderr,
        )
    return failed
