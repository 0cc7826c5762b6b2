"""One command trains a recipe's net, on rendered boards, on published sets of real ones, or on both."""

# ruff: noqa: E402  (what may be absent is asked for before it is imported)
# mypy: disallow-untyped-calls=False

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
import pytest
from training_exports import Item, unpacked, yolo

onnx = pytest.importorskip("onnx", reason="needs onnx")
torch = pytest.importorskip("torch", reason="needs the extra `train` (torch)")

from boards import checkpoint as checkpoint_file
from boards import recipes, train
from pcb_aoi.engine import polarity
from training.data.batches import ITERATIONS, TrainingPlan
from training.net import starting_weights, warm_start
from training.net.architecture import BLOCKS, Net
from training.weights import export, function_versions, model_file

ROOT = Path(__file__).resolve().parents[2]
LABEL_MAP = ROOT / "labelmaps" / "published" / "pcb-ind.yaml"


@pytest.fixture(scope="module", params=[BLOCKS, (3, 3, 2)], ids=str)
def file(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """A random net, exported; one channel of its first norm is dead."""
    torch.manual_seed(1)
    detector = Net(3, request.param)
    for module in detector.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.uniform_(-0.3, 0.3)
    detector.get_parameter("stem.0.1.weight").data[0] = 0
    for head in (detector.head8, detector.head32):
        head.labels.weight.data.normal_(std=0.3)
        head.distances.weight.data.normal_(std=0.1)
    model = export.to_onnx(detector.eval(), 3)
    onnx.helper.set_model_props(model, {"slugs": '["a", "b", "c"]', "version": "1", "provenance": "Made up."})
    path = tmp_path_factory.mktemp("warm") / "model.onnx"
    model_file.save(model, path)
    return path


@pytest.mark.parametrize(("function", "bright_copper"), [("acid-outer-layer", False), ("inner-layer", True)])
def test_one_command_trains_shipped_weights_on_a_published_set(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str, bright_copper: bool
) -> None:
    items = [Item(f"{i}.png", 90, 80, (("copper_burr", 10, 10, 40, 40),), "train") for i in range(3)]
    folder = unpacked(tmp_path / "set", yolo(items, listed=False))
    monkeypatch.setattr(train, "restart_with_allocator", lambda: None)
    monkeypatch.setattr(starting_weights, "STATISTICS", 1)
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    text = f"{function} --real {folder} {LABEL_MAP} train --out {tmp_path / 'out'} --start-from {file} --iterations 1"
    assert train.run(parser.parse_args(text.split())) == 0
    checkpoint = tmp_path / "out" / "checkpoint.pt"
    detector, slugs = export.load_detector(checkpoint)
    assert slugs == recipes.get(function).slugs
    exported = tmp_path / "exported.onnx"
    arguments = argparse.Namespace(function=function, checkpoint=checkpoint, out=exported, version=None)
    assert checkpoint_file.run(arguments) == 0
    shipped = function_versions.next_version(Path("functions") / function)
    assert model_file.metadata(onnx.load(exported))["version"] == shipped  # what model.yaml will announce
    assert polarity.bright_copper(model_file.metadata(onnx.load(exported))) == bright_copper
    own, given = detector.lateral8.weight, warm_start.load(file)[0].lateral8.weight
    assert (own - given).abs().max() < 1e-2  # what it started from, whatever the labels
    credit = "Trained on PCB-IND v4 (CC BY 4.0: Yan, H. et al., Zenodo 10.5281/zenodo.19723114)."
    assert checkpoint_file.provenance(checkpoint) == f"{credit} Before that: Made up."


@pytest.mark.parametrize(
    ("options", "expected"),
    [("--minutes 5", math.inf), ("", ITERATIONS), ("--iterations 7 --minutes 5", 7)],
)
def test_minutes_alone_end_a_run_however_fast_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: str, expected: float
) -> None:
    items = [Item("0.png", 90, 80, (("copper_burr", 10, 10, 40, 40),), "train")]
    folder = unpacked(tmp_path / "set", yolo(items, listed=False))
    plans: list[TrainingPlan] = []
    monkeypatch.setattr(train, "restart_with_allocator", lambda: None)
    monkeypatch.setattr(train, "train", lambda plan, *_: plans.append(plan))
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    text = f"acid-outer-layer --real {folder} {LABEL_MAP} train --out {tmp_path / 'out'} {options}"
    assert train.run(parser.parse_args(text.split())) == 0
    assert plans[0].end == expected


def test_published_sets_share_the_crops_with_the_rest(tmp_path: Path) -> None:
    items = [Item(f"{i}.png", 90, 80, (("copper_burr", 10, 10, 40, 40),), "train") for i in range(3)]
    real = [str(unpacked(tmp_path / "set", yolo(items, listed=False))), str(LABEL_MAP), "train"]
    ((alone, _),) = train.published([real], "acid-outer-layer", 0.0)
    (first, source), (second, _) = train.published([real, real], "acid-outer-layer", 1.1)
    assert alone == 1.0
    assert first == second == pytest.approx(0.55)
    scene = source.draw(np.random.default_rng(0))
    assert min(scene.image.shape[:2]) >= 640
