"""int8: what is quantised, what is not, and that a twin that lost too much is not written."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from boards import int8
from pcb_aoi.config.model_config import ModelConfig
from pcb_aoi.engine.choice import TWIN_OF
from pcb_aoi.exports.scene import Scene
from training.data.store import write_scene
from training.weights import model_file

ROOT = Path(__file__).resolve().parents[2]


def net() -> onnx.ModelProto:
    """Four convolutions; one sum feeds another, one ends in the output. Input is uint8, as an export's."""
    rng = np.random.default_rng(0)
    weights = {f"w{i}": rng.standard_normal((3, 3, 3, 3)).astype(np.float32) / 5 for i in range(4)}
    nodes = [
        helper.make_node("Transpose", ["images"], ["t"], perm=[0, 3, 1, 2], name="transpose"),
        helper.make_node("Cast", ["t"], ["x"], to=TensorProto.FLOAT, name="cast"),
        helper.make_node("Conv", ["x", "w0"], ["a"], pads=[1, 1, 1, 1], name="first"),
        helper.make_node("Relu", ["a"], ["ar"], name="relu"),
        helper.make_node("Conv", ["ar", "w1"], ["b"], pads=[1, 1, 1, 1], name="inner"),
        helper.make_node("Add", ["ar", "b"], ["s"], name="sum"),
        helper.make_node("Conv", ["s", "w2"], ["c"], pads=[1, 1, 1, 1], name="inner too"),
        helper.make_node("Conv", ["c", "w3"], ["d"], pads=[1, 1, 1, 1], name="last"),
        helper.make_node("Add", ["d", "d"], ["y"], name="box arithmetic"),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, [1, 32, 32, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, 32, 32])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"slugs": '["a"]', "version": "1"})
    return model


def test_what_feeds_a_convolution_is_quantised_but_for_the_first_and_the_last() -> None:
    assert int8.inner_nodes(net()) == {"relu", "inner", "sum", "inner too"}


def test_a_twin_answers_nearly_the_same_and_keeps_what_the_file_says() -> None:
    pictures = np.random.default_rng(1).integers(0, 256, (8, 1, 32, 32, 3), np.uint8)
    twin = int8.quantised(net(), iter(pictures))
    assert model_file.metadata(twin) == model_file.metadata(net())
    kinds = [node.op_type for node in twin.graph.node]
    assert kinds.count("Conv") == 4
    assert "QuantizeLinear" in kinds
    exact, near = (
        onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(
            None, {"images": pictures[0]}
        )[0]
        for model in (net(), twin)
    )
    assert not (exact == near).all()
    assert np.abs(exact - near).mean() < 0.02 * np.abs(exact).mean()


@pytest.mark.parametrize(("lost", "written"), [((0.001, 0.004), True), ((0.003, 0), False), ((0, 0.006), False)])
def test_a_twin_that_lost_too_much_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: tuple[float, float], written: bool
) -> None:
    function = "alkaline-outer-layer"
    folder = tmp_path / "functions" / function
    folder.mkdir(parents=True)
    for name in ("model.onnx", "model.yaml"):
        (folder / name).write_bytes((ROOT / "functions" / function / name).read_bytes())
    image = np.random.default_rng(2).integers(0, 256, (640, 640, 3), np.uint8)
    write_scene(tmp_path / "boards" / "0.npz", scene(tmp_path / "boards", image))
    answers = iter([(0.9, 0.7), (0.9 - lost[0], 0.7 - lost[1])])
    monkeypatch.setattr(int8, "accuracy", lambda *_: next(answers))
    monkeypatch.chdir(tmp_path)
    arguments = argparse.Namespace(function=function, boards=tmp_path / "boards", count=1, pool=tmp_path / "boards")
    before = ModelConfig.load(folder / "model.yaml")
    assert int8.run(arguments) == (0 if written else 1)
    after = ModelConfig.load(folder / "model.yaml")
    if not written:
        assert after == before
        assert not (folder / "model-int8.onnx").exists()
        return
    twin = onnx.load(folder / "model-int8.onnx")
    assert after.int8 is not None
    assert after.sha256 == before.sha256 == model_file.metadata(twin)[TWIN_OF]


def scene(folder: Path, image: np.ndarray) -> Scene:
    folder.mkdir()
    return Scene(image, np.zeros((0, 4), np.float32), np.zeros(0, np.int64), "one")
