"""model: weights that do not fit model.yaml are refused, and batches do not change an answer."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import analytic
import numpy as np
import onnx
import pytest
from analytic import f32
from onnx import TensorProto, helper, numpy_helper

from pcb_aoi.config.settings import Settings
from pcb_aoi.engine.detector import Detector
from pcb_aoi.errors import ModelError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return analytic.write_function(tmp_path / "analytic")


def rewrite(folder: Path, change: Any) -> Path:  # noqa: ANN401 - a function on the proto
    """Change the model's proto and write it back with its new hash."""
    proto = onnx.load_from_string((folder / "model.onnx").read_bytes())
    change(proto)
    return analytic.write_function(folder, proto.SerializeToString())


def edit(folder: Path, old: str, new: str) -> Path:
    path = folder / "model.yaml"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")
    return folder


def static_batch(size: int) -> Any:  # noqa: ANN401
    def change(proto: onnx.ModelProto) -> None:
        proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = size

    return change


def found(folder: Path, settings: Settings | None = None) -> list[list[float]]:
    boxes = [(x, y, x + 20, y + 12) for x in range(10, 300, 90) for y in range(10, 200, 60)]
    found = Detector.load(folder, settings).detect(analytic.board(200, 300, boxes)).detections
    return [list(box) for box in found.boxes.tolist()]


def frozen_reshape(proto: onnx.ModelProto) -> None:
    """An export that was traced with one picture: a reshape holds the batch at 1, whatever is fed."""
    for output, last in zip(proto.graph.output, (4, 2), strict=True):
        inner = output.name + "_inner"
        for node in proto.graph.node:
            node.output[:] = [inner if name == output.name else name for name in node.output]
        proto.graph.initializer.append(numpy_helper.from_array(np.array([1, -1, last]), output.name + "_shape"))
        proto.graph.node.append(helper.make_node("Reshape", [inner, output.name + "_shape"], [output.name]))


def test_an_export_that_froze_its_batch_is_refused_and_not_misread(folder: Path) -> None:
    """All boxes would be answered on the first tile."""
    rewrite(folder, frozen_reshape)
    assert found(folder)  # one tile a call, as on the CPU
    with pytest.raises(ModelError, match=r"the export froze its batch.*PCB_AOI_BATCH=1"):
        Detector.load(folder, Settings(batch=4))


@pytest.mark.parametrize("batch", [2, 3, 8, 64])
def test_the_batch_does_not_change_the_answer(folder: Path, batch: int) -> None:
    alone = found(folder)
    assert len(alone) == 16
    assert found(folder, Settings(batch=batch)) == alone


def test_a_static_batch_export_is_padded_and_trimmed(folder: Path) -> None:
    alone = found(folder)
    detector = Detector.load(rewrite(folder, static_batch(4)), Settings(batch=8))
    assert detector.model.runtime.batch == 4
    assert found(folder) == alone


def test_a_model_for_another_tile_is_refused_naming_both(folder: Path) -> None:
    edit(folder, "tile: 64", "tile: 128")
    with pytest.raises(ModelError, match=r"tile 128 .*\(B, 128, 128, 3\).*64"):
        Detector.load(folder)


@pytest.mark.parametrize("content", [b"", b"not a model", analytic.model()[:2000]])
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    folder = analytic.write_function(tmp_path / "f", content)
    with pytest.raises(ModelError, match="cannot be loaded"):
        Detector.load(folder)


def test_a_model_with_data_outside_its_file_is_refused(folder: Path, tmp_path: Path) -> None:
    """The hash covers one file: weights that lie in another one could be swapped unnoticed."""
    (tmp_path / "outside.bin").write_bytes(f32([127.5]).tobytes())

    def move_out(proto: onnx.ModelProto) -> None:
        tensor = next(item for item in proto.graph.initializer if item.name == "half")
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="outside.bin")

    rewrite(folder, move_out)
    here = Path.cwd()
    os.chdir(tmp_path)  # ONNX Runtime looks for external data of a model from memory in the working directory
    try:
        with pytest.raises(ModelError):
            Detector.load(folder)
    finally:
        os.chdir(here)


def two_inputs(proto: onnx.ModelProto) -> None:
    proto.graph.input.append(helper.make_tensor_value_info("orig_target_sizes", TensorProto.INT64, [1]))


def int64_input(proto: onnx.ModelProto) -> None:
    proto.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64


def custom_op(proto: onnx.ModelProto) -> None:
    proto.opset_import.append(helper.make_opsetid("my.domain", 1))
    proto.graph.node[0].domain, proto.graph.node[0].op_type = "my.domain", "RunAnything"


@pytest.mark.parametrize(
    ("change", "message"),
    [(two_inputs, "one input, it has 2"), (int64_input, r"is tensor\(int64\)"), (custom_op, "cannot be loaded")],
)
def test_models_that_cannot_be_fed_are_refused(folder: Path, change: Any, message: str) -> None:  # noqa: ANN401
    with pytest.raises(ModelError, match=message):
        Detector.load(rewrite(folder, change))


def test_numbers_that_are_not_finite_are_refused_at_load(folder: Path) -> None:
    def poison(proto: onnx.ModelProto) -> None:
        tensor = next(item for item in proto.graph.initializer if item.name == "one")
        tensor.CopyFrom(numpy_helper.from_array(f32(np.nan), "one"))

    with pytest.raises(ModelError, match="head pcb: the model gives scores that are not finite"):
        Detector.load(rewrite(folder, poison))


def test_classes_in_the_file_are_checked_at_load(folder: Path) -> None:
    def rename(proto: onnx.ModelProto) -> None:
        proto.metadata_props[0].value = '["blue", "bright"]'

    with pytest.raises(ModelError, match="class 0"):
        Detector.load(rewrite(folder, rename))
