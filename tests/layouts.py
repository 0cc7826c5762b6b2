"""Export layouts as small ONNX graphs: three known boxes of eight classes each, whatever the picture shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

SLUGS = ("open", "short", "nick", "pinhole", "spur", "residual_copper", "scratch", "foreign_object")
TILE = 128
CELLS = 336  # of 8, 16 and 32 px over a tile
BOXES = np.array([[20, 20, 32, 30], [60, 40, 68, 52], [90, 90, 112, 120]], np.float32)
SCORES, LABELS = np.array([0.9, 0.8, 0.7], np.float32), np.array([0, 3, 5])
Arrays = dict[str, npt.NDArray[Any]]

NAMES = repr(dict(enumerate(SLUGS)))
JSON_NAMES = "{" + ", ".join(f'"{i}": "{slug}"' for i, slug in enumerate(SLUGS)) + "}"
ULTRALYTICS = {"task": "detect", "names": NAMES, "imgsz": f"[{TILE}, {TILE}]", "stride": "32"}


def graph(
    outputs: Arrays,
    metadata: Mapping[str, str] | None = None,
    shape: Sequence[int | str] = (1, 3, TILE, TILE),
    name: str = "images",
    kind: int = TensorProto.FLOAT,
    more_inputs: Mapping[str, tuple[int, Sequence[int | str]]] | None = None,
    batched: bool = True,
) -> bytes:
    """Return an ONNX file that gives `outputs` whatever it is fed; arrays without a batch, which is put in front.

    Not where `batched` is False: then the arrays are the outputs as they are.
    """
    axes = numpy_helper.from_array(np.array([1, 2, 3] if batched else [0, 1, 2, 3]), "axes")
    nodes = [
        helper.make_node("Cast", [name], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float", "axes"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),  # (B,), or one number
    ]
    constants, infos = [axes, numpy_helper.from_array(np.zeros((), np.float32), "zero")], []
    for key, array in outputs.items():
        rank = array.ndim
        constants.append(
            numpy_helper.from_array(
                array.astype(np.float32)[None] if batched else array.astype(np.float32), key + "_is"
            )
        )
        source = "nothing"
        if batched and rank:
            constants.append(numpy_helper.from_array(np.arange(1, rank + 1), key + "_axes"))
            nodes.append(helper.make_node("Unsqueeze", ["nothing", key + "_axes"], [key + "_nothing"]))
            source = key + "_nothing"
        nodes.append(helper.make_node("Add", [key + "_is", source], [key + "_float"]))
        onnx_type = helper.np_dtype_to_tensor_dtype(array.dtype)
        nodes.append(helper.make_node("Cast", [key + "_float"], [key], to=onnx_type))
        infos.append(helper.make_tensor_value_info(key, onnx_type, ([shape[0]] if batched else []) + list(array.shape)))
    inputs = [helper.make_tensor_value_info(name, kind, list(shape))]
    inputs += [helper.make_tensor_value_info(key, *value) for key, value in (more_inputs or {}).items()]
    made = helper.make_graph(nodes, "three boxes", inputs, infos, constants)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, dict(metadata or {}))
    return bytes(model.SerializeToString())


def centres(boxes: npt.NDArray[np.float32] = BOXES) -> npt.NDArray[np.float32]:
    return np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], axis=1)


def scores(classes: int = 8, labels: npt.NDArray[Any] = LABELS) -> npt.NDArray[np.float32]:
    table = np.zeros((3, classes), np.float32)
    table[range(3), labels] = SCORES
    return table


def rows(*parts: npt.NDArray[Any], count: int = CELLS, rest: float = 0.0) -> npt.NDArray[np.float32]:
    """The three, side by side, as the first of `count` rows; the others are `rest`."""
    known = np.concatenate([part.reshape(3, -1) for part in parts], axis=1).astype(np.float32)
    table = np.full((count, known.shape[1]), rest, np.float32)
    table[:3] = known
    return table


def v8(**changes: Any) -> bytes:  # noqa: ANN401 - the arguments of graph
    defaults: dict[str, Any] = {"outputs": {"output0": rows(centres(), scores()).T}, "metadata": ULTRALYTICS}
    return graph(**(defaults | changes))


def v5(anchors: int = 3, **changes: Any) -> bytes:  # noqa: ANN401
    """Objectness 1."""
    outputs = {"output0": rows(centres(), np.ones(3), scores(), count=anchors * CELLS)}
    defaults: dict[str, Any] = {"outputs": outputs, "metadata": {"names": NAMES, "stride": "32"}}
    return graph(**(defaults | changes))


def listed(first: int = 0, **changes: Any) -> bytes:  # noqa: ANN401
    outputs = {"output0": rows(BOXES, SCORES, LABELS + first, count=300)}
    defaults: dict[str, Any] = {"outputs": outputs, "metadata": ULTRALYTICS | {"end2end": "True"}}
    return graph(**(defaults | changes))


def own(more: Arrays | None = None) -> bytes:
    """This project's own layout, with further outputs behind the two."""
    outputs = {"boxes": rows(BOXES), "scores": rows(scores()), **(more or {})}
    told = {"slugs": "[" + ", ".join(f'"{slug}"' for slug in SLUGS) + "]"}
    return graph(outputs, told, shape=("B", TILE, TILE, 3), kind=TensorProto.UINT8)


