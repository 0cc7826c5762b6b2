"""What several tests of calibration need."""

# mypy: disallow-untyped-calls=False

from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The least that calibration reads and writes: slope, offset, slugs and version."""
    onnx = pytest.importorskip("onnx", reason="needs onnx")
    from training.weights import model_file

    helper, values = onnx.helper, {model_file.SLOPE: 1.0, model_file.OFFSET: 0.0}
    neutral = [onnx.numpy_helper.from_array(np.full(2, value, np.float32), name) for name, value in values.items()]
    scores = helper.make_tensor_value_info("scores", onnx.TensorProto.FLOAT, [2])
    graph = helper.make_graph([helper.make_node("Add", list(values), ["scores"])], "g", [], [scores], neutral)
    content = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(content, {"slugs": '["open", "short"]', "version": "1"})
    model_file.save(content, tmp_path / "model.onnx")
    return tmp_path / "model.onnx"
