"""replay/ holds what `python -m boards replay` draws, readable as an export, of every label of every function."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from boards import replay
from boards.process.board import PROCESSES
from pcb_aoi.exports.annotations import Report, decode_entry, index
from pcb_aoi.exports.label_names import Names

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = sorted(path.stem for path in (ROOT / "labelmaps").glob("*.yaml"))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_both_subsets_are_there_and_teach_every_label(function: str) -> None:
    names = Names.load(ROOT / "labelmaps" / f"{function}.yaml", PROCESSES[function].labels)
    for subset, count in replay.COUNTS.items():
        entries = index([ROOT / "replay" / f"{function}.zip"], names, subset=subset)
        assert len(entries) == count
        labels = {label for entry in entries for label in entry.labels}
        missing = [slug for number, slug in enumerate(names.slugs) if number not in labels]
        assert not missing or subset == "known"
        assert len(missing) <= 1


@pytest.mark.parametrize("function", ["inner-layer", "acid-outer-layer"])
def test_the_boards_are_those_that_are_drawn(function: str) -> None:
    """Function, subset and number decide everything; WebP loses a little grain."""
    names = Names.load(ROOT / "labelmaps" / f"{function}.yaml", PROCESSES[function].labels)
    first = index([ROOT / "replay" / f"{function}.zip"], names, subset="known")[0]
    stored, drawn = decode_entry(first, Report()), replay.draw(function, "known", 0)
    image = drawn.image if drawn.image.ndim == stored.image.ndim else drawn.image[..., None]
    assert np.abs(stored.image.astype(int) - image).mean() < 4
    assert np.allclose(stored.boxes, drawn.boxes, atol=0.06)
    assert stored.labels.tolist() == drawn.labels.tolist()
