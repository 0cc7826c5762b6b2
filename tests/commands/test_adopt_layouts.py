"""adopt: every layout is found and right, or refused with the sentence that mends it; none is misread."""

from __future__ import annotations

import re

import layout_cases
import layouts
import numpy as np
import pytest
from layout_cases import CASES, Case

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


def test_no_two_cases_share_a_name_and_every_head_is_met() -> None:
    from pcb_aoi.engine import heads

    assert len({case.name for case in CASES}) == len(CASES)
    assert {case.head for case in CASES if case.head} == set(heads.NAMES) - {"pcb"}


def test_the_documents_table_is_what_adopt_does() -> None:
    """`PYTHONPATH=tests python tests/layout_cases.py > tests/layouts.md` writes it."""
    assert DOCUMENT.read_text("utf-8") == layout_cases.table()
