"""What can be had without learning: Otsu's threshold, morphology, connected components, and rules that name them.

    python -m training baseline inner-layer                              # real: the DeepPCB test groups
    python -m training baseline acid-outer-layer --pool runs/test        # rendered: a pool of `--split test`

Scored as the nets are, on the same images: a rendered test that these rules pass would be too easy to say anything
about a net. Three detectors: etched copper (etch.py), plugged holes (plugs.py), finished boards (finish.py). Their
thresholds were set by eye on tiles of the training split.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

from training import evaluate, predict, recipes
from training.baseline import etch, finish, plugs
from training.baseline.blobs import Call, detections
from training.scene import Image

FINDERS: dict[str, Callable[[Image], list[Call]]] = {
    "inner-layer": etch.inner_layer,
    "acid-outer-layer": etch.acid_outer_layer,
    "alkaline-outer-layer": etch.alkaline_outer_layer,
    "resin-plug": plugs.find,
    "gold-osp": finish.find,
}
# Annotators leave this much round a defect; on DeepPCB a lot.
MARGINS_PX = {"inner-layer": 10, "acid-outer-layer": 5, "alkaline-outer-layer": 5, "resin-plug": 4, "gold-osp": 3}


def detect(function: str, slugs: list[str], image: Image) -> predict.Detections:
    """All calls on one image (H, W) or (H, W, 3), best first."""
    return detections(FINDERS[function](image), slugs, image.shape[:2], MARGINS_PX[function])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    evaluate.add_data_arguments(parser)


def run(args: argparse.Namespace) -> int:
    slugs = recipes.get(args.function).slugs
    scenes = evaluate.load_scenes(args, slugs)
    evaluate.report(args, scenes, lambda image: detect(args.function, slugs, image), slugs, "the classical baseline")
    return 0
