"""choice: the faster weights run, unless ops say which, and never a twin of other weights."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import analytic
import pytest
from calling import Function

from pcb_aoi.config import weights
from pcb_aoi.config.model_config import ModelConfig
from pcb_aoi.config.settings import Settings
from pcb_aoi.engine import choice
from pcb_aoi.engine.detector import Detector
from pcb_aoi.engine.runtime import Runtime
from pcb_aoi.errors import ModelError


def write_twin(folder: Path, twin_of: str | None = None) -> None:
    """Beside the weights, as if it were int8: what it computes is no matter here."""
    config = ModelConfig.load(folder / "model.yaml")
    content = analytic.model(metadata={choice.TWIN_OF: str(config.sha256 if twin_of is None else twin_of)})
    (folder / weights.twin_name(config.weights)).write_bytes(content)
    text = (folder / "model.yaml").read_text("utf-8")
    line = f'int8: "{hashlib.sha256(content).hexdigest()}"\n'
    (folder / "model.yaml").write_text(text.replace("language:", f"{line}language:"), "utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = analytic.write_function(tmp_path / "analytic")
    write_twin(made)
    return made


def take(monkeypatch: pytest.MonkeyPatch, float32_ms: float, int8_ms: float) -> None:
    """A processor on which a tile takes so long."""

    def measure(self: Runtime) -> float:
        return (int8_ms if choice.TWIN_OF in self.metadata else float32_ms) / 1e3

    monkeypatch.setattr(Runtime, "measure", measure)


@pytest.mark.parametrize(
    ("float32_ms", "int8_ms", "runs"),
    [(16, 8, "int8"), (16, 14, "int8"), (16, 15.9, "float32"), (16, 16, "float32"), (16, 40, "float32")],
    ids=["VNNI", "a little faster", "noise", "equal", "a processor that emulates int8"],
)
def test_the_faster_one_runs_and_says_why(
    folder: Path, monkeypatch: pytest.MonkeyPatch, float32_ms: float, int8_ms: float, runs: str
) -> None:
    take(monkeypatch, float32_ms, int8_ms)
    detector = Detector.load(folder)
    assert detector.precision[0] == runs
    assert (choice.TWIN_OF in detector.model.metadata) == (runs == "int8")
    assert f"{float32_ms:.1f} ms in float32 and {int8_ms:.1f} ms in int8" in detector.precision[1]


@pytest.mark.parametrize("wanted", ["float32", "int8"])
def test_ops_decide(folder: Path, monkeypatch: pytest.MonkeyPatch, wanted: str) -> None:
    take(monkeypatch, *((16, 8) if wanted == "float32" else (8, 16)))  # against what the times say
    detector = Detector.load(folder, Settings(precision=wanted))
    assert detector.precision == (wanted, f"PCB_AOI_PRECISION={wanted}")
    assert (choice.TWIN_OF in detector.model.metadata) == (wanted == "int8")


def test_a_gpu_runs_float32(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = ModelConfig.load(folder / "model.yaml")
    loaded: list[str] = []
    monkeypatch.setattr(choice, "Model", lambda content, *_: loaded.append(hashlib.sha256(content).hexdigest()))
    assert choice.load(folder, config, Settings(device="cuda")).precision == "float32"
    assert loaded == [config.sha256]


def test_without_a_twin_float32_runs_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A user's own weights have none, and the setting is one for all functions."""
    folder = analytic.write_function(tmp_path / "analytic")
    with caplog.at_level(logging.WARNING):
        detector = Detector.load(folder, Settings(precision="int8"))
    assert detector.precision == ("float32", "model.yaml names no int8 weights")
    assert "PCB_AOI_PRECISION=int8" in caplog.text


def test_a_twin_of_other_weights_is_refused(tmp_path: Path) -> None:
    folder = analytic.write_function(tmp_path / "analytic")
    write_twin(folder, twin_of="0" * 64)
    with pytest.raises(ModelError, match="made of other weights"):
        Detector.load(folder)


def test_a_damaged_or_missing_twin_is_refused(folder: Path) -> None:
    path = folder / "model-int8.onnx"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(ModelError, match=r"model-int8\.onnx.*SHA-256 differs"):
        Detector.load(folder)
    path.unlink()
    with pytest.raises(ModelError, match=r"model-int8\.onnx is not there"):
        Detector.load(folder)


def test_a_get_tells_what_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    take(monkeypatch, 16, 8)
    function = Function(folder)
    assert function.get().body["precision"] == "int8"
    assert function.start_log[0]["with"]["precision_because"] == "a tile takes 16.0 ms in float32 and 8.0 ms in int8"
