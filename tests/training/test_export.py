"""The exported file computes what the net computes, and its calibration can be moved afterwards."""

# ruff: noqa: E402  (what may be absent is asked for before it is imported)
# mypy: disallow-untyped-calls=False, warn-return-any=False

from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs onnx")
pytest.importorskip("onnxruntime", reason="needs onnxruntime")
torch = pytest.importorskip("torch", reason="needs the extra `train` (torch)")

from pcb_aoi.config.settings import Settings
from pcb_aoi.engine import runtime
from training.net.architecture import Net
from training.weights import export, model_file

LABELS = 3


@pytest.fixture(scope="module")
def net() -> Net:
    """Random weights with batch-norm statistics that are not the identity."""
    torch.manual_seed(1)
    detector = Net(LABELS)
    for module in detector.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.uniform_(-0.3, 0.3)
    for head in (detector.head8, detector.head32):
        head.labels.weight.data.normal_(std=0.3)
        head.distances.weight.data.normal_(std=0.1)
    return detector.eval()


@pytest.fixture(scope="module")
def file(net: Net, tmp_path_factory: pytest.TempPathFactory) -> Path:
    import copy

    model = export.to_onnx(copy.deepcopy(net), LABELS)
    onnx.helper.set_model_props(model, {"slugs": '["a", "b", "c"]', "version": "1"})
    path = tmp_path_factory.mktemp("export") / "model.onnx"
    model_file.save(model, path)
    return path


def run(file: Path, images: np.ndarray) -> list[np.ndarray]:
    """Boxes and scores."""
    found: list[np.ndarray] = runtime.create(file.read_bytes(), Settings(threads=1)).run(
        ["boxes", "scores"], {"images": images}
    )
    return found


@pytest.mark.parametrize("shape", [(1, 64, 64), (2, 96, 160), (3, 320, 64)])
def test_torch_and_onnx_agree_at_any_batch_and_size(net: Net, file: Path, shape: tuple[int, int, int]) -> None:
    images = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    boxes, scores = run(file, images)
    with torch.no_grad():
        expected = net(torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255)
    assert boxes.shape == (shape[0], len(expected.centres), 4)
    assert np.abs(scores - expected.logits.sigmoid().numpy()).max() < 1e-4
    upright = expected.boxes.clone()
    upright[..., 2:] = torch.maximum(upright[..., 2:], upright[..., :2])
    # Relative for large boxes: exp() multiplies float32 rounding.
    assert np.abs((boxes - upright.numpy()) / (1 + upright.abs().numpy())).max() < 1e-3
    assert (boxes[..., 2:] >= boxes[..., :2]).all()


def test_calibration_moves_scores_and_nothing_else(file: Path, tmp_path: Path) -> None:
    image = np.random.default_rng(1).integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)
    boxes, scores = run(file, image)
    model = onnx.load(file)
    assert [values.tolist() for values in model_file.read_calibration(model)] == [[1, 1, 1], [0, 0, 0]]
    model_file.write_calibration(model, np.array([2, 1, 1], np.float32), np.array([0.5, 0, -1], np.float32))
    model_file.save(model, tmp_path / "moved.onnx")
    moved_boxes, moved = run(tmp_path / "moved.onnx", image)
    logits = np.log(scores / (1 - scores))
    expected = 1 / (1 + np.exp(-(logits * [2, 1, 1] + [0.5, 0, -1])))
    assert np.abs(moved - expected).max() < 1e-4
    assert np.array_equal(boxes, moved_boxes)


def test_a_foreign_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(model_file.ModelFileError, match="calibration_slope"):
        model_file.read_calibration(onnx.ModelProto())
    with pytest.raises(model_file.ModelFileError, match="slugs"):
        model_file.slugs(onnx.ModelProto())


def test_model_yaml_learns_digest_and_version_and_keeps_its_comments(tmp_path: Path) -> None:
    config = tmp_path / "model.yaml"
    config.write_text("# top\nmodel: x\nversion: 0.0.1\nweights: model.onnx\nsha256: null # none yet\nhead: pcb\n")
    assert model_file.announce(tmp_path / "model.onnx", "ab" * 32, "0.2.0")
    expected = f'# top\nmodel: x\nversion: 0.2.0\nweights: model.onnx\nsha256: "{"ab" * 32}" # none yet\nhead: pcb\n'
    assert config.read_text() == expected
    assert model_file.announce(tmp_path / "model.onnx", "cd" * 32, "0.3.0")
    assert "cd" * 32 in config.read_text()
    assert not model_file.announce(tmp_path / "model-clean.onnx", "ef" * 32, "0.4.0")  # chosen are others
    assert "ef" * 32 not in config.read_text()
    config.write_text("model: x\nweights: model.onnx\n")
    with pytest.raises(model_file.ModelFileError, match="sha256"):
        model_file.announce(tmp_path / "model.onnx", "ab" * 32, "0.2.0")
    assert not model_file.announce(tmp_path / "elsewhere" / "model.onnx", "ab" * 32, "0.2.0")
