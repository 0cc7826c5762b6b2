"""What a shipped net costs on a tile: its size, its FLOPs, and its time beside plain convolutions of as many."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from speed.pipeline import in_turns

CHANNELS = 64
SIDE = 80  # of the feature maps of the stack: a tile at stride 8


@dataclass(frozen=True)
class Cost:
    """Medians in seconds; FLOPs count a multiplication and an addition as two."""

    parameters: int
    flops: int
    net: float
    stack: float

    @property
    def ratio(self) -> float:
        return self.net / self.stack


def parameters(model: onnx.ModelProto) -> int:
    """Numbers in the initializers and constants of floating point."""
    tensors = list(model.graph.initializer)
    tensors += [
        a.t for node in model.graph.node if node.op_type == "Constant" for a in node.attribute if a.name == "value"
    ]
    return sum(int(np.prod(tensor.dims)) for tensor in tensors if tensor.data_type == TensorProto.FLOAT)


def flops(model: onnx.ModelProto, *size: int) -> int:
    """FLOPs of all convolutions and matrix products on one input of that size, (1, side, side, 3) for a tile."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    for dimension, length in zip(fixed.graph.input[0].type.tensor_type.shape.dim, size, strict=True):
        dimension.dim_value = length
    graph = onnx.shape_inference.infer_shapes(fixed, strict_mode=True, data_prop=True).graph
    known = [*graph.value_info, *graph.input, *graph.output]
    shapes = {value.name: [d.dim_value for d in value.type.tensor_type.shape.dim] for value in known}
    shapes |= {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    total = 0
    for node in graph.node:
        if node.op_type == "Conv":
            total += 2 * int(np.prod(shapes[node.output[0]])) * int(np.prod(shapes[node.input[1]][1:]))
        elif node.op_type in ("MatMul", "Gemm"):
            total += 2 * int(np.prod(shapes[node.output[0]])) * shapes[node.input[0]][-1]
    return total


def stack(layers: int) -> onnx.ModelProto:
    """Plain 3x3 convolutions of 64 channels with ReLU, on float32 (1, 64, 80, 80)."""
    rng = np.random.default_rng(0)
    scale = (2 / (9 * CHANNELS)) ** 0.5  # keeps activations from vanishing: denormal numbers are slow
    nodes, weights = [], []
    for layer in range(layers):
        values = (rng.standard_normal((CHANNELS, CHANNELS, 3, 3)) * scale).astype(np.float32)
        weights.append(numpy_helper.from_array(values, f"w{layer}"))
        source = f"y{layer - 1}" if layer else "x"
        nodes.append(helper.make_node("Conv", [source, f"w{layer}"], [f"c{layer}"], pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [f"c{layer}"], [f"y{layer}"]))
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, CHANNELS, SIDE, SIDE])
    y = helper.make_tensor_value_info(f"y{layers - 1}", TensorProto.FLOAT, [1, CHANNELS, SIDE, SIDE])
    graph = helper.make_graph(nodes, "stack", [x], [y], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def measure(path: Path, side: int = 640, rounds: int = 9) -> Cost:
    """Time the net and the stack in turns on one thread each.

    One thread: on more, both wait for each other's, and for other programs'.
    """
    model = onnx.load(path)
    wanted = flops(model, 1, side, side, 3)
    per_layer = 2 * CHANNELS * CHANNELS * 9 * SIDE * SIDE
    layers = max(1, round(wanted / per_layer))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1

    def session(content: bytes) -> onnxruntime.InferenceSession:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    net, plain = session(path.read_bytes()), session(stack(layers).SerializeToString())
    rng = np.random.default_rng(1)
    tile = rng.integers(0, 256, (1, side, side, 3), dtype=np.uint8)
    maps = rng.standard_normal((1, CHANNELS, SIDE, SIDE)).astype(np.float32)
    name = net.get_inputs()[0].name
    first, second = in_turns(lambda: net.run(None, {name: tile}), lambda: plain.run(None, {"x": maps}), rounds)
    # The stack has a whole number of layers: its time is scaled to the very FLOPs of the net.
    return Cost(parameters(model), wanted, first, second * wanted / (layers * per_layer))
