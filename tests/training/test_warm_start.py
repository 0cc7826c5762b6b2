"""Weights reloaded from a model.onnx compute what the file computes, before and after their norms are re-estimated."""

# ruff: noqa: E402  (what may be absent is asked for before it is imported)
# mypy: disallow-untyped-calls=False, warn-return-any=False

import copy
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs onnx")
pytest.importorskip("onnxruntime", reason="needs onnxruntime")
torch = pytest.importorskip("torch", reason="needs the extra `train` (torch)")

from torch import Tensor

from pcb_aoi.config.settings import Settings
from pcb_aoi.engine import runtime
from pcb_aoi.exports.scene import Scene, SceneList
from training.data.batches import TrainingPlan
from training.net import loop, starting_weights, warm_start
from training.net.architecture import BLOCKS, ConvBlock, Net
from training.weights import export, model_file

ROOT = Path(__file__).resolve().parents[2]


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


def images(count: int, side: int, seed: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8))


def apart(path: Path, detector: Net, pixels: Tensor) -> tuple[float, float]:
    """Largest difference of scores, and of boxes relative to their size, between a file and a net."""
    model = onnx.load(path)
    slope, offset = model_file.read_calibration(model)
    boxes, scores = runtime.create(path.read_bytes(), Settings(threads=1)).run(
        ["boxes", "scores"], {"images": pixels.numpy()}
    )
    with torch.no_grad():
        ours = detector(pixels.permute(0, 3, 1, 2).float() / 255)
    own = (ours.logits * torch.from_numpy(slope) + torch.from_numpy(offset)).sigmoid().numpy()
    upright = ours.boxes.clone()
    upright[..., 2:] = torch.maximum(upright[..., 2:], upright[..., :2])
    return float(np.abs(own - scores).max()), float(np.abs((boxes - upright.numpy()) / (1 + np.abs(boxes))).max())


def test_a_reloaded_net_computes_what_the_file_computes(file: Path) -> None:
    detector, slugs = warm_start.load(file)
    assert slugs == ["a", "b", "c"]
    assert max(apart(file, detector, images(2, 96, 0))) < 1e-4


def test_re_estimated_norms_change_nothing_and_hold_what_batches_have(file: Path) -> None:
    detector, _ = warm_start.load(file)
    warm_start.unfold(detector, [images(4, 128, seed) for seed in range(3)])
    assert max(apart(file, detector, images(2, 96, 9))) < 1e-4
    for block in (module for module in detector.modules() if isinstance(module, ConvBlock)):
        rms = block.get_parameter("0.weight").flatten(1).square().mean(1).sqrt()
        assert ((rms - warm_start.FILTER_RMS).abs() < 1e-4).logical_or(rms < 1e-6).all()
    # In training mode the norms take the statistics of the batch: on such a batch hardly another function.
    pixels = images(8, 128, 1).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        calm, trained = detector(pixels).logits, copy.deepcopy(detector).train()(pixels).logits
        folded = warm_start.load(file)[0].train()(pixels).logits
    assert (calm - trained).abs().mean() < 0.1 * calm.std()
    assert (calm - folded).abs().mean() > 0.5 * calm.std()


def test_an_exported_reload_is_the_same_file_again(file: Path, tmp_path: Path) -> None:
    detector, _ = warm_start.load(file)
    warm_start.unfold(detector, [images(2, 64, 0)])
    again = copy.deepcopy(detector)
    model = export.to_onnx(detector, 3)
    onnx.helper.set_model_props(model, {"slugs": '["a", "b", "c"]'})
    model_file.save(model, tmp_path / "again.onnx")
    assert max(apart(tmp_path / "again.onnx", again, images(1, 64, 3))) < 1e-4


FLOAT32 = sorted(path for path in (ROOT / "functions").glob("*/model*.onnx") if "int8" not in path.name)


@pytest.mark.parametrize("path", FLOAT32, ids=lambda path: path.parent.name)
def test_shipped_weights_can_be_trained_on(path: Path) -> None:
    detector, _ = warm_start.load(path)
    warm_start.unfold(detector, [images(2, 128, 0)])
    assert max(apart(path, detector, images(1, 128, 1))) < 1e-4


def test_other_files_are_refused(file: Path, tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"no model")
    with pytest.raises(model_file.ModelFileError, match="not an ONNX file"):
        warm_start.load(tmp_path / "x.onnx")
    model = onnx.load(file)
    for tensor in list(model.graph.initializer):
        if tensor.name == "detector.stage8.1.reduce.0.bias":
            model.graph.initializer.remove(tensor)
    onnx.save(model, tmp_path / "less.onnx")
    with pytest.raises(model_file.ModelFileError, match=r"1 tensors differ.*stage8\.1\.reduce"):
        warm_start.load(tmp_path / "less.onnx")


def test_of_another_function_s_file_the_body_is_taken_and_the_labels_that_both_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def as_they_are(path: Path, *_: object) -> tuple[dict[str, Tensor], list[str]]:
        net, slugs = warm_start.load(path)
        return net.state_dict(), slugs

    monkeypatch.setattr(starting_weights, "read", as_they_are)
    path = ROOT / "functions" / "resin-plug" / "model.onnx"
    net, slugs = warm_start.load(path)
    plan = TrainingPlan(("open", *slugs[::-1], "short"), iterations=1, minutes=0.0, batch=1, rate=0.0)
    empty = Scene(np.zeros((320, 320), np.uint8), np.empty((0, 4), np.float32), np.empty(0, np.int64), "empty")
    checkpoint = loop.train(plan, [(1.0, SceneList([empty]))], tmp_path, path)
    saved = torch.load(checkpoint, weights_only=True)
    own = saved["average"]
    assert torch.equal(own["lateral8.weight"], net.lateral8.weight)
    assert torch.equal(own["head8.labels.weight"][1:-1], net.head8.labels.weight.flip(0))
    assert saved["before"] == starting_weights.history(path)
