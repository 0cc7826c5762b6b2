"""The committed samples are what the renderer draws."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from boards.samples import NOT_CHOSEN, SAMPLES, TRUTHS, draw
from pcb_aoi.config.model_config import ModelConfig

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "samples"
SMALL_PNG = [sample for sample in SAMPLES if sample.file.endswith(".png") and sample.size[0] <= 640]


@pytest.mark.parametrize("sample", SMALL_PNG, ids=lambda sample: f"{sample.function}/{sample.file}")
def test_png_samples_have_the_pixels_of_their_seed(sample) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
    with Image.open(FOLDER / sample.function / sample.file) as opened:
        committed = np.asarray(opened.convert("RGB"))
    # Another version of the drawing library may round an edge pixel differently; no more than that.
    assert (committed != draw(sample).image).any(axis=2).mean() < 0.005


@pytest.mark.parametrize("sample", NOT_CHOSEN, ids=lambda sample: sample.function)
def test_board_that_nobody_chose_is_the_one_of_the_fixed_seed(sample) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
    with Image.open(FOLDER / sample.function / sample.file) as opened:
        committed = np.asarray(opened.convert("RGB")).astype(int)
    assert np.abs(committed - draw(sample).image).mean() < 3  # what JPEG changes


@pytest.mark.parametrize("file", TRUTHS)
@pytest.mark.parametrize("function", sorted({sample.function for sample in SAMPLES}))
def test_truth_names_every_picture_and_its_boxes_fit(function: str, file: str) -> None:
    truth = json.loads((FOLDER / function / file).read_text(encoding="utf-8"))
    expected = {sample.file for sample in TRUTHS[file] if sample.function == function}
    assert {entry["file"] for entry in truth["images"]} == expected
    for entry in truth["images"]:
        with Image.open(FOLDER / function / entry["file"]) as picture:
            width, height = picture.size
        for defect in entry["defects"]:
            x1, y1, x2, y2 = defect["box"]
            assert 0 <= x1 < x2 <= width
            assert 0 <= y1 < y2 <= height


def test_samples_stay_small() -> None:
    size = sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file())
    assert size < 4_000_000


@pytest.mark.parametrize("folder", sorted((ROOT / "functions").glob("*/")), ids=lambda path: path.name)
def test_the_weights_that_ship_are_known_to_find_all_of_a_sample(folder: Path) -> None:
    """Else the smoke call of a deployment asks them for a valid answer only: run `python -m boards.found_by`."""
    if not (folder / "model.yaml").exists():
        return
    sha256 = ModelConfig.load(folder / "model.yaml").sha256
    truth = json.loads((ROOT / "samples" / folder.name / "truth.json").read_text("utf-8"))
    assert [image["file"] for image in truth["images"] if image["defects"] and sha256 in image["found_by"]]
