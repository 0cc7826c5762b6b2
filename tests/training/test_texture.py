"""Grain and hue of copper: measured as they were painted, and rendered where real tiles have them."""

import argparse
from pathlib import Path

import cv2
import numpy as np
import pytest

from training import rendered, texture
from training.render.look import Look
from training.render.shade import shade
from training.scene import Scene

# Of 71 real tiles, `python -m training texture acid-outer-layer`: 5 %, median and 95 % of the grain at 0, 1, 2, 4 px.
REAL_LOW = np.array([0.0055, 0.0032, 0.0023, 0.0024])
REAL_MEDIAN = np.array([0.0177, 0.0136, 0.0101, 0.0087])
REAL_HIGH = np.array([0.0284, 0.0239, 0.0193, 0.0213])
COPPER = np.ones((160, 160), np.uint8)
COPPER[:, :40] = 0


def looks(**options: bool) -> np.ndarray:
    rng = np.random.default_rng(5)
    rows = [texture.measure(shade(COPPER, Look.sample(rng, "colour", **options), rng)) for _ in range(60)]
    return np.stack([row for row in rows if row is not None])


@pytest.mark.parametrize("grain", [0.03, 0.06])
def test_white_grain_is_measured_as_painted_whatever_the_brightness(grain: float) -> None:
    rng = np.random.default_rng(0)
    for level in (120, 180):
        image = COPPER * level * (1 + grain * rng.standard_normal(COPPER.shape))
        row = texture.measure(np.clip(image, 0, 255).round().astype(np.uint8))
        assert row is not None
        assert row[0] == pytest.approx(grain, rel=0.15, abs=0.002)
        assert row[3] < row[0] / 3  # blurred away


def test_hue_is_of_the_copper_and_slow_light_is_no_grain() -> None:
    light = np.linspace(0.8, 1.2, 160)[None, :, None]
    row = texture.measure((COPPER[:, :, None] * np.array([180, 135, 90]) * light).astype(np.uint8))
    assert row is not None
    assert row[:4].max() < 0.03  # of 0.4 from side to side
    assert row[4:] == pytest.approx([0.75, 2 / 3], abs=0.02)


def test_a_board_without_copper_is_left_out() -> None:
    assert texture.measure(np.zeros((64, 64), np.uint8)) is None
    with pytest.raises(ValueError, match="copper"):
        texture.quantiles([np.zeros((64, 64), np.uint8)])


def test_rendered_copper_is_as_rough_as_real_copper() -> None:
    middle = np.median(looks(), axis=0)[:4]
    assert (middle > REAL_LOW).all()
    assert (middle < REAL_HIGH).all()
    # The test's looks are rougher than what training draws, yet not rougher than a camera could be.
    hard = np.median(looks(held_out=True), axis=0)[:4]
    assert (hard > REAL_MEDIAN).all()
    assert (hard < 1.6 * REAL_HIGH).all()


@pytest.mark.parametrize("held_out", [False, True])
def test_copper_runs_from_pink_to_orange_and_is_never_green_or_blue(held_out: bool) -> None:
    rng = np.random.default_rng(6)
    for _ in range(300):
        red, green, blue = Look.sample(rng, "colour", held_out).copper
        assert red >= green >= blue


def test_the_command_prints_real_tiles_beside_both_splits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    args = argparse.Namespace(function="acid-outer-layer", data=tmp_path, count=1)
    with pytest.raises(SystemExit, match="no real tiles"):
        texture.run(args)
    (tmp_path / "real-tiles" / "images").mkdir(parents=True)
    tile = (COPPER[:, :, None] * np.array([180, 135, 90])).astype(np.uint8)
    assert cv2.imwrite(str(tmp_path / "real-tiles" / "images" / "a.png"), tile[:, :, ::-1])
    scene = Scene(COPPER * np.uint8(150), np.empty((0, 4), np.float32), np.empty(0, np.int64), "a")
    monkeypatch.setattr(rendered, "render_tile", lambda *_: scene)
    assert texture.run(args) == 0
    printed = capsys.readouterr().out
    assert "| real tiles | 0.50 | 0.000 | 0.000 | 0.000 | 0.000 | 0.750 | 0.667 |" in printed
    assert printed.count("| rendered, train |") == printed.count("| rendered, test |") == 5
