"""A detector of which everything is known: an ONNX graph that finds solid bright rectangles, exactly.

For every eighth pixel the graph tells the run of bright pixels to its left, right, top and bottom (a running maximum
of the positions of dark pixels, as MaxPool over the whole tile), which for a solid rectangle is its box. A rectangle
cut by the tile's border comes back cut, as a real detector would. Two classes: 0 `bright` with the score R / 255,
and 1 `blue` (R dark) with the score B / 255.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

TILE = 64
STRIDE = 8
SLUGS = ("bright", "blue")

MAIN = (Path(__file__).resolve().parents[1] / "functions" / "inner-layer" / "main.py").read_text("utf-8")

MODEL_YAML = """\
model: analytic
version: 1.2.3
weights: model.onnx
sha256: {sha256}
head: pcb
tile: {tile}
overlap: {overlap}
um_per_px: {{native: 10, min: 6, max: 20}}
threshold: 0.5
language: zh
score: true
labels:
  - {{slug: bright, zh: 亮, en: Bright, type: {bright}}}
  - {{slug: blue, zh: 蓝, en: Blue}}
"""


def f32(values: object) -> npt.NDArray[np.float32]:
    """Array literals that type checkers understand."""
    return np.asarray(values, np.float32)


def i32(values: object) -> npt.NDArray[np.int32]:
    return np.asarray(values, np.int32)


def i64(values: object) -> npt.NDArray[np.int64]:
    return np.asarray(values, np.int64)


def model(
    tile: int = TILE,
    zoom: int = 1,
    stride: int = STRIDE,
    joined: tuple[str, ...] = (),
    metadata: Mapping[str, str] | None = None,
    masks: bool = False,
) -> bytes:
    """Return the ONNX file; input uint8 (B, tile, tile, 3), outputs boxes (B, N, 4) and scores (B, N, 2).

    With `masks` also coefficients (B, N, 1), all 1, and prototypes (B, 1, tile / 4, tile / 4): how bright it is there.

    With `zoom`, only every zoom-th pixel is looked at, and boxes are rounded to that grid: for boards of thousands of
    tiles. `stride` then counts in such pixels. `joined`: labels that are said to come in pieces; `metadata`: what
    else the file says.
    """
    tile, side = tile // zoom, tile
    position = np.arange(tile, dtype=np.float32)
    constants: dict[str, Any] = {
        "channel_r": i64([0]),
        "channel_b": i64([2]),
        "half": np.float32(127.5),
        "white": np.float32(255),
        "one": np.float32(1),
        "after": np.broadcast_to(position + 1, (1, 1, tile, tile)).copy(),  # x of the pixel's right edge
        "before": np.broadcast_to(tile - position, (1, 1, tile, tile)).copy(),
        "size": np.float32(tile),
        "starts": i64([stride // 2, stride // 2]),
        "ends": i64([side, side]),
        "axes": i64([2, 3]),
        "steps": i64([stride, stride]),
        "zoom": np.float32(zoom),
        "zoom_starts": i64([zoom // 2, zoom // 2]),
        "zoom_axes": i64([1, 2]),
        "zoom_steps": i64([zoom, zoom]),
    }
    constants["after_y"] = constants["after"].transpose(0, 1, 3, 2).copy()
    constants["before_y"] = constants["before"].transpose(0, 1, 3, 2).copy()
    nodes = [
        helper.make_node("Slice", ["images", "zoom_starts", "ends", "zoom_axes", "zoom_steps"], ["looked_at"]),
        helper.make_node("Cast", ["looked_at"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["f"], ["chw"], perm=[0, 3, 1, 2]),
        helper.make_node("Gather", ["chw", "channel_r"], ["r"], axis=1),
        helper.make_node("Gather", ["chw", "channel_b"], ["b"], axis=1),
        helper.make_node("Max", ["r", "b"], ["value"]),
        helper.make_node("Less", ["value", "half"], ["dark_"]),
        helper.make_node("Cast", ["dark_"], ["dark"], to=TensorProto.FLOAT),
    ]
    # Last dark pixel before (pads on the near side) and first one after, per axis; 0 = none: the tile's border.
    runs = {
        "x1": ("after", [1, tile], [0, tile - 1, 0, 0]),
        "y1": ("after_y", [tile, 1], [tile - 1, 0, 0, 0]),
        "x2": ("before", [1, tile], [0, 0, 0, tile - 1]),
        "y2": ("before_y", [tile, 1], [0, 0, tile - 1, 0]),
    }
    for name, (weight, kernel, pads) in runs.items():
        nodes += [
            helper.make_node("Mul", ["dark", weight], [f"{name}_w"]),
            helper.make_node("MaxPool", [f"{name}_w"], [f"{name}_m"], kernel_shape=kernel, pads=pads),
        ]
    for name in ("x2", "y2"):
        nodes.append(helper.make_node("Sub", ["size", f"{name}_m"], [f"{name}_r"]))
    nodes += [
        helper.make_node("Concat", ["x1_m", "y1_m", "x2_r", "y2_r"], ["small"], axis=1),
        helper.make_node("Mul", ["small", "zoom"], ["ltrb"]),
        helper.make_node("Div", ["r", "white"], ["score_r"]),
        helper.make_node("Less", ["r", "half"], ["r_dark_"]),
        helper.make_node("Cast", ["r_dark_"], ["r_dark"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["b", "white"], ["score_b"]),
        helper.make_node("Mul", ["score_b", "r_dark"], ["score_blue"]),
        helper.make_node("Sub", ["one", "dark"], ["lit"]),
        helper.make_node("Concat", ["score_r", "score_blue"], ["both"], axis=1),
        helper.make_node("Mul", ["both", "lit"], ["score_map"]),
    ]
    for name, source in (("boxes", "ltrb"), ("scores", "score_map")):
        nodes += [
            helper.make_node("Slice", [source, "starts", "ends", "axes", "steps"], [f"{name}_s"]),
            helper.make_node("Transpose", [f"{name}_s"], [f"{name}_t"], perm=[0, 2, 3, 1]),
            helper.make_node("Reshape", [f"{name}_t", f"{name}_shape"], [name]),
        ]
    constants["boxes_shape"], constants["scores_shape"] = i64([0, -1, 4]), i64([0, -1, 2])
    outputs = [
        helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["B", "N", 4]),
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["B", "N", 2]),
    ]
    if masks:
        constants |= {"zero": np.float32(0), "first": i64([0]), "last": i64([1]), "axis": i64([2])}
        nodes += [
            helper.make_node("Slice", ["boxes", "first", "last", "axis"], ["left"]),
            helper.make_node("Mul", ["left", "zero"], ["nothing"]),
            helper.make_node("Add", ["nothing", "one"], ["coefficients"]),
            helper.make_node("Sub", ["value", "half"], ["brighter"]),
            helper.make_node("AveragePool", ["brighter"], ["prototypes"], kernel_shape=[4, 4], strides=[4, 4]),
        ]
        outputs += [
            helper.make_tensor_value_info("coefficients", TensorProto.FLOAT, ["B", "N", 1]),
            helper.make_tensor_value_info("prototypes", TensorProto.FLOAT, ["B", 1, tile // 4, tile // 4]),
        ]
    # Reshape's 0 keeps B; height and width fold into -1.
    graph = helper.make_graph(
        nodes,
        "bright rectangles",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["B", side, side, 3])],
        outputs,
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(proto, {"slugs": json.dumps(SLUGS), "joined": json.dumps(joined), **(metadata or {})})
    onnx.checker.check_model(proto)
    return bytes(proto.SerializeToString())


def write_function(
    folder: Path, weights: bytes | None = None, tile: int = TILE, overlap: int = 16, bright: str = "rectangle"
) -> Path:
    """Make a function folder (main.py, model.yaml, model.onnx) and return it; `bright`: that label's type."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = model(tile) if weights is None else weights
    (folder / "model.onnx").write_bytes(weights)
    sha256 = hashlib.sha256(weights).hexdigest()
    (folder / "model.yaml").write_text(
        MODEL_YAML.format(sha256=sha256, tile=tile, overlap=overlap, bright=bright), "utf-8"
    )
    (folder / "main.py").write_text(MAIN, "utf-8")
    return folder


def board(height: int, width: int, boxes: list[tuple[int, int, int, int]], value: int = 255) -> npt.NDArray[np.uint8]:
    """Return a dark grey board uint8 (H, W) with solid rectangles."""
    image = np.full((height, width), 40, np.uint8)
    for x1, y1, x2, y2 in boxes:
        image[y1:y2, x1:x2] = value
    return image
