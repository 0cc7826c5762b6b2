"""The committed weights keep the contract with the engine, whoever trained them."""

# ruff: noqa: E402  (what may be absent is asked for before it is imported)
# mypy: disallow-untyped-calls=False

import hashlib
from pathlib import Path

import pytest
import yaml

onnx = pytest.importorskip("onnx", reason="needs onnx")

from boards import recipes
from pcb_aoi.engine import polarity
from training.weights import model_file

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = [name for name in recipes.RECIPES if (ROOT / "functions" / name / "model.onnx").is_file()]


@pytest.mark.parametrize("function", sorted(recipes.RECIPES))
def test_recipes_follow_what_the_weights_answer(function: str) -> None:
    recipe = recipes.get(function)
    config = yaml.safe_load((ROOT / "functions" / recipe.function / "model.yaml").read_text())
    assert function.startswith(recipe.function)  # also from renders alone, and the folds
    assert recipe.slugs == [label["slug"] for label in config["labels"]]


@pytest.mark.parametrize("function", SHIPPED)
def test_weights_are_small_and_say_what_they_are(function: str) -> None:
    model = onnx.load(ROOT / "functions" / function / "model.onnx")
    details = model_file.metadata(model)
    assert details["model"] == function
    assert model_file.slugs(model) == recipes.get(function).slugs
    assert {"version", "tile", "um_per_px", "provenance"} <= set(details)
    weights = sum(len(tensor.raw_data) // 4 for tensor in model.graph.initializer)
    assert 100_000 < weights <= 1_500_000
    (images,) = model.graph.input
    assert images.name == "images"
    assert images.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert [output.name for output in model.graph.output] == ["boxes", "scores"]
    assert model.opset_import[0].version >= 17


@pytest.mark.parametrize("function", SHIPPED)
def test_the_calibration_is_not_the_neutral_one(function: str) -> None:
    slope, offset = model_file.read_calibration(onnx.load(ROOT / "functions" / function / "model.onnx"))
    assert (slope > 0).all()
    assert (offset != 0).any()


@pytest.mark.parametrize("function", SHIPPED)
def test_copper_is_bright_to_inner_layers_alone(function: str) -> None:
    """A finished board on black mask is dark enough to pass for thresholded: its negative would be nonsense."""
    bright = {
        path.name
        for path in (ROOT / "functions" / function).glob("*.onnx")
        if not path.name.endswith("-int8.onnx")  # a twin says what its original says
        if polarity.bright_copper(model_file.metadata(onnx.load(path)))
    }
    assert recipes.get(function).bright_copper == (function == "inner-layer")
    assert bright == ({"model.onnx", "model-clean.onnx"} if function == "inner-layer" else set())


def test_the_clean_weights_can_be_chosen_as_model_yaml_says() -> None:
    folder = ROOT / "functions" / "inner-layer"
    weights = folder / "model-clean.onnx"
    text = (folder / "model.yaml").read_text()
    chosen = yaml.safe_load(
        "\n".join(line.removeprefix("# ") for line in text.splitlines() if "# weights:" in line or "# sha256:" in line)
    )
    assert chosen == {"weights": weights.name, "sha256": hashlib.sha256(weights.read_bytes()).hexdigest()}
    details = model_file.metadata(onnx.load(weights))
    assert model_file.slugs(onnx.load(weights)) == recipes.get("inner-layer").slugs
    assert "DeepPCB" not in details["provenance"]
