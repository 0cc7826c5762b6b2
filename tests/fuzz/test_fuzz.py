"""What chance makes of image files: 2,000 in CI, with limits on time and memory; by hand as many as one likes."""

from __future__ import annotations

from fuzz.__main__ import run
from fuzz.mutate import corpus

from pcb_aoi.engine import image


def test_every_file_of_the_corpus_is_whole() -> None:
    assert [name for name, data in corpus().items() if image.decode(data, 8).truncated] == []


def test_no_mutant_breaks_a_promise() -> None:
    figures, broken = run(2000, seed=0)
    assert [(name, reason) for name, reason, _ in broken] == []
    # Mutants that nobody reads would prove nothing.
    assert figures["outcomes"]["whole"] > 200
    assert figures["outcomes"]["truncated"] > 200
    assert figures["outcomes"]["bad_image"] > 50
