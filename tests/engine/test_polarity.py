"""polarity: thresholded boards are told from others, and weights that know copper as bright see their negative."""

from __future__ import annotations

import io
from pathlib import Path

import analytic
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pcb_aoi.config.model_config import ModelConfig
from pcb_aoi.config.settings import Settings
from pcb_aoi.engine import polarity
from pcb_aoi.engine.detector import Detector
from training.measure.examine import Examiner


def lines(height: int, width: int, copper: int, laminate: int) -> np.ndarray:
    """Conductors of 12 px at a pitch of 30, uint8 (H, W)."""
    image = np.full((height, width), laminate, np.uint8)
    for x in range(9, width, 30):
        image[:, x : x + 12] = copper
    return image


@pytest.mark.parametrize(("copper", "laminate"), [(0, 255), (255, 0), (0, 0), (255, 255), (8, 248)])
@pytest.mark.parametrize("size", [(9, 9), (100, 640), (4096, 3000)])
def test_two_levels_are_thresholded(copper: int, laminate: int, size: tuple[int, int]) -> None:
    image = lines(*size, copper, laminate)
    assert polarity.thresholded(image)
    assert polarity.thresholded(np.repeat(image[..., None], 3, axis=2))


@pytest.mark.parametrize("quality", [60, 75, 95])
def test_compression_and_resampling_leave_it_thresholded(quality: int) -> None:
    picture, file = Image.fromarray(lines(640, 640, 0, 255)), io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    assert polarity.thresholded(np.asarray(Image.open(file)))
    assert polarity.thresholded(np.asarray(picture.resize((500, 500), Image.Resampling.BILINEAR)))


LOOKS = {"video levels": (16, 235), "a weak lamp": (20, 238), "half the contrast": (64, 191), "dimmed": (0, 178)}


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("quality", [None, 60, 75, 95])
@pytest.mark.parametrize("copper_is_dark", [True, False])
def test_any_two_levels_with_sharp_edges_are_thresholded(look: str, quality: int | None, copper_is_dark: bool) -> None:
    dark, bright = LOOKS[look]
    image = lines(640, 640, *((dark, bright) if copper_is_dark else (bright, dark)))
    if quality:
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=quality)
        image = np.asarray(Image.open(file))
    assert polarity.evidence(image) == polarity.Evidence(thresholded=True, weak=False)
    assert polarity.thresholded(np.repeat(image[..., None], 3, axis=2))


def camera(image: np.ndarray, blur: float, grain: float, seed: int = 0) -> np.ndarray:
    """The picture as a lens and a sensor give it: the factory's cameras blur by about a pixel."""
    soft = cv2.GaussianBlur(image.astype(np.float32), (0, 0), blur)
    return (soft + np.random.default_rng(seed).normal(0, grain, image.shape)).clip(0, 255).astype(np.uint8)


