"""The baseline finds what is plain to see, names it by its rules, and leaves a clean board alone."""

import cv2
import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="needs onnxruntime")

from training import baseline, recipes
from training.baseline import blobs

INNER = recipes.get("inner-layer").slugs
DARK, BRIGHT = 40, 200


def lines() -> np.ndarray:
    """Grey, three straight lines of copper 30 px wide on laminate, with camera noise."""
    image = np.full((320, 320), DARK, np.uint8)
    for x in (60, 145, 230):
        image[:, x : x + 30] = BRIGHT
    return image


def seen(image: np.ndarray) -> np.ndarray:
    """The camera's blur and noise."""
    noise = np.random.default_rng(0).normal(0, 4, image.shape)
    blurred = cv2.GaussianBlur(image, (0, 0), 1.0).astype(np.float64)
    return (blurred + noise).clip(0, 255).astype(np.uint8)


def best(image: np.ndarray, slug: str, function: str = "inner-layer") -> np.ndarray:
    """The box of the surest call of that label."""
    slugs = recipes.get(function).slugs
    found = baseline.detect(function, slugs, image)
    mine = np.flatnonzero(found.labels == slugs.index(slug))
    assert len(mine), f"no call named {slug}"
    assert found.scores[mine[0]] > 0.2
    return np.asarray(found.boxes[mine[0]])


def overlaps(box: np.ndarray, expected: tuple[int, int, int, int]) -> bool:
    x1, y1, x2, y2 = expected
    return bool(box[0] < x2 and box[2] > x1 and box[1] < y2 and box[3] > y1 and (box[2] - box[0]) < 90)


PLANTED = {
    "open": ((60, 150, 90, 164), DARK),
    "short": ((90, 150, 145, 160), BRIGHT),
    "nick": ((60, 150, 72, 162), DARK),
    "spur": ((175, 150, 187, 158), BRIGHT),
    "pinhole": ((156, 150, 166, 160), DARK),
    "residual_copper": ((110, 150, 122, 162), BRIGHT),
}


@pytest.mark.parametrize("slug", PLANTED)
def test_a_plain_defect_is_the_surest_call_of_its_label(slug: str) -> None:
    (x1, y1, x2, y2), level = PLANTED[slug]
    image = lines()
    image[y1:y2, x1:x2] = level
    assert overlaps(best(seen(image), slug), (x1, y1, x2, y2))


@pytest.mark.parametrize("slug", ["open", "short"])
def test_copper_is_the_dark_side_of_thresholded_channels(slug: str) -> None:
    (x1, y1, x2, y2), level = PLANTED[slug]
    image = lines()
    image[y1:y2, x1:x2] = level
    assert overlaps(best(np.where(image > 100, 0, 255).astype(np.uint8), slug), (x1, y1, x2, y2))


@pytest.mark.parametrize("function", baseline.FINDERS)
def test_every_function_answers_within_the_image_and_with_its_own_labels(function: str) -> None:
    slugs = recipes.get(function).slugs
    image = np.random.default_rng(1).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    for picture in (image, image[:, :, 0], np.full((64, 64), 128, np.uint8), seen(lines())):
        found = baseline.detect(function, slugs, picture)
        height, width = picture.shape[:2]
        assert (found.boxes >= 0).all()
        assert (found.boxes <= np.array([width, height, width, height])).all()
        assert ((found.scores >= 0) & (found.scores < 1)).all()
        assert (np.diff(found.scores) <= 0).all()


def test_clean_lines_give_no_sure_call() -> None:
    found = baseline.detect("inner-layer", INNER, seen(lines()))
    assert not (found.scores >= 0.3).any()


def test_a_dark_hole_among_plugged_ones_is_missing_its_plug() -> None:
    image = np.full((320, 320, 3), (190, 150, 120), np.uint8)
    for y in range(40, 300, 60):
        for x in range(40, 300, 60):
            cv2.circle(image, (x, y), 14, (15, 15, 15) if (x, y) == (160, 100) else (120, 120, 110), -1)
    assert overlaps(best(seen(image), "missing_plug", "resin-plug"), (146, 86, 174, 114))


def test_what_repeats_counts_less() -> None:
    calls = [blobs.Call("nick", (x, 0.0, x + 10.0, 12.0), 1.0) for x in (0.0, 50.0, 100.0)]
    calls += [blobs.Call("nick", (0.0, 50.0, 40.0, 90.0), 1.0), blobs.Call("open", (0.0, 0.0, 10.0, 12.0), 1.0)]
    assert [call.strength for call in blobs.rare(calls)] == pytest.approx([1 / 3, 1 / 3, 1 / 3, 1, 1])


def test_opening_and_closing_take_and_give_only_what_is_narrow() -> None:
    mask = np.zeros((60, 60), bool)
    mask[10:50, 10:50] = True
    mask[28:32, 50:58] = True  # a tooth, 4 px thick
    mask[28:32, 10:16] = False  # a slot, 4 px wide
    assert not blobs.opened(mask, 4)[28:32, 52:58].any()
    assert blobs.closed(mask, 4)[28:32, 11:16].all()
    assert blobs.opened(mask, 4)[20:24, 20:40].all()
    assert not blobs.closed(mask, 4)[:8].any()
