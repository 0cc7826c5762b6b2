"""Nets trained for several functions at once: labels are renumbered, others' labels learn nothing, rows come apart."""

# ruff: noqa: E402  (what may be absent is asked for before it is imported)
# mypy: disallow-untyped-calls=False

from dataclasses import replace

import numpy as np
import pytest

from training import together
from training.scene import IGNORED, Scene, SceneList


def test_labels_of_one_slug_are_one() -> None:
    assert together.union([["open", "short"], ["short", "nodule"]]) == ["open", "short", "nodule"]


def test_a_member_renumbers_its_labels_and_says_which_it_teaches() -> None:
    scene = Scene(np.zeros((8, 8), np.uint8), np.zeros((3, 4), np.float32), np.array([0, IGNORED, 1]))
    drawn = together.Member(SceneList([scene]), np.array([1, 4])).draw(np.random.default_rng(0))
    assert drawn.labels.tolist() == [1, IGNORED, 4]
    assert drawn.taught == (1, 4)
    assert scene.labels.tolist() == [0, IGNORED, 1]
    partly = together.Member(SceneList([replace(scene, taught=(1,))]), np.array([1, 4]))
    assert partly.draw(np.random.default_rng(0)).taught == (4,)  # what it cannot teach alone, it cannot beside others


torch = pytest.importorskip("torch", reason="needs the extra `train` (torch)")

from training import export, loss, starting_weights
from training.net import Detector


def test_what_an_image_cannot_teach_gets_no_gradient() -> None:
    torch.manual_seed(0)
    net = Detector(3)
    defects = torch.tensor([[[20.0, 20, 60, 60]]])
    prediction = net(torch.rand(1, 3, 96, 96))
    logits = prediction.logits.detach().requires_grad_()
    label_loss, _ = loss.detection_loss(
        prediction._replace(logits=logits), defects, torch.tensor([[1]]), torch.tensor([[False, True, True]])
    )
    label_loss.backward()
    assert logits.grad is not None
    assert logits.grad[..., 0].abs().max() == 0
    assert (logits.grad[..., 1:].abs().amax((0, 1)) > 0).all()


def test_one_functions_labels_come_out_in_its_own_order() -> None:
    torch.manual_seed(0)
    net = Detector(3).eval()
    for head in (net.head8, net.head32):
        torch.nn.init.normal_(head.labels.weight)
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        whole = net(image).logits
        assert export.pick(net, ["a", "b", "c"], ["c", "a"]) == ["c", "a"]
        part = net(image).logits
    assert torch.allclose(part, whole[..., [2, 0]], atol=1e-5)


def test_another_nets_rows_are_taken_over_by_name() -> None:
    theirs, ours = Detector(2), Detector(3)
    before = ours.head8.labels.weight.clone()
    starting_weights.load_matching(ours, dict(theirs.state_dict()), ["open", "short"], ("nick", "short", "open"))
    assert torch.equal(ours.head8.labels.weight[[2, 1]], theirs.head8.labels.weight)
    assert torch.equal(ours.head8.labels.weight[0], before[0])
    assert torch.equal(ours.state_dict()["stem.0.0.weight"], theirs.state_dict()["stem.0.0.weight"])
