"""runtime: on the device asked for, and on through lack of memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import analytic
import numpy as np
import onnx
import onnxruntime as ort
import pytest

from pcb_aoi.config.settings import Settings
from pcb_aoi.engine import runtime
from pcb_aoi.engine.detector import Detector
from pcb_aoi.engine.runtime import Runtime
from pcb_aoi.errors import ModelError, OutOfMemory

TILE = np.full((1, 64, 64, 3), 200, np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return analytic.write_function(tmp_path / "analytic")


def warm(batch: int) -> Runtime:
    made = Runtime(analytic.model(), Settings(batch=batch))
    made.warm_up(TILE)
    return made


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
    monkeypatch.setattr(runtime, "create", lambda model, settings: Failing(model, None, []))
    return Failing


def test_out_of_memory_halves_the_batch_and_goes_on(failing: type[Failing]) -> None:
    made = warm(4)
    assert made.batch == 2
    assert failing.built == 2
    failing.limit = 1
    outputs = made.run(np.repeat(TILE, 2, axis=0))
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
    assert detector.model.runtime.batch == 4


def test_out_of_memory_for_one_tile_is_said_and_the_next_request_works(failing: type[Failing]) -> None:
    made = warm(1)
    failing.limit = 0
    with pytest.raises(OutOfMemory):
        made.run(TILE)
    failing.limit = 2
    assert len(made.run(TILE)[0]) == 1


def test_a_session_that_could_not_be_rebuilt_is_rebuilt_for_the_next_frame(
    failing: type[Failing], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program has the card's memory for a while: not even the weights fit then."""
    made = warm(2)

    def full(model: bytes, settings: Settings) -> None:
        raise OutOfMemory("the weights do not fit into the device's memory")

    with monkeypatch.context() as short:
        short.setattr(runtime, "create", full)
        failing.limit = 0
        for _ in range(2):
            with pytest.raises(OutOfMemory):
                made.run(TILE)
    failing.limit = 2
    assert len(made.run(TILE)[0]) == 1


def test_the_provider_is_known_while_there_is_no_session(
    failing: type[Failing], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GET must answer while memory is short."""
    made = warm(1)

    def full(model: bytes, settings: Settings) -> None:
        raise OutOfMemory("the weights do not fit into the device's memory")

    monkeypatch.setattr(runtime, "create", full)
    failing.limit = 0
    with pytest.raises(OutOfMemory):
        made.run(TILE)
    assert made.provider == "CPUExecutionProvider"


def test_a_network_is_run_as_it_is_whatever_its_outputs_mean() -> None:
    """No label, tile or head: arrays of any shape go in, arrays come out, in the order of the file."""
    item = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["B", 3])
    out = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["B", 3])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Neg", ["x"], ["y"])], "g", [item], [out])
    proto = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    made = Runtime(proto.SerializeToString(), Settings(batch=2))
    made.warm_up(np.zeros((1, 3), np.uint8))
    items = np.arange(15, dtype=np.uint8).reshape(5, 3)
    (outputs,) = made.run(items)
    assert outputs.dtype == np.float32
    assert (outputs == -items.astype(np.float32)).all()