def libre(family: str, outputs: Arrays, **changes: Any) -> bytes:  # noqa: ANN401
    told = {"libreyolo_version": "1.6.0", "model_family": family, "names": JSON_NAMES}
    return graph(outputs, told, **changes)


def queries(*names: str, classes: int = 8, shift: int = 0, rest: float = -8) -> Arrays:
    """Logits and shares of the picture, in the order of the names given; those of logits have `logit` or `label`.

    `rest`: the last class's logit in the queries that found nothing.
    """
    logits = np.full((300, classes), -8, np.float32)
    logits[3:, -1] = rest
    logits[range(3), LABELS + shift] = np.log(SCORES / (1 - SCORES))
    shares = rows(centres() / TILE, count=300, rest=0.5)
    return {name: logits if "logit" in name or "label" in name else shares for name in names}


def _ellipses() -> npt.NDArray[np.float32]:
    """(3, 32, 32): of each box the field of the ellipse in it, on a grid of 4 px."""
    y, x = (np.mgrid[:32, :32] + 0.5) * TILE / 32
    middle, half = (BOXES[:, :2] + BOXES[:, 2:]) / 2, (BOXES[:, 2:] - BOXES[:, :2]) / 2
    away = [((x - mx) / rx) ** 2 + ((y - my) / ry) ** 2 for (mx, my), (rx, ry) in zip(middle, half, strict=True)]
    field: npt.NDArray[np.float32] = np.clip(1 - np.array(away), -9, 1).astype(np.float32)
    return field


_MIX = np.linalg.qr(np.random.default_rng(5).normal(size=(32, 32)))[0]
"""Orthogonal: no field is a prototype, all are sums of all 32."""
PROTOTYPES = np.tensordot(_MIX[:, :3], _ellipses(), 1).astype(np.float32)
COEFFICIENTS = _MIX[:, :3].T.astype(np.float32)


def masks(table: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """With 32 coefficients behind each row; of the three, those of the ellipses in their boxes."""
    return np.concatenate([table, rows(COEFFICIENTS, count=len(table))], axis=1)


def half() -> bytes:
    """An export with half=True: float16 in and out."""
    return v8(outputs={"output0": rows(centres(), scores()).T.astype(np.float16)}, kind=TensorProto.FLOAT16)


def frozen() -> bytes:
    """A batch that is said to be open, and a reshape that holds it at 1."""
    model = onnx.load_from_string(v8(shape=("B", 3, TILE, TILE)))
    model.graph.node[-1].output[0] = "inner"
    model.graph.initializer.append(numpy_helper.from_array(np.array([1, 12, -1]), "one"))
    model.graph.node.append(helper.make_node("Reshape", ["inner", "one"], ["output0"]))
    return bytes(model.SerializeToString())


def plugin() -> bytes:
    """EfficientNMS as TensorRT's plugin, which no other runtime has."""
    model = onnx.load_from_string(v8())
    model.graph.node.append(helper.make_node("EfficientNMS_TRT", ["output0"], ["det_boxes"], domain="TRT"))
    model.opset_import.append(helper.make_opsetid("TRT", 1))
    model.graph.output.append(helper.make_tensor_value_info("det_boxes", TensorProto.FLOAT, None))
    return bytes(model.SerializeToString())


def external() -> bytes:
    model = onnx.load_from_string(v8())
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="best.onnx.data")
    return bytes(model.SerializeToString())