@given(
    st.integers(60, 230),
    st.integers(0, 60),
    st.floats(1, 2),
    st.floats(1, 4),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_a_camera_s_picture_is_not(
    copper: int, laminate: int, blur: float, grain: float, colour: bool, seed: int
) -> None:
    """Copper on half of the board, a lens, and grain of a few grey levels."""
    image = camera(
        np.repeat(np.where(np.arange(200) % 40 < 20, copper, laminate)[None], 200, axis=0), blur, grain, seed
    )
    if colour:
        image = (image[..., None] * np.array([1.0, 0.8, 0.6])).astype(np.uint8)
    assert not polarity.thresholded(image)


@pytest.mark.parametrize(("copper", "laminate"), [(120, 6), (250, 190)])
def test_neither_is_a_very_dark_or_a_very_bright_one(copper: int, laminate: int) -> None:
    """Few conductors on black core; a plane, overexposed, with few gaps."""
    image = np.full((300, 300), laminate if laminate < 16 else copper, np.uint8)
    image[:, ::30] = image[:, 1::30] = image[:, 2::30] = copper if laminate < 16 else laminate
    assert not polarity.thresholded(camera(image, 1, 1))


def test_colour_is_a_camera_s_however_sharp_its_edges() -> None:
    image = np.stack([lines(200, 200, 180, 30), lines(200, 200, 130, 35), lines(200, 200, 90, 30)], axis=2)
    assert polarity.evidence(image) == polarity.Evidence(thresholded=False, weak=False)


def test_what_lies_between_is_said() -> None:
    """Resampled to 0.8, edges have about one half-tone: it may be one or the other."""
    picture = Image.fromarray(lines(640, 640, 20, 238)).resize((500, 500), Image.Resampling.BILINEAR)
    assert polarity.evidence(np.asarray(picture)).weak


def test_weights_say_how_they_see_copper() -> None:
    assert polarity.bright_copper({"copper": "bright"})
    assert not polarity.bright_copper({"copper": "as it is"})
    assert not polarity.bright_copper({})  # other people's weights


@pytest.mark.parametrize("copper", ["bright", None])
@pytest.mark.parametrize("level", [0, 60])
def test_only_thresholded_boards_are_shown_as_negatives(tmp_path: Path, copper: str | None, level: int) -> None:
    """The analytic detector finds bright rectangles; here they are dark: in the negative of a thresholded board only.

    The board is larger than a tile, so that every tile must be a negative; the caller's picture stays as it was.
    """
    weights = analytic.model(metadata={} if copper is None else {"copper": copper})
    detector = Detector.load(analytic.write_function(tmp_path / "function", weights))
    image = np.full((150, 150), 255 if level == 0 else 200, np.uint8)
    image[40:60, 30:140] = level
    if level:
        image = camera(image, 1.5, 1)
    given = image.copy()
    boxes = detector.detect(image).detections.boxes.tolist()
    assert ([30.0, 40.0, 140.0, 60.0] in boxes) == (copper == "bright" and level == 0)
    assert (image == given).all()


@pytest.mark.parametrize("copper", ["bright", "as it is"])
def test_figures_are_measured_as_the_engine_sees_boards(tmp_path: Path, copper: str) -> None:
    weights = analytic.model(metadata={"copper": copper})
    image = np.full((analytic.TILE, analytic.TILE), 255, np.uint8)
    image[16:40, 16:48] = 0
    folder = analytic.write_function(tmp_path / "function", weights)
    engine = Detector.load(folder).detect(image).detections
    examiner = Examiner(weights, ModelConfig.load(folder / "model.yaml"))
    found, pieces = examiner.detect(image, 0.5), examiner.pieces(image)
    for boxes in (engine.boxes.tolist(), found.boxes.tolist(), pieces.boxes.tolist()):
        assert (boxes == [[16.0, 16.0, 48.0, 40.0]]) == (copper == "bright")


@pytest.mark.parametrize(("copper", "found"), [("auto", False), ("bright", False), ("dark", True)])
def test_ops_may_say_which_side_is_copper(tmp_path: Path, copper: str, found: bool) -> None:
    """A camera's inverted channel cannot be told from one whose boards are mostly dark."""
    folder = analytic.write_function(tmp_path / "function", analytic.model(metadata={"copper": "bright"}))
    image = np.full((150, 150), 200, np.uint8)
    image[40:60, 30:140] = 20
    result = Detector.load(folder, Settings(copper=copper)).detect(camera(image, 1.2, 1))
    mask = [box for box in result.detections.boxes.tolist() if 25 < box[0] < 35 and 130 < box[2] < 145]
    assert (len(mask) > 0) == found


def test_a_doubtful_side_is_named_with_its_cure(tmp_path: Path) -> None:
    folder = analytic.write_function(tmp_path / "function", analytic.model(metadata={"copper": "bright"}))
    picture = np.asarray(Image.fromarray(lines(640, 640, 20, 238)).resize((500, 500), Image.Resampling.BILINEAR))
    assert "PCB_AOI_COPPER" in Detector.load(folder).detect(picture).warnings[0]
    assert Detector.load(folder, Settings(copper="dark")).detect(picture).warnings == ()
