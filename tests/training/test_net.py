"""Net, assignment, loss, optimizer: the parts do what their names say, on tensors small enough to think about."""

# ruff: noqa: E402  (what may be absent is asked for before it is imported)
# mypy: disallow-untyped-calls=False

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra `train` (torch)")

from pcb_aoi.exports.scene import IGNORED, PADDING
from training.data import batches, pieces
from training.net import box_math as boxes
from training.net import loss, muon
from training.net.architecture import BLOCKS, STRIDES, Blocks, Net, Prediction, blocks_of
from training.net.assign import TOP, assign, candidates


def prediction(image: int = 320, labels: int = 3) -> Prediction:
    """Four-cell boxes round every cell, all labels equally unlikely."""
    parts = []
    for stride in (8, 32):
        line = (torch.arange(image // stride) + 0.5) * stride
        y, x = torch.meshgrid(line, line, indexing="ij")
        centres = torch.stack((x.flatten(), y.flatten()), -1)
        parts.append((centres, torch.full((len(centres),), float(stride))))
    centres, strides = (torch.cat(part) for part in zip(*parts, strict=True))
    reach = (strides * 2).unsqueeze(-1)
    box = torch.cat((centres - reach, centres + reach), -1).unsqueeze(0)
    return Prediction(torch.full((1, len(centres), labels), -2.0), box, centres, strides)


@pytest.mark.parametrize("blocks", [BLOCKS, (3, 3, 2)])
def test_shapes_sizes_and_cost(blocks: Blocks) -> None:
    net = Net(8, blocks).eval()
    assert blocks_of(net.state_dict()) == blocks
    assert sum(weight.numel() for weight in net.parameters()) <= 1_500_000
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        out = net(torch.zeros(1, 3, 640, 640))
    assert counter.get_total_flops() <= 4e9
    assert out.logits.shape == (1, 80 * 80 + 20 * 20, 8)
    assert out.centres[0].tolist() == [4.0, 4.0]
    assert out.centres[-1].tolist() == [624.0, 624.0]
    assert out.logits.sigmoid().max() < 0.1  # nothing is called before training


@pytest.mark.parametrize(
    ("box", "strides"),
    [
        ((100, 100, 130, 140), {8}),
        ((40, 40, 160, 90), {8, 32}),
        ((10, 10, 310, 200), {32}),
        ((10, 101, 300, 103), {32}),
    ],
)
def test_levels_share_by_size_and_thin_boxes_find_a_cell(box: tuple[int, ...], strides: set[int]) -> None:
    guess = prediction()
    chosen = candidates(guess, torch.tensor([[box]], dtype=torch.float32))[0, 0]
    assert {int(stride) for stride in guess.strides[chosen]} == strides


def test_assignment_gives_each_defect_its_best_cells_only() -> None:
    guess = prediction()
    defects = torch.tensor([[[100.0, 100, 132, 132], [200, 200, 232, 232], [0, 0, 0, 0]]])
    targets = assign(guess, defects, torch.tensor([[1, 2, PADDING]]))
    weights = targets.weights[0]
    assert 0 < (weights > 0).sum() <= 2 * TOP
    for row, label in ((0, 1), (1, 2)):
        mine = (targets.boxes[0] == defects[0, row]).all(-1) & (weights > 0)
        assert mine.any()
        fit = boxes.iou(guess.boxes[0][mine], defects[0, row])
        assert weights[mine].max() == pytest.approx(float(fit.max()), abs=1e-5)
        assert (targets.scores[0][mine][:, label] > 0).all()
        assert targets.scores[0][mine].sum(-1).tolist() == targets.scores[0][mine][:, label].tolist()


def test_ignored_defects_teach_nothing_either_way() -> None:
    guess = prediction()
    defects = torch.tensor([[[100.0, 100, 132, 132]]])
    targets = assign(guess, defects, torch.tensor([[IGNORED]]))
    assert targets.weights.max() == 0
    assert targets.ignored[0].sum() == 25  # 5 x 5 centres of stride 8, border included
    logits = guess.logits.clone().requires_grad_()
    label_loss, box_loss = loss.detection_loss(guess._replace(logits=logits), defects, torch.tensor([[IGNORED]]))
    (label_loss + box_loss).backward()
    assert logits.grad is not None
    assert logits.grad[0][targets.ignored[0]].abs().max() == 0
    assert (logits.grad[0][~targets.ignored[0]] > 0).all()


def test_giou_has_a_gradient_towards_a_box_far_away() -> None:
    box = torch.tensor([0.0, 0, 10, 10], requires_grad=True)
    fit = boxes.giou(box, torch.tensor([50.0, 0, 60, 10]))
    fit.backward()
    assert fit < 0
    assert box.grad is not None
    assert box.grad[2] > 0
    assert boxes.giou(torch.tensor([0.0, 0, 4, 4]), torch.tensor([0.0, 0, 4, 4])) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("kind", ["bfloat16", "float32"])
@pytest.mark.parametrize("shape", [(32, 64), (64, 32), (48, 48)])
def test_orthogonalise(shape: tuple[int, int], kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    dtype = getattr(torch, kind)  # a name, as the type checker runs where there is no torch
    monkeypatch.setattr(muon, "fast_dtype", lambda _: dtype)
    torch.manual_seed(0)
    update = muon.orthogonalise(torch.randn(shape))
    assert update.dtype == dtype
    values = torch.linalg.svdvals(update.float())
    assert values.min() > 0.4
    assert values.max() < 1.4


def test_weights_of_one_shape_move_as_each_would_alone() -> None:
    torch.manual_seed(0)
    shapes = ((16, 8, 3, 3),) * 3 + ((8, 16, 1, 1),)
    together, alone = ([torch.nn.Parameter(torch.ones(shape)) for shape in shapes] for _ in range(2))
    gradients = [torch.randn_like(weight) * scale for scale, weight in zip((1, 5, 0.1, 1), together, strict=True)]
    one, several = muon.Muon(together), [muon.Muon([weight]) for weight in alone]
    for _ in range(3):
        for weight, other, gradient in zip(together, alone, gradients, strict=True):
            weight.grad, other.grad = gradient.clone(), gradient.clone()
        for optimizer in (one, *several):
            optimizer.step()
    for weight, other in zip(together, alone, strict=True):
        assert (weight - 1).abs().max() > 1e-4
        assert torch.allclose(weight, other, atol=1e-5)


def test_every_weight_has_exactly_one_optimizer() -> None:
    net = Net(8)
    owned = [
        id(w) for optimizer in muon.build_optimizers(net, 1e-3) for g in optimizer.param_groups for w in g["params"]
    ]
    assert sorted(owned) == sorted(id(weight) for weight in net.parameters())
    assert len(muon.build_optimizers(net, 1e-3)[0].param_groups[0]["params"]) > 20


def test_pieces_are_of_the_finest_level() -> None:
    assert STRIDES[0] == pieces.STRIDE


def prediction_of(detector: Net) -> Prediction:
    with torch.no_grad():
        guess: Prediction = detector.eval()(torch.zeros(1, 3, 320, 320))
    return guess


def test_the_loss_wants_the_pieces_and_spares_what_is_beside_them() -> None:
    points = np.stack((np.arange(20, 300, 3), np.arange(20, 300, 3) / 7 + 100), axis=1).astype(np.float32)
    found = pieces.cut(points, np.full(len(points), 2), np.zeros(len(points), np.int64), 320)
    own, beside = (torch.from_numpy(found.cells[found.labels == label]) for label in (2, IGNORED))
    parts = batches.collate_pieces([found])
    guess = prediction_of(Net(3))
    boxes, logits = guess.boxes.clone(), torch.full_like(guess.logits, -6.0)
    boxes[0, own] = torch.from_numpy(found.boxes[found.labels == 2])
    right = logits.clone()
    right[0, own, 2] = 6.0
    nothing = torch.zeros(1, 1, 4), torch.full((1, 1), -2)

    def total(guess: Prediction) -> float:
        return float(sum(loss.detection_loss(guess, *nothing, pieces=parts)))

    also_beside, elsewhere, other = right.clone(), right.clone(), right.clone()
    also_beside[0, beside, 2] = 6.0
    elsewhere[0, 39, 2] = 6.0
    other[0, beside, 1] = 6.0
    best = total(guess._replace(boxes=boxes, logits=right))
    assert best < 0.1 < total(guess._replace(boxes=boxes, logits=logits))
    assert total(guess._replace(boxes=boxes, logits=also_beside)) == pytest.approx(best)
    assert total(guess._replace(boxes=boxes, logits=elsewhere)) > best + 0.01
    assert total(guess._replace(boxes=boxes, logits=other)) > best + 0.01
