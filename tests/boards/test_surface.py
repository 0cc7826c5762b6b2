"""Scratches of one board keep apart: where two meet, nobody can say from the picture that they are two."""

import numpy as np
from scipy.ndimage import distance_transform_edt

from boards.defects.surface import APART_PX, Scratches, scratch


def test_scratches_keep_apart_and_one_without_a_place_leaves_no_trace() -> None:
    laid = refused = 0
    for seed in range(3):
        image = np.full((400, 400, 3), 150, np.uint8)
        scratches = Scratches(image, 10.0, 3, np.random.default_rng(seed))
        own: list[np.ndarray] = []
        for _ in range(12):
            before = image.copy()
            box = scratches.lay()
            changed = (image != before).any(axis=2)
            if box is None:
                refused += 1
                assert not changed.any()
                continue
            assert changed.any()
            for other in own:
                assert distance_transform_edt(~other)[changed].min() > APART_PX
            own.append(changed)
        laid += len(own) > 1
    assert laid == 3
    assert refused > 5


def test_the_length_asked_for_is_drawn() -> None:
    image = np.full((300, 300, 3), 150, np.uint8)
    box = Scratches(image, 10.0, 0, np.random.default_rng(2)).lay(length_um=300.0)
    assert box is not None
    assert 10 < max(box[2] - box[0], box[3] - box[1]) < 90


def test_short_scratches_are_slender_too() -> None:
    """A bundle as wide as it is long looks like tin, or dirt."""
    flat = []
    for seed in range(200):
        image = np.full((200, 200, 3), 150, np.uint8)
        box = scratch(image, np.random.default_rng(seed), 10.0, 0, 400.0, (100.0, 100.0), 0.0)
        if box is not None:
            flat.append((box[3] - box[1]) / (box[2] - box[0]))
    assert len(flat) > 100
    assert np.mean(np.array(flat) > 0.8) < 0.1  # some bend
