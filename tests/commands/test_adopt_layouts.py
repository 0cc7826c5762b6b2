"""adopt: every layout is found and right, or refused with the sentence that mends it; none is misread."""

from __future__ import annotations

import re

import layout_cases
import layouts
import numpy as np
import pytest
from layout_cases import CASES, Case
from PIL import Image, ImageDraw

DOCUMENT = layout_cases.ROOT / "tests" / "layouts.md"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_layout_is_right_or_refused(case: Case) -> None:
    made = layout_cases.outcome(case)
    assert re.search(case.says, made.text), made.text
    assert made.head == case.head, made.text
    assert made.status == (case.head is None)
    if case.head is None:
        return
    assert made.labels == list(case.labels)
    known = layouts.BOXES[: len(case.labels)]
    # Half a pixel: of float16, and of products with the tile's side.
    np.testing.assert_allclose(np.reshape(made.boxes, (-1, 4)).astype(np.float32), known, atol=0.1)
    assert (made.contours is not None) == case.masks
    for box, contour in zip(known if case.masks else [], made.contours or [], strict=True):
        # The smallest ellipse is two samples of the prototypes wide.
        assert overlap(np.array(contour), box) >= 0.75


def overlap(contour: np.ndarray, box: np.ndarray) -> float:
    """IoU of a polygon with the ellipse in a box, by counting points a fifth of a pixel apart."""
    y, x = (np.mgrid[: layouts.TILE * 5, : layouts.TILE * 5] + 0.5) / 5
    canvas = Image.new("1", x.shape)
    ImageDraw.Draw(canvas).polygon([tuple(point) for point in (contour * 5 - 0.5).tolist()], fill=1)
    (mx, my), (rx, ry) = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
    ellipse, inside = ((x - mx) / rx) ** 2 + ((y - my) / ry) ** 2 < 1, np.asarray(canvas)
    return float((ellipse & inside).sum() / (ellipse | inside).sum())


def test_no_two_cases_share_a_name_and_every_head_is_met() -> None:
    from pcb_aoi.engine import heads

    assert len({case.name for case in CASES}) == len(CASES)
    assert {case.head for case in CASES if case.head} == set(heads.NAMES)


def test_the_documents_table_is_what_adopt_does() -> None:
    """`PYTHONPATH=tests python tests/layout_cases.py > tests/layouts.md` writes it."""
    assert DOCUMENT.read_text("utf-8") == layout_cases.table()
