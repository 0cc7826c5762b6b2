"""Average the weights of checkpoints, one of which was trained further from another.

    python -m training soup --out runs/soup.pt runs/fifth/checkpoint.pt=3 runs/fourth/checkpoint.pt=1

Such weights lie in one basin, and their mean often does better on boards that neither has seen than both (model soups:
Wortsman et al., ICML 2022). Which shares are best is for the calibration images to say.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch

Share = tuple[Path, float]


def parse(text: str) -> Share:
    """`PATH=SHARE` or `PATH`, with a share of 1."""
    path, _, share = text.rpartition("=")
    try:
        return (Path(path), float(share)) if path else (Path(text), 1.0)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: expected CHECKPOINT=SHARE, for example a.pt=3") from None


def average(parts: list[Share]) -> dict[str, Any]:
    """A checkpoint with the mean of the averaged weights; it has learnt what all of them have.

    Raises:
        ValueError: the checkpoints have other labels, or the shares no positive sum.
    """
    total = sum(share for _, share in parts)
    if total <= 0 or any(share < 0 for _, share in parts):
        raise ValueError("shares must be positive")
    saved = [torch.load(path, map_location="cpu", weights_only=True) for path, _ in parts]
    first = saved[0]
    shared = [(one, share) for one, (_, share) in zip(saved, parts, strict=True)]
    # A label that some learnt in pieces and some did not means two things: its outputs are the first one's.
    alone = [row for row, slug in enumerate(first["slugs"]) if len({slug in one["joined"] for one in saved}) > 1]
    if any(other["slugs"] != first["slugs"] for other in saved):
        raise ValueError("the checkpoints have different labels")
    if len({one.get("bright_copper", False) for one in saved}) > 1:
        raise ValueError("to some of the checkpoints copper is bright, to others as the picture has it")
    mean = {}
    for name, value in first["average"].items():
        mean[name] = value.clone()
        if value.dtype.is_floating_point:
            mean[name] = torch.stack([one["average"][name] * share / total for one, share in shared]).sum(0)
        if ".labels." in name:
            mean[name][alone] = value[alone]
    sentences = list(dict.fromkeys(sentence for one in saved for sentence in one["learnt"]))
    before = list(dict.fromkeys(sentence for one in saved for sentence in one["before"]))
    kept = {key: first[key] for key in ("slugs", "joined", "bright_copper") if key in first}
    return {"average": mean, **kept, "learnt": sentences, "before": before}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("parts", type=parse, nargs="+", metavar="CHECKPOINT=SHARE")
    parser.add_argument("--out", type=Path, required=True)


def run(args: argparse.Namespace) -> int:
    try:
        torch.save(average(args.parts), args.out)
    except ValueError as error:
        raise SystemExit(str(error)) from None
    print(f"wrote {args.out}; next: python -m training export FUNCTION --checkpoint {args.out}")
    return 0
