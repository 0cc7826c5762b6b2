"""Write a checkpoint as model.onnx, with names and provenance in its metadata.

    python -m boards export inner-layer --checkpoint runs/inner/checkpoint.pt

Calibration starts neutral; run `python -m boards calibrate` next, on images kept aside.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import onnx
import torch

from pcb_aoi.config.model_config import ModelConfig
from training.weights import function_versions, model_file
from training.weights.export import load_detector, to_onnx


def provenance(checkpoint: Path) -> str:
    """What the weights learnt from, and what those they started from had."""
    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
    before = [sentence for sentence in saved["before"] if sentence not in saved["learnt"]]
    return " ".join([*saved["learnt"], *(f"Before that: {sentence}" for sentence in before)])


def joined(checkpoint: Path, slugs: list[str]) -> list[str]:
    """The labels learnt in pieces (pieces.py), which the engine joins."""
    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
    return [slug for slug in saved.get("joined", []) if slug in slugs]


def bright_copper(checkpoint: Path) -> bool:
    """Whether the weights have learnt copper as the bright side of every picture (pcb_aoi/engine/polarity.py)."""
    return bool(torch.load(checkpoint, map_location="cpu", weights_only=True).get("bright_copper", False))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of the command line."""
    parser.add_argument("function", help="folder under functions/, for example inner-layer")
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--out", type=Path, help="default: functions/FUNCTION/model.onnx")
    parser.add_argument("--version", help="written into the weights and into model.yaml (default: the next)")


def run(args: argparse.Namespace) -> int:
    """Export, and say where it lies; 0. Labels, tile and pitch are those of the function's model.yaml."""
    folder = Path("functions") / args.function
    config = ModelConfig.load(folder / "model.yaml")
    detector, slugs = load_detector(args.checkpoint)
    if tuple(slugs) != config.slugs:
        raise SystemExit(f"{args.checkpoint} was trained for {slugs}, {args.function} has {list(config.slugs)}")
    version = args.version or function_versions.next_version(folder)
    model = to_onnx(detector, len(slugs))
    details = {
        "model": args.function,
        "version": version,
        "slugs": json.dumps(slugs),
        "tile": str(config.tile),
        "um_per_px": str(config.pitch.native),
        "provenance": provenance(args.checkpoint),
        "joined": json.dumps(joined(args.checkpoint, slugs)),
    }
    if bright_copper(args.checkpoint):
        details["copper"] = "bright"
    onnx.helper.set_model_props(model, details)
    path = args.out or folder / "model.onnx"
    digest = model_file.save(model, path)
    told = model_file.announce(path, digest, version)
    print(f"wrote {path} ({path.stat().st_size / 1e6:.1f} MB)\nsha256 {digest}")
    print("model.yaml updated" if told else "no model.yaml beside it: write the sha256 there yourself")
    return 0
