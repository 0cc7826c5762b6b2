"""The committed samples are what the renderer draws."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.render.samples import NOT_CHOSEN, RECIPES, TRUTHS, draw

SAMPLES = Path(__file__).parents[2] / "samples"
SMALL_PNG = [recipe for recipe in RECIPES if recipe.file.endswith(".png") and recipe.size[0] <= 640]


@pytest.mark.parametrize("recipe", SMALL_PNG, ids=lambda recipe: f"{recipe.function}/{recipe.file}")
def test_png_samples_have_the_pixels_of_their_seed(recipe) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
    with Image.open(SAMPLES / recipe.function / recipe.file) as opened:
        committed = np.asarray(opened.convert("RGB"))
    # Another version of the drawing library may round an edge pixel differently; no more than that.
    assert (committed != draw(recipe).image).any(axis=2).mean() < 0.005


@pytest.mark.parametrize("recipe", NOT_CHOSEN, ids=lambda recipe: recipe.function)
def test_board_that_nobody_chose_is_the_one_of_the_fixed_seed(recipe) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
    with Image.open(SAMPLES / recipe.function / recipe.file) as opened:
        committed = np.asarray(opened.convert("RGB")).astype(int)
    assert np.abs(committed - draw(recipe).image).mean() < 3  # what JPEG changes


@pytest.mark.parametrize("file", TRUTHS)
@pytest.mark.parametrize("function", sorted({recipe.function for recipe in RECIPES}))
def test_truth_names_every_picture_and_its_boxes_fit(function: str, file: str) -> None:
    truth = json.loads((SAMPLES / function / file).read_text(encoding="utf-8"))
    expected = {recipe.file for recipe in TRUTHS[file] if recipe.function == function}
    assert {entry["file"] for entry in truth["images"]} == expected
    for entry in truth["images"]:
        with Image.open(SAMPLES / function / entry["file"]) as picture:
            width, height = picture.size
        for defect in entry["defects"]:
            x1, y1, x2, y2 = defect["box"]
            assert 0 <= x1 < x2 <= width
            assert 0 <= y1 < y2 <= height


def test_samples_stay_small() -> None:
    size = sum(path.stat().st_size for path in SAMPLES.rglob("*") if path.is_file())
    assert size < 4_000_000
