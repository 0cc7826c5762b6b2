"""Shapes of real defects keep their form and are split into training and test."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from boards.camera.look import Look
from boards.defects.shape_bank import ShapeBank
from boards.process.board import render_board


def write_masks(folder: Path) -> None:
    for index in range(10):
        mask = np.zeros((80, 80), np.uint8)
        if index % 5 == 4:
            cv2.line(mask, (10, 10), (70, 60), (255,), 3)
        else:
            cv2.circle(mask, (40, 40), 6 + index, (255,), -1)
        cv2.imwrite(str(folder / f"{index}.png"), mask)


def test_shapes_are_centred_scaled_and_split(tmp_path: Path) -> None:
    write_masks(tmp_path)
    rng = np.random.default_rng(0)
    train, test = ShapeBank.load(tmp_path), ShapeBank.load(tmp_path, held_out=True)
    assert len(train.outlines) == 8
    assert len(test.outlines) == 2
    blob, line = train.draw(30, rng), test.draw(30, rng)
    assert np.ptp(blob, axis=0) == pytest.approx([30, 30], abs=3)
    assert np.abs(blob.mean(0)).max() < 3
    assert np.linalg.svd(line, compute_uv=False)[1] < 0.3 * np.linalg.svd(line, compute_uv=False)[0]


def test_boards_use_the_shapes(tmp_path: Path) -> None:
    write_masks(tmp_path)
    pictures = []
    for bank in (None, ShapeBank.load(tmp_path)):
        rng = np.random.default_rng(3)
        wanted = {"exposed_nickel": 4, "stain": 4}
        board = render_board("gold-osp", (256, 256), None, Look("colour"), rng, wanted, shapes=bank)
        pictures.append(board.image)
        assert board.labels
    assert not np.array_equal(pictures[0], pictures[1])


def test_a_folder_without_masks_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no PNG"):
        ShapeBank.load(tmp_path)
