"""Average the weights of files by `export`, each trained further from one of the others or from a common start.

    python -m boards soup --out runs/mean.onnx functions/gold-osp/model.onnx=1 runs/a.onnx=1 runs/b.onnx=1

Such weights lie in one basin, and their mean often does better on boards that none has seen than any of them (model
soups: Wortsman et al., ICML 2022). Which shares are best is for the calibration images to say. Calibration and the rest
of the metadata are the first file's; `calibrate` comes next. Needs onnx, not torch.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx

from training.weights import function_versions, model_file
from training.weights.model_file import ModelFileError

Share = tuple[Path, float]
BEFORE = " Before that: "  # between the sentences of `export.provenance`


def parse(text: str) -> Share:
    """`PATH=SHARE` or `PATH`, with a share of 1."""
    path, _, share = text.rpartition("=")
    try:
        return (Path(path), float(share)) if path else (Path(text), 1.0)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: expected MODEL.ONNX=SHARE, for example a.onnx=3") from None


def average(parts: Sequence[Share]) -> onnx.ModelProto:
    """The first file with the mean of all weights; it has learnt what all of them have.

    Raises:
        ModelFileError: the files are of different nets, labels or polarity, or the shares have no positive sum.
    """
    total = sum(share for _, share in parts)
    if total <= 0 or any(share < 0 for _, share in parts):
        raise ModelFileError("shares must be positive")
    models = [onnx.load(path) for path, _ in parts]
    first = models[0]
    slugs = model_file.slugs(first)
    if any(model_file.slugs(model) != slugs for model in models):
        raise ModelFileError("the files have different labels")
    metadata = [model_file.metadata(model) for model in models]
    if len({one.get("copper") for one in metadata}) > 1:
        raise ModelFileError("to some of the files copper is bright, to others as the picture has it")
    weights = [model_file.read_weights(model) for model in models]
    shapes = [{name: value.shape for name, value in one.items()} for one in weights]
    if not shapes[0] or any(one != shapes[0] for one in shapes):
        raise ModelFileError("the files hold different nets")
    # A label that some learnt in pieces and some did not means two things: its outputs are the first one's.
    in_pieces = [set(json.loads(one.get("joined", "[]"))) for one in metadata]
    alone = [row for row, slug in enumerate(slugs) if len({slug in one for one in in_pieces}) > 1]
    mean = {}
    for name, value in weights[0].items():
        summed = sum(
            one[name].astype(np.float64) * (share / total) for one, (_, share) in zip(weights, parts, strict=True)
        )
        mean[name] = np.asarray(summed, np.float32)
        if ".labels." in name:
            mean[name][alone] = value[alone]
    model_file.write_weights(first, mean)
    newest = max((one.get("version", "") for one in metadata), key=function_versions.numbers)
    learnt = provenance([one.get("provenance", "not known.") for one in metadata])
    model_file.update_metadata(first, provenance=learnt, version=newest)
    return first


def provenance(texts: Sequence[str]) -> str:
    """What all of them learnt from, each sentence once, and then what those they started from had."""
    sentences = [text.split(BEFORE) for text in texts]
    learnt = dict.fromkeys(now for now, *_ in sentences)
    before = dict.fromkeys(earlier for _, *rest in sentences for earlier in rest if earlier not in learnt)
    return BEFORE.join([" ".join(learnt), *before])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of the command line."""
    parser.add_argument("parts", type=parse, nargs="+", metavar="MODEL.ONNX=SHARE")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--version", help="of the mean (default: the newest of the files')")


def run(args: argparse.Namespace) -> int:
    """Average, and write the file; 0."""
    try:
        model = average(args.parts)
    except ModelFileError as error:
        raise SystemExit(str(error)) from None
    if args.version:
        model_file.update_metadata(model, version=args.version)
    digest = model_file.save(model, args.out)
    model_file.announce(args.out, digest, model_file.metadata(model).get("version", ""))
    print(f"wrote {args.out}; next: python -m boards calibrate FUNCTION --model {args.out} --pool ...")
    return 0
