"""Weights of a shipped model.onnx as a net that can be trained on.

`export` folds every batch norm into its convolution and /255 into the stem. Unfolding is exact in evaluation mode
and restores what training relies on: filters of the size they have in a net in training (the steps of Muon are of a
fixed size, whatever the weight), and norms that hold the statistics of real batches, so that the step from running to
batch statistics, where an identity norm would change the function, is no step at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from training.net.architecture import ConvBlock, Net, blocks_of
from training.weights import model_file

FILTER_RMS = 0.1  # of the weights of a filter, as trained nets of this project have it
STEM = "stem.0"


def read_folded(path: Path) -> tuple[dict[str, Tensor], list[str]]:
    """Weights and biases of a file by `export`, and its labels.

    Raises:
        ModelFileError: not a file by `export`, or one of another net; says what is missing.
    """
    try:
        model = onnx.load(path)
    except Exception as error:  # protobuf has no public error of its own
        raise model_file.ModelFileError(f"{path}: not an ONNX file: {error}") from None
    tensors = {name: torch.from_numpy(value) for name, value in model_file.read_weights(model).items()}
    return tensors, model_file.slugs(model)


def load(path: Path) -> tuple[Net, list[str]]:
    """The net of a model.onnx in evaluation mode, its norms identities, without the calibration; and its labels.

    Raises:
        ModelFileError: see `read_folded`.
    """
    tensors, slugs = read_folded(path)
    detector = Net(len(slugs), blocks_of(tensors))
    state = detector.state_dict()
    # What is left after folding: a convolution's bias in place of its norm's, the rest under its own name.
    blocks = [name for name, module in detector.named_modules() if isinstance(module, ConvBlock)]
    renamed = {f"{block}.0.bias": f"{block}.1.bias" for block in blocks}
    given = {renamed.get(name, name): value for name, value in tensors.items()}
    wanted = {n for n in state if not n.endswith(("running_mean", "running_var", "num_batches_tracked"))}
    wanted -= {f"{block}.1.weight" for block in blocks}
    wrong = sorted(wanted ^ set(given)) or sorted(n for n in wanted if given[n].shape != state[n].shape)
    if wrong:
        raise model_file.ModelFileError(
            f"{path}: not the net of training/net.py: {len(wrong)} tensors differ, among them {', '.join(wrong[:3])}"
        )
    given[f"{STEM}.0.weight"] = given[f"{STEM}.0.weight"] * 255
    detector.load_state_dict(state | given)
    for norm in _norms(detector).values():
        _set_statistics(norm, torch.zeros(norm.num_features), torch.ones(norm.num_features))
        nn.init.ones_(norm.weight)
    return detector.eval(), slugs


@torch.no_grad()
def unfold(detector: Net, batches: Iterable[Tensor]) -> Net:
    """Give the identity norms of `load` the statistics of `batches`, uint8 (B, S, S, 3), and scale the filters.

    In place; what the net computes in evaluation mode stays the same.
    """
    norms = _norms(detector)
    sums = {name: torch.zeros(2, norm.num_features, dtype=torch.float64) for name, norm in norms.items()}
    handles = [_convolution(detector, name).register_forward_hook(_adder(total)) for name, total in sums.items()]
    count = 0
    for images in batches:
        detector(images.permute(0, 3, 1, 2).float() / 255)
        count += 1
    for handle in handles:
        handle.remove()
    for name, norm in norms.items():
        mean, square = sums[name] / count
        variance = (square - mean.square()).clamp(min=0)
        weight = _convolution(detector, name).weight
        size = weight.flatten(1).square().mean(1).sqrt()
        scale = torch.where(size > 1e-6, size / FILTER_RMS, torch.ones_like(size))
        weight.div_(scale[:, None, None, None])
        # The norm adds eps to the variance before the root; where a channel hardly varies, that would change it.
        deviation = (variance / scale.square()).clamp(min=norm.eps).sqrt()
        _set_statistics(norm, mean / scale, deviation.square())
        norm.weight.copy_(scale * deviation)
        norm.bias.add_(mean)
    return detector


def _norms(detector: Net) -> dict[str, nn.BatchNorm2d]:
    blocks = {name: module for name, module in detector.named_modules() if isinstance(module, ConvBlock)}
    return {name: block[1] for name, block in blocks.items()}  # type: ignore[misc]


def _set_statistics(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor) -> None:
    """Make the norm divide by exactly the root of `variance`, at least eps."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.copy_(mean)
    norm.running_var.copy_((variance - norm.eps).clamp(min=0))  # the norm adds eps before the root


def _convolution(detector: Net, block: str) -> nn.Conv2d:
    convolution = detector.get_submodule(f"{block}.0")
    assert isinstance(convolution, nn.Conv2d)
    return convolution


def _adder(total: Tensor) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
    """A hook that adds mean and mean square of each channel to `total` (2, C)."""

    def add(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> None:
        output = output.double()
        total.add_(torch.stack((output.mean((0, 2, 3)), output.square().mean((0, 2, 3)))))

    return add
