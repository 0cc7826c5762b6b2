"""Make the int8 twin of a function's weights, which takes half the time of a tile on processors with VNNI.

    python -m boards int8 inner-layer --boards runs/inner-layer-calibration --pool runs/inner-layer-test

ONNX Runtime's own tool quantises: statically, to QDQ, weights a channel, ranges by the extremes over the boards of
`--boards`. Convolutions and what feeds them become int8: the sums, resizings, poolings and concatenations between
them too, else every convolution would go to float32 and back. The first convolution and the last ones stay float32:
they cost little, and of the boxes that move, most are theirs. So do box arithmetic, sigmoid and calibration.

The twin is written beside the weights, and its SHA-256 into model.yaml, if on `--pool` mAP@0.5 falls by at most .002
and mAP@0.5:0.95 by at most .005. New weights need a new twin.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from pcb_aoi.config import model_edit, weights
from pcb_aoi.config.model_config import ModelConfig
from pcb_aoi.engine import tiles
from pcb_aoi.engine.choice import TWIN_OF
from training.data.store import listed, read_scene
from training.measure import metrics
from training.measure.examine import Examiner
from training.measure.runs import measure_all
from training.weights import model_file

UInt8 = npt.NDArray[np.uint8]

MAY_FALL = (0.002, 0.005)
"""mAP@0.5 and mAP@0.5:0.95."""
_KINDS = ("Conv", "Relu", "Add", "Resize", "MaxPool", "Concat")


class _Tiles(CalibrationDataReader):  # type: ignore[misc]
    """One tile (1, T, T, 3) at a time, from pictures."""

    def __init__(self, name: str, pictures: Iterator[UInt8]) -> None:
        self._name, self._pictures = name, pictures

    def get_next(self) -> dict[str, UInt8] | None:
        tile = next(self._pictures, None)
        return None if tile is None else {self._name: tile}


def quantised(model: onnx.ModelProto, pictures: Iterator[UInt8]) -> onnx.ModelProto:
    """Return the int8 twin of an exported net; `pictures` are uint8 (1, T, T, 3), from which the ranges are taken."""
    with tempfile.TemporaryDirectory() as name:
        source, target = Path(name) / "source.onnx", Path(name) / "target.onnx"
        quant_pre_process(model, str(source), skip_symbolic_shape=True)
        prepared = onnx.load(source)
        quantize_static(
            str(source),
            str(target),
            _Tiles(prepared.graph.input[0].name, pictures),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(_KINDS),
            nodes_to_quantize=sorted(inner_nodes(prepared)),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
        twin = onnx.load(target)
    onnx.helper.set_model_props(twin, model_file.metadata(model))
    return twin


def inner_nodes(model: onnx.ModelProto) -> set[str]:
    """Return the names of the nodes of _KINDS from which a convolution takes its input, but for the first and last."""
    made_by = {output: node for node in model.graph.node for output in node.output}

    def sources(node: onnx.NodeProto) -> dict[str, onnx.NodeProto]:
        """By name: the nodes of _KINDS on the way to this one."""
        found: dict[str, onnx.NodeProto] = {}
        todo = [made_by[name] for name in node.input if name in made_by]
        while todo:
            one = todo.pop()
            if one.name not in found and one.op_type in _KINDS:
                found[one.name] = one
                todo += [made_by[name] for name in one.input if name in made_by]
        return found

    before = {node.name: sources(node) for node in model.graph.node if node.op_type == "Conv"}
    first = {name for name, found in before.items() if not any(other in before for other in found)}
    return {name for found in before.values() for name in found} - first


def cut(paths: list[Path], config: ModelConfig) -> Iterator[UInt8]:
    """Yield every tile of stored scenes, uint8 (1, T, T, 3)."""
    for path in paths:
        image = read_scene(path).image
        grid = tiles.plan(image.shape[0], image.shape[1], config.tile, config.overlap)
        for _, tile in tiles.batches(image, grid, 1):
            yield tile


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of the command line."""
    parser.add_argument("function", help="folder under functions/, for example inner-layer")
    parser.add_argument("--boards", type=Path, required=True, help="scenes from which the ranges are taken")
    parser.add_argument("--count", type=int, default=60, help="of these scenes")
    parser.add_argument("--pool", type=Path, required=True, help="scenes to compare both on")


def run(args: argparse.Namespace) -> int:
    """Make, compare, and announce the twin; 1 where it is too far from its original."""
    folder = Path("functions") / args.function
    config = ModelConfig.load(folder / "model.yaml")
    original = weights.read(folder, config)
    paths = listed(args.boards)
    twin = quantised(onnx.load_from_string(original), cut(paths[:: max(1, len(paths) // args.count)], config))
    model_file.update_metadata(twin, **{TWIN_OF: str(config.sha256)})
    before, after = (accuracy(content, config, args.pool) for content in (original, twin.SerializeToString()))
    print("| weights | mAP@0.5 | mAP@0.5:0.95 |\n| --- | --- | --- |")
    for name, row in (("float32", before), ("int8", after)):
        print(f"| {name} | {row[0]:.4f} | {row[1]:.4f} |")
    if any(old - new > most for old, new, most in zip(before, after, MAY_FALL, strict=True)):
        print(f"not written: it may fall by {MAY_FALL[0]} and {MAY_FALL[1]}")
        return 1
    path = folder / weights.twin_name(config.weights)
    digest = model_file.save(twin, path)
    place = folder / "model.yaml"
    place.write_text(model_edit.put_optional(place.read_text("utf-8"), "int8", f'"{digest}"'), "utf-8")
    print(f"wrote {path} ({path.stat().st_size / 1e6:.1f} MB); model.yaml names it")
    return 0


def accuracy(content: bytes, config: ModelConfig, pool: Path) -> tuple[float, float]:
    """(mAP@0.5, mAP@0.5:0.95) of weights on stored scenes."""
    examiner = Examiner(content, config)
    measured = measure_all(partial(examiner.detect, threshold=config.threshold), map(read_scene, listed(pool)))
    precision = metrics.average_precision(measured.scenes, measured.results, len(config.slugs))
    return float(np.nanmean(precision[:, 0])), float(np.nanmean(precision))
