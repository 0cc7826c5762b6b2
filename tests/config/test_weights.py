"""weights: what is loaded is what was hashed, and its classes are the labels."""

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
