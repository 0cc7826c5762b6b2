"""session and weights: what is loaded is what was hashed, on the device asked for, in the shape the model takes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import analytic
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from analytic import f32
from onnx import TensorProto, helper, numpy_helper

from pcb_aoi.config import weights
from pcb_aoi.config.model_config import ModelConfig
from pcb_aoi.config.settings import Settings
from pcb_aoi.engine import session as session_module
from pcb_aoi.engine.detector import Detector
from pcb_aoi.engine.session import Session
from pcb_aoi.errors import MissingWeights, ModelError, OutOfMemory


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
    assert detector.session.batch == 4
    assert found(folder) == alone


def test_a_model_for_another_tile_is_refused_naming_both(folder: Path) -> None:
    edit(folder, "tile: 64", "tile: 128")
    with pytest.raises(ModelError, match=r"tile 128 .*\(B, 128, 128, 3\).*64"):
        Detector.load(folder)


def test_a_changed_file_is_refused(folder: Path) -> None:
    with (folder / "model.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(ModelError, match="SHA-256 differs"):
        Detector.load(folder)


@pytest.mark.parametrize("content", [b"", b"not a model", analytic.model()[:2000]])
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    folder = analytic.write_function(tmp_path / "f", content)
    with pytest.raises(ModelError, match="cannot be loaded"):
        Detector.load(folder)


def test_missing_weights_are_their_own_error(folder: Path) -> None:
    (folder / "model.onnx").unlink()
    with pytest.raises(MissingWeights):
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


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"slugs": '["blue", "bright"]'}, "class 0 of the weights is 'blue', in model.yaml it is 'bright'"),
        ({"slugs": '["bright"]'}, "1 classes, model.yaml 2"),
        ({"names": "{0: 'bright', 1: 'green'}"}, "class 1 of the weights is 'green'"),
        ({"names": "__import__('os').system('true')"}, "cannot be read"),
        ({"names": "{0: 'bright', 1: "}, "cannot be read"),
    ],
)
def test_other_classes_are_refused(folder: Path, metadata: dict[str, str], message: str) -> None:
    config = ModelConfig.load(folder / "model.yaml")
    with pytest.raises(ModelError, match=message):
        weights.check_classes(metadata, config)


@pytest.mark.parametrize(
    "metadata",
    [{}, {"slugs": '["bright", "blue"]'}, {"names": "{1: 'Blue', 0: '亮'}"}, {"names": "['BRIGHT', 'blue']"}],
)
def test_the_same_classes_pass_under_any_of_their_names(folder: Path, metadata: dict[str, str]) -> None:
    weights.check_classes(metadata, ModelConfig.load(folder / "model.yaml"))


def test_classes_in_the_file_are_checked_at_load(folder: Path) -> None:
    def rename(proto: onnx.ModelProto) -> None:
        proto.metadata_props[0].value = '["blue", "bright"]'

    with pytest.raises(ModelError, match="class 0"):
        Detector.load(rewrite(folder, rename))


@pytest.mark.skipif("CUDAExecutionProvider" in ort.get_available_providers(), reason="this machine has CUDA")
def test_a_gpu_that_is_not_there_is_an_error_at_start(folder: Path) -> None:
    with pytest.raises(ModelError, match=r"CUDAExecutionProvider was asked for.*onnxruntime-gpu"):
        Detector.load(folder, Settings(device="cuda"))


def test_a_silent_fall_back_to_the_cpu_is_an_error_at_start(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What onnxruntime-gpu does when a CUDA library is missing: CUDA is listed, and the session runs on the CPU."""
    real = ort.InferenceSession
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"])
    monkeypatch.setattr(
        ort, "InferenceSession", lambda model, options, providers: real(model, options, ["CPUExecutionProvider"])
    )
    with pytest.raises(ModelError, match="the session runs on CPUExecutionProvider"):
        Detector.load(folder, Settings(device="cuda"))


class Failing:
    """An InferenceSession that runs out of memory above `limit` tiles, and then on every call, as CUDA's does."""

    built = 0
    limit = 2

    def __init__(self, model: bytes, options: object, providers: list[Any]) -> None:
        self._real = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
        self._broken = False
        Failing.built += 1

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._real, name)

    def run(self, names: None, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
        if self._broken or len(next(iter(feed.values()))) > Failing.limit:
            self._broken = True
            raise RuntimeError("BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer")
        return list(self._real.run(names, feed))


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> type[Failing]:
    Failing.built, Failing.limit = 0, 2
    monkeypatch.setattr(session_module, "create", lambda model, settings: Failing(model, None, []))
    return Failing


def test_out_of_memory_halves_the_batch_and_goes_on(folder: Path, failing: type[Failing]) -> None:
    config = ModelConfig.load(folder / "model.yaml")
    made = Session(weights.read(folder, config), config, Settings(batch=4))
    tiles = np.full((4, 64, 64, 3), 200, np.uint8)
    assert made.batch == 2
    assert failing.built == 2
    failing.limit = 1
    outputs = made.run(tiles[:2])
    assert [len(output) for output in outputs] == [2, 2]
    assert made.batch == 1


def test_the_rest_of_a_board_goes_on_with_the_smaller_batch(folder: Path, failing: type[Failing]) -> None:
    """Memory runs short in the middle of a board: one rebuild, not one for every batch that was planned before."""
    failing.limit = 8
    detector = Detector.load(folder, Settings(batch=8))
    failing.built, failing.limit = 0, 4
    boxes = [(x, y, x + 20, y + 12) for x in range(10, 300, 90) for y in range(10, 200, 60)]
    assert len(detector.detect(analytic.board(200, 300, boxes)).detections) == 16
    assert failing.built == 1
    assert detector.session.batch == 4


def test_out_of_memory_for_one_tile_is_said_and_the_next_request_works(folder: Path, failing: type[Failing]) -> None:
    config = ModelConfig.load(folder / "model.yaml")
    made = Session(weights.read(folder, config), config, Settings(batch=1))
    tile = np.zeros((1, 64, 64, 3), np.uint8)
    failing.limit = 0
    with pytest.raises(OutOfMemory):
        made.run(tile)
    failing.limit = 2
    assert len(made.run(tile)[0]) == 1


def test_a_session_that_could_not_be_rebuilt_is_rebuilt_for_the_next_frame(
    folder: Path, failing: type[Failing], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program has the card's memory for a while: not even the weights fit then."""
    config = ModelConfig.load(folder / "model.yaml")
    made = Session(weights.read(folder, config), config, Settings(batch=2))
    tile = np.zeros((1, 64, 64, 3), np.uint8)

    def full(model: bytes, settings: Settings) -> None:
        raise OutOfMemory("the weights do not fit into the device's memory")

    with monkeypatch.context() as short:
        short.setattr(session_module, "create", full)
        failing.limit = 0
        for _ in range(2):
            with pytest.raises(OutOfMemory):
                made.run(tile)
    failing.limit = 2
    assert len(made.run(tile)[0]) == 1
