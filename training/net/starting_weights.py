"""What a run starts from: weights of a checkpoint or of a shipped model.onnx, and what these have learnt from."""

from __future__ import annotations

import itertools
from pathlib import Path

import torch
from torch import Tensor, nn

from pcb_aoi.exports.scene import Source
from training.data.batches import TrainingPlan, batches
from training.net.architecture import Residual

FAINT = 0.1  # gain of a block that the other net lacks: enough to learn, hardly a change
STATISTICS = 12  # batches from which a model.onnx that is trained further gets its batch norms back


def load_matching(model: nn.Module, weights: dict[str, Tensor], theirs: list[str], ours: tuple[str, ...]) -> None:
    """Take over the weights of another net; of the last layer, the rows of the labels that both have.

    Residual blocks that the other net lacks start out adding next to nothing.
    """
    own = model.state_dict()
    shared = [slug for slug in theirs if slug in ours]
    to, of = [ours.index(slug) for slug in shared], [theirs.index(slug) for slug in shared]
    for name, value in weights.items():
        if ".labels." in name:
            own[name][to] = value[of].to(own[name])  # its device and type
        elif name in own and value.shape == own[name].shape:
            own[name] = value
    for block, module in model.named_modules():
        if isinstance(module, Residual) and f"{block}.reduce.0.weight" not in weights:
            own[f"{block}.restore.1.weight"] = torch.full_like(own[f"{block}.restore.1.weight"], FAINT)
    model.load_state_dict(own)


def read(path: Path, plan: TrainingPlan, sources: list[tuple[float, Source]]) -> tuple[dict[str, Tensor], list[str]]:
    """The weights of another run's checkpoint or of a shipped model.onnx, and its labels."""
    if path.suffix != ".onnx":
        saved = torch.load(path, map_location="cpu", weights_only=True)
        return dict(saved["average"]), list(saved["slugs"])
    from training.net import warm_start  # onnx is needed here only

    detector, slugs = warm_start.load(path)
    feed = batches(plan, sources, 0)
    warm_start.unfold(detector, (batch.images for batch in itertools.islice(feed, STATISTICS)))
    feed.close()
    return detector.state_dict(), slugs


def history(path: Path) -> list[str]:
    """What the weights of a checkpoint or a model.onnx have learnt from, in sentences, the latest first."""
    if path.suffix == ".onnx":
        import onnx  # needed here only

        from training.weights import model_file

        return [model_file.metadata(onnx.load(path)).get("provenance", "not known.")]
    saved = torch.load(path, map_location="cpu", weights_only=True)
    return list(dict.fromkeys([*saved["learnt"], *saved["before"]]))
