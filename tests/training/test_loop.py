"""Batches, the schedule, and a run that goes on where it was interrupted."""

# ruff: noqa: E402  (what may be absent is asked for before it is imported)
# mypy: disallow-untyped-calls=False

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra `train` (torch)")

from pcb_aoi.exports.scene import IGNORED, PADDING, Scene, SceneList
from training.data import augment, batches
from training.net import loop
from training.net.architecture import BLOCKS, blocks_of
from training.weights import export


def board() -> SceneList:
    image = np.full((320, 320), 255, np.uint8)
    image[100:140, 100:140] = 0
    return SceneList([Scene(image, np.array([[100, 100, 140, 140]], np.float32), np.array([0]))])


def test_batches_depend_on_the_seed_and_the_number_alone() -> None:
    plan = batches.TrainingPlan(("open",), 10, 0.0, batch=4, side=64)
    whole = batches.batches(plan, [(1.0, board())], 0)
    next(whole), next(whole)
    third = next(whole)
    resumed = batches.batches(plan, [(1.0, board())], 2)
    by_two = itertools.islice(batches.batches(plan, [(1.0, board())], workers=2), 2, None)
    for other in (next(resumed), next(by_two)):
        for a, b in zip((*third[:-1], *third.pieces), (*other[:-1], *other.pieces), strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize(("length", "becomes"), [(80, IGNORED), (34, 0)])
def test_exchanged_a_short_as_long_and_thin_as_a_slot_is_no_open(
    length: int, becomes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(augment, "INVERTED", 1.0)
    monkeypatch.setattr(augment, "NEAR_DEFECT", 1.0)
    slugs = ("open", "short", "nick", "spur", "pinhole", "residual_copper")
    box = np.array([[100, 100, 100 + length, 128]], np.float32)
    short = SceneList([Scene(np.zeros((320, 320), np.uint8), box, np.array([1]))])
    labels = next(batches.batches(batches.TrainingPlan(slugs, 10, 0.0, batch=4, side=160), [(1.0, short)])).labels
    assert set(labels[labels != PADDING].tolist()) == {becomes}


def test_a_failing_source_ends_the_run() -> None:
    class Broken:
        def draw(self, rng: np.random.Generator) -> Scene:
            raise OSError("disk gone")

    plan = batches.TrainingPlan(("open",), 10, 0.0, batch=4, side=64)
    with pytest.raises(OSError, match="disk gone"):
        next(batches.batches(plan, [(1.0, Broken())], 0))


def test_the_schedule_warms_up_and_ends_small() -> None:
    rates = [loop.learning_rate(i, i / 1000) for i in range(1001)]
    assert rates[0] < 0.01
    assert max(rates) == pytest.approx(1.0, abs=0.06)
    assert rates[-1] == pytest.approx(loop.FINAL_RATE)


def test_training_learns_and_an_interrupted_run_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    slugs = ("open", "short")
    loop.train(batches.TrainingPlan(slugs, 3, 0.0, batch=4, side=64), [(1.0, board())], tmp_path)
    saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert saved["iteration"] == 3
    assert saved["slugs"] == list(slugs)
    loop.train(batches.TrainingPlan(slugs, 5, 0.0, batch=4, side=64), [(1.0, board())], tmp_path)
    assert "at iteration 3" in capsys.readouterr().out
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["iteration"] == 5


def test_blocks_that_a_start_lacks_are_added_as_next_to_nothing_and_stay(tmp_path: Path) -> None:
    still = batches.TrainingPlan(("open", "short"), 1, 0.0, batch=2, side=64, rate=0.0)
    start = loop.train(still, [(1.0, board())], tmp_path / "start")
    grown = loop.train(replace(still, blocks=(3, 3, 2)), [(1.0, board())], tmp_path / "grown", start)
    pixels = torch.rand(1, 3, 320, 320, generator=torch.Generator().manual_seed(1))
    (small, _), (large, _) = export.load_detector(start), export.load_detector(grown)
    assert (blocks_of(small.state_dict()), blocks_of(large.state_dict())) == (BLOCKS, (3, 3, 2))
    with torch.no_grad():
        before, after = small(pixels), large(pixels)
    assert (before.boxes - after.boxes).abs().max() < 1  # px
    again = loop.train(still, [(1.0, board())], tmp_path / "again", grown)
    assert blocks_of(torch.load(again, weights_only=True)["average"]) == (3, 3, 2)
    with pytest.raises(ValueError, match=r"\(3, 3, 2\)"):
        loop.train(replace(still, blocks=(3, 2, 2)), [(1.0, board())], tmp_path / "smaller", grown)


def test_collate_pads() -> None:
    crops = [augment.Crop(np.zeros((8, 8, 3), np.uint8), np.ones((n, 4), np.float32), np.zeros(n, int)) for n in (0, 2)]
    crops[1] = replace(crops[1], taught=(1,))
    images, box, labels, taught, _ = batches.collate(crops, 2)
    assert images.shape == (2, 8, 8, 3)
    assert box.shape == (2, 2, 4)
    assert labels.tolist() == [[PADDING, PADDING], [0, 0]]
    assert taught.tolist() == [[True, True], [False, True]]
