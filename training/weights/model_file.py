"""The exported weights as a file: reading and moving their calibration, hashing, announcing them in model.yaml.

Needs onnx, not torch: the calibration of a shipped model.onnx can be moved without the checkpoint it came from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from pcb_aoi.config import model_edit
from pcb_aoi.errors import ConfigError, PcbAoiError

WEIGHTS = "detector."  # what the names of the net's own tensors begin with
# The graph ends in sigmoid(logits * slope + offset), one number per label each.
SLOPE, OFFSET = "calibration_slope", "calibration_offset"
Vector = NDArray[np.float32]


class ModelFileError(PcbAoiError):
    """An ONNX file that was not written by `python -m boards export`."""


def find(model: onnx.ModelProto, name: str) -> onnx.TensorProto:
    """The initializer called `name`."""
    for tensor in model.graph.initializer:
        if tensor.name == name:
            return tensor
    raise ModelFileError(f"the graph has no initializer {name!r}: was it written by `python -m boards export`?")


def read_calibration(model: onnx.ModelProto) -> tuple[Vector, Vector]:
    """(slope, offset), float32 (C,) each."""
    slope, offset = (numpy_helper.to_array(find(model, name)) for name in (SLOPE, OFFSET))
    return slope.astype(np.float32), offset.astype(np.float32)


def write_calibration(model: onnx.ModelProto, slope: Vector, offset: Vector) -> None:
    """Replace slope and offset, float32 (C,) each, in place."""
    for name, values in ((SLOPE, slope), (OFFSET, offset)):
        tensor = find(model, name)
        if list(tensor.dims) != list(values.shape):
            raise ModelFileError(f"{name} has shape {list(tensor.dims)}, not {list(values.shape)}")
        tensor.CopyFrom(numpy_helper.from_array(np.asarray(values, np.float32), name))


def read_weights(model: onnx.ModelProto) -> dict[str, NDArray[np.float32]]:
    """The net's tensors by their names in the graph, without WEIGHTS; batch norms are folded into them."""
    values = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:  # of tensors of equal content the exporter keeps one and lets others point to it
        if node.op_type == "Identity" and node.input[0] in values:
            values[node.output[0]] = values[node.input[0]]
    return {
        name.removeprefix(WEIGHTS): numpy_helper.to_array(tensor).copy()
        for name, tensor in values.items()
        if name.startswith(WEIGHTS)
    }


def write_weights(model: onnx.ModelProto, weights: Mapping[str, NDArray[np.float32]]) -> None:
    """Replace the net's tensors, all of them, in place; names and shapes as from `read_weights`."""
    names = {WEIGHTS + name for name in weights}
    others = [tensor for tensor in model.graph.initializer if tensor.name not in names]
    own = [numpy_helper.from_array(value, WEIGHTS + name) for name, value in weights.items()]
    nodes = [node for node in model.graph.node if node.op_type != "Identity" or node.output[0] not in names]
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend([*others, *own])
    model.graph.node.extend(nodes)


def update_metadata(model: onnx.ModelProto, **entries: str) -> None:
    """Set some of metadata_props, in place; the others stay."""
    onnx.helper.set_model_props(model, metadata(model) | entries)


def metadata(model: onnx.ModelProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in model.metadata_props}


def slugs(model: onnx.ModelProto) -> list[str]:
    """The labels the weights were trained for, in output order."""
    try:
        return [str(slug) for slug in json.loads(metadata(model)["slugs"])]
    except KeyError:
        raise ModelFileError("metadata_props has no 'slugs'") from None


def save(model: onnx.ModelProto, path: Path) -> str:
    """Check and write the model; returns its SHA-256. A half-written file never takes the old one's place."""
    onnx.checker.check_model(model, full_check=True)
    content = model.SerializeToString()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_bytes(content)
    temporary.replace(path)
    return hashlib.sha256(content).hexdigest()


def announce(path: Path, digest: str, version: str) -> bool:
    """Write digest and version into the model.yaml beside the weights; False where there is none that names them.

    Raises:
        ModelFileError: the model.yaml has no place for them.
    """
    config = path.parent / "model.yaml"
    if not config.is_file():
        return False
    text = config.read_text("utf-8")
    try:
        if model_edit.value(text, "weights") != path.name:
            return False  # other weights are chosen: these lie beside them
        text = model_edit.put(text, {"sha256": f'"{digest}"', "version": version})
        text = model_edit.put_optional(text, "int8", None)  # the twin of the weights before
    except ConfigError as error:
        raise ModelFileError(f"{config}: {error}") from None
    config.write_text(text, "utf-8")
    return True
