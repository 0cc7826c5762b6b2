"""Pictures of copper: which side is bright, sizes, kinds, speed of nothing but the right order of things."""

import cv2
import numpy as np
import pytest

from boards.camera.look import KINDS, Look
from boards.camera.shade import capture, paint, shade
from boards.defects import surface
from boards.pixels.paintwork import commit
from boards.pixels.shapes import fill, stroke


def halves() -> np.ndarray:
    mask = np.zeros((96, 128), np.uint8)
    mask[:, 64:] = 1
    return mask


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("held_out", [False, True])
def test_copper_is_brighter_in_grey_and_colour_and_black_in_binary(kind: str, held_out: bool) -> None:
    for seed in range(15):
        rng = np.random.default_rng(seed)
        image = shade(halves(), Look.sample(rng, kind, held_out), rng)
        assert image.shape == (96, 128, 3)
        assert image.dtype == np.uint8
        laminate, copper = image[:, 4:58].mean(), image[:, 70:124].mean()
        if kind == "binary":
            assert laminate > 245
            assert copper < 10
        else:
            assert copper > 1.3 * laminate
        if kind != "colour":
            assert np.ptp(image.astype(int), axis=2).max() == 0


def test_coverage_and_mask_are_both_taken() -> None:
    look = Look("grey", jpeg=0)
    first = shade(halves(), look, np.random.default_rng(1))
    second = shade(halves().astype(np.float32), look, np.random.default_rng(1))
    assert np.array_equal(first, second)
    with pytest.raises(ValueError, match="shape"):
        shade(np.zeros((4, 4, 3), np.uint8), look, np.random.default_rng(1))


def test_held_out_looks_lie_outside_the_training_ranges() -> None:
    rng = np.random.default_rng(0)
    train = [Look.sample(rng, "colour") for _ in range(200)]
    test = [Look.sample(rng, "colour", held_out=True) for _ in range(200)]
    for name in ("psf_px", "grain", "grain_px", "noise"):
        assert max(getattr(look, name) for look in train) <= min(getattr(look, name) for look in test)


def test_looks_at_the_edge_are_the_hardest_that_training_draws() -> None:
    rng = np.random.default_rng(0)
    train = [Look.sample(rng, "colour") for _ in range(400)]
    edge = [Look.sample(rng, "colour", edge=True) for _ in range(200)]
    test = [Look.sample(rng, "colour", held_out=True) for _ in range(200)]
    for name in ("psf_px", "grain", "grain_px", "noise"):
        drawn = [getattr(look, name) for look in edge]
        assert np.quantile([getattr(look, name) for look in train], 0.6) < min(drawn)
        assert max(drawn) <= min(getattr(look, name) for look in test)


@pytest.mark.parametrize("kind", ["grey", "colour"])
@pytest.mark.parametrize("draw", [surface.scratch, surface.foreign_object])
def test_surface_defects_change_the_picture_inside_their_box_only(draw, kind: str) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
    found = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        image = paint(halves(), Look.sample(rng, kind), rng)
        before = image.copy()
        box = draw(image, rng, 20.8, 4)
        clear = np.abs(image.astype(int) - before.astype(int)).max(axis=2) > 30
        _, patches, statistics, _ = cv2.connectedComponentsWithStats(clear.astype(np.uint8), connectivity=8)
        alone = statistics[:, cv2.CC_STAT_AREA] == 1  # no camera shows a single pixel: it may lie beside the box
        changed = clear & ~alone[patches]
        if box is None:
            assert np.array_equal(image, before)
            continue
        found += 1
        if not changed.any():
            continue
        rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
        # Every clear change is inside the box less its margin, give or take what the optics smear.
        assert box[0] - 1 <= columns[0] - 4 + 4
        assert box[1] - 1 <= rows[0] - 4 + 4
        assert box[2] + 1 >= columns[-1] + 1
        assert box[3] + 1 >= rows[-1] + 1
        if kind == "grey":
            assert np.ptp(image.astype(int), axis=2).max() <= 1
    assert found >= 10


def test_long_scratch_crosses_the_picture() -> None:
    widths = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        image = paint(np.ones((400, 400), np.uint8), Look("grey"), rng)
        box = surface.scratch(image, rng, 20.8, 0, length_um=20_000, start=(200.0, 200.0), angle=0.0)
        widths += [] if box is None else [box[2] - box[0]]
    assert len(widths) >= 5  # on bright copper a faint one is given up
    assert np.median(widths) > 350


def test_harmless_dirt_stays_faint() -> None:
    rng = np.random.default_rng(4)
    image = paint(np.ones((400, 400), np.uint8), Look("colour"), rng)
    before = image.copy()
    surface.harmless(image, rng)
    difference = np.abs(image.astype(int) - before.astype(int)).max(axis=2)
    assert 0 < difference.max() < 80
    assert (difference > 40).mean() < 0.001


def test_harmless_specks_are_smaller_than_any_defect() -> None:
    """The smallest residual copper, 50 um at 20 um a pixel, is 2.5 px wide; its edge takes another pixel."""
    specks = 0
    for seed in range(8):
        image = np.full((400, 400, 3), 110, np.uint8)
        surface.harmless(image, np.random.default_rng(seed))
        slow = cv2.medianBlur(image, 31).astype(int)
        sharp = (np.abs(image - slow).max(axis=2) > 8).astype(np.uint8)
        count, _, extents, _ = cv2.connectedComponentsWithStats(sharp, connectivity=8)
        specks += count - 1
        assert np.sqrt(extents[1:, cv2.CC_STAT_AREA].max(initial=0)) < 3.1
    assert specks > 5


def test_jpeg_leaves_traces_and_none_does_not() -> None:
    painted = paint(halves(), Look("colour"), np.random.default_rng(0))
    plain = capture(painted, Look("colour", noise=0, banding=0), np.random.default_rng(1))
    coded = capture(painted, Look("colour", noise=0, banding=0, jpeg=75), np.random.default_rng(1))
    assert not np.array_equal(plain, coded)
    assert np.abs(plain.astype(int) - coded.astype(int)).mean() < 6


def test_paint_beside_the_picture_is_no_defect() -> None:
    image = np.full((20, 20, 3), 90, np.uint8)
    beside = image[5:5, 3:9]
    assert commit(beside, beside.astype(np.float32), beside.astype(np.float32), np.array([3, 5]), 2) is None
    nothing = np.zeros((0, 6), np.uint8)
    for paint_on in (fill, lambda canvas, points: stroke(canvas, points, 2)):
        paint_on(nothing, np.array([[0.0, 0.0], [5.0, 5.0], [9.0, 0.0]]))
