"""A trained net as an ONNX graph: uint8 NHWC in, boxes and calibrated scores out. Calibration starts neutral."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn
from torch.nn.utils import fusion

from training.net.architecture import ConvBlock, Net, blocks_of
from training.weights import model_file

OPSET = 17


class Exported(nn.Module):
    """What the file computes: uint8 (B, H, W, 3) RGB -> boxes float32 (B, A, 4), scores float32 (B, A, C)."""

    def __init__(self, detector: Net, labels: int) -> None:
        super().__init__()
        self.detector = detector
        self.register_buffer(model_file.SLOPE, torch.ones(labels))
        self.register_buffer(model_file.OFFSET, torch.zeros(labels))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        prediction = self.detector(images.permute(0, 3, 1, 2).float())
        logits = prediction.logits * self.calibration_slope + self.calibration_offset
        # A wild distance may turn a box inside out: an empty box at its left top is harmless, an inverted one is not.
        top_left = prediction.boxes[..., :2]
        boxes = torch.cat((top_left, torch.maximum(prediction.boxes[..., 2:], top_left)), dim=-1)
        return boxes, logits.sigmoid()


def fold(detector: Net) -> Net:
    """Batch norms into their convolutions, /255 into the stem; in place."""
    for module in detector.modules():
        if isinstance(module, ConvBlock):
            convolution, norm = module[0], module[1]
            assert isinstance(convolution, nn.Conv2d)
            assert isinstance(norm, nn.BatchNorm2d)
            module[0], module[1] = fusion.fuse_conv_bn_eval(convolution, norm), nn.Identity()
    first = next(part for part in detector.stem.modules() if isinstance(part, nn.Conv2d))
    with torch.no_grad():
        first.weight.div_(255)
    return detector


def load_detector(checkpoint: Path) -> tuple[Net, list[str]]:
    """The averaged weights of a training run, in evaluation mode, and their labels."""
    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
    detector = Net(len(saved["slugs"]), blocks_of(saved["average"]))
    detector.load_state_dict(saved["average"])
    return detector.eval(), list(saved["slugs"])


def to_onnx(detector: Net, labels: int) -> onnx.ModelProto:
    """The graph, with dynamic batch, height and width. `detector` is folded in place."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # The TorchScript exporter is deprecated but needs no further package and writes the smaller graph.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Exported(fold(detector), labels).eval(),
            (torch.zeros(1, 64, 96, 3, dtype=torch.uint8),),
            str(Path(folder) / "model.onnx"),
            opset_version=OPSET,
            dynamo=False,
            input_names=["images"],
            output_names=["boxes", "scores"],
            dynamic_axes={
                "images": {0: "batch", 1: "height", 2: "width"},
                "boxes": {0: "batch", 1: "cells"},
                "scores": {0: "batch", 1: "cells"},
            },
        )
        return onnx.load(Path(folder) / "model.onnx")
