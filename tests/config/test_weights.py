"""weights: what is loaded is what was hashed."""

from __future__ import annotations

from pathlib import Path

import analytic
import pytest

from pcb_aoi.config import weights
from pcb_aoi.config.model_config import ModelConfig
from pcb_aoi.errors import MissingWeights, ModelError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return analytic.write_function(tmp_path / "analytic")


def test_a_changed_file_is_refused(folder: Path) -> None:
    with (folder / "model.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(ModelError, match="SHA-256 differs"):
        weights.read(folder, ModelConfig.load(folder / "model.yaml"))


def test_missing_weights_are_their_own_error(folder: Path) -> None:
    (folder / "model.onnx").unlink()
    with pytest.raises(MissingWeights):
        weights.read(folder, ModelConfig.load(folder / "model.yaml"))
