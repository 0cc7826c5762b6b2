"""Ratios measured in one run, so that they hold on any machine: `python -m tests.speed` prints the figures."""

from __future__ import annotations

from pathlib import Path

import pytest
from calling import Function
from speed import network, pipeline, suppression

from pcb_aoi.config.model_config import ModelConfig

FOLDER = Path(__file__).parents[2] / "functions/inner-layer"
LIMIT = 1.25
WEIGHTS = sorted(path for path in FOLDER.parent.glob("*/model*.onnx") if "int8" not in path.name)


@pytest.mark.skipif(ModelConfig.load(FOLDER / "model.yaml").sha256 is None, reason="inner-layer has no weights yet")
@pytest.mark.parametrize(("side", "rounds"), [(640, 21), (4096, 3)])
def test_the_handler_adds_little_to_decoding_and_inference(side: int, rounds: int) -> None:
    function = Function(FOLDER, {"PCB_AOI_PRECISION": "float32"})  # what the limit was set for
    # On a shared machine a median can catch somebody else's burst; a handler that is really slow fails thrice.
    ratios: list[float] = []
    while len(ratios) < 3:
        measured = pipeline.measure(function, side, rounds)
        ratios.append(round(measured.ratio, 3))
        if measured.ratio <= LIMIT:
            return
    pytest.fail(f"handler / (decoding + inference) is {ratios}, limit {LIMIT}")


@pytest.mark.parametrize(("layout", "limit"), [("scattered", 1), ("crowded", 5)])
def test_suppression_keeps_up_with_the_textbook_and_says_the_same(layout: str, limit: float) -> None:
    """The loop is at its best where a few boxes remove all others, and at its worst where every box stays."""
    races = [suppression.race(layout, suppression.MOST) for _ in range(3)]
    assert min(race.ours / race.textbook for race in races) <= limit, races


@pytest.mark.parametrize("path", WEIGHTS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_net_is_small_and_about_as_fast_as_plain_convolutions(path: Path) -> None:
    costs: list[network.Cost] = []
    while len(costs) < 3:
        costs.append(network.measure(path))
        assert costs[-1].parameters <= 1_500_000
        assert costs[-1].flops <= 4_000_000_000
        if costs[-1].ratio <= 2.5:
            return
    pytest.fail(f"slower than 2.5 times plain convolutions of as many FLOPs: {costs}")
