"""Which head reads a network: found from its metadata, names, shapes and a trial run, or refused; never guessed.

The order is: what the file says of itself, the names of inputs and outputs, shapes, and the values of the trial run,
which tell pixels from shares, corners from centres and probabilities from logits.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pcb_aoi.config.settings import Settings
from pcb_aoi.engine import arrange
from pcb_aoi.engine.detections import Float32
from pcb_aoi.engine.heads import base, listed, objectness, yolov8
from pcb_aoi.engine.runtime import Runtime
from pcb_aoi.engine.signature import Port, Signature
from pcb_aoi.errors import ModelError


@dataclass(frozen=True)
class Reading:
    """The heads that may read a network, and why."""

    heads: tuple[str, ...]
    """One: found. Several, or not `sure`: a person has to choose."""
    why: str
    sure: bool = True


_FAMILIES = {
    "yolo9": "yolo9",
    "yolo9_e2e": "yolo9",
    "yolox": "yolox",
    "picodet": "picodet",
    "yolonas": "yolonas",
    "dfine": "detr",
    "deim": "detr",
    "rtdetr": "detr",
    "rtdetrv2": "detr",
    "rtdetrv4": "detr",
    "ec": "detr-imagenet",
    "rfdetr": "rfdetr",
}
LISTS = ("end2end", "yolov7", "efficientnms", "rtdetr")
"""Heads whose outputs tell numbers of classes, of which no shape says where they start."""
_UNIT_RGB = ("yolo9", "end2end", "yolonas", "detr")
"""Heads of LibreYOLO's families whose input an export with suppression inside shares."""


def side(signature: Signature) -> int:
    """Return the side of the square input in pixels: of the input's shape, else of the metadata's `imgsz`.

    Raises:
        ModelError: the input is no picture, not square, no multiple of 32, or of a size that nothing tells.
    """
    image = image_input(signature)
    if len(image.shape) != 4:
        raise ModelError(f"{image}: 输入不是一批图像 / the input is no batch of pictures (B, 3, H, W)")
    channels_last = image.shape[3] in (1, 3) and image.shape[1] not in (1, 3)
    sides = [length for length in (image.shape[1:3] if channels_last else image.shape[2:]) if isinstance(length, int)]
    if len(sides) < 2:  # what the shape leaves open, the metadata may tell
        sides = sides or _imgsz(signature.metadata)
    if not sides:
        raise ModelError(
            "文件没有说明输入尺寸，请用 --tile 给出训练时的 imgsz / "
            "nothing tells the input's size: give the imgsz of training with --tile"
        )
    if len(set(sides)) > 1:
        raise ModelError(
            f"输入 {sides[0]}×{sides[1]} 不是正方形；请导出正方形：imgsz={max(sides)} / "
            f"the input is {sides[0]} x {sides[1]}: export it square, imgsz={max(sides)}"
        )
    if sides[0] % 32:
        raise ModelError(
            f"输入边长 {sides[0]} 不是32的倍数；请用 imgsz={-(-sides[0] // 32) * 32} 导出 / "
            f"the input's side, {sides[0]}, is no multiple of 32: export with imgsz={-(-sides[0] // 32) * 32}"
        )
    return sides[0]


def _imgsz(metadata: Mapping[str, str]) -> list[int]:
    try:
        value = ast.literal_eval(metadata.get("imgsz") or metadata.get("tile", "[]"))  # `tile`: this project's
        return [value, value] if isinstance(value, int) else [int(length) for length in value][:2]
    except (ValueError, SyntaxError, TypeError):
        return []


def trial(signature: Signature, weights: bytes, tile: int, settings: Settings) -> list[Float32]:
    """Run the network once on a grey picture with noise and return its outputs, float32.

    Raises:
        ModelError: it does not run.
    """
    image = image_input(signature)
    sizes = {"orig_target_sizes": np.array((tile, tile), np.int64)} if len(signature.inputs) > 1 else None
    network = Runtime(weights, settings, batched=False, constants=sizes)
    picture = np.random.default_rng(0).integers(64, 192, (1, 3, tile, tile), dtype=np.uint8)
    unit = image.type != "tensor(uint8)"
    try:
        item = arrange.arrange(picture.astype(np.float32) / np.float32(255) if unit else picture, image.shape)
    except ValueError as error:
        raise ModelError(f"the weights take {image}, a tile of {tile} px feeds {error}") from None
    return network.run(item)


def image_input(signature: Signature) -> Port:
    """Return the input that takes pictures.

    Raises:
        ModelError: there is another input that nobody here can feed, or pictures of a type that is not read.
    """
    others = [port for port in signature.inputs if len(port.shape) != 4]
    images = [port for port in signature.inputs if len(port.shape) == 4]
    if len(images) != 1 or any(port.name != "orig_target_sizes" for port in others):
        names = ", ".join(map(str, signature.inputs))
        raise ModelError(
            f"输入应只有图像，这里是 {names}；请导出只有图像输入的模型（如不带 pixel_mask） / "
            f"the model must have one input of pictures, it has {len(signature.inputs)}: {names}; "
            "export it without the others (such as pixel_mask)"
        )
    return images[0]


def recognise(signature: Signature, outputs: Sequence[Float32], classes: int, tile: int) -> Reading:
    """Return the heads that read the network.

    Args:
        signature: the network's own words.
        outputs: float32, of a trial run with any picture.
        classes: how many classes the names or model.yaml tell of: one more than the highest number.
        tile: side of the input in pixels.

    Raises:
        ModelError: no head reads it; says what to do.
    """
    task = signature.metadata.get("task", "detect")
    if task not in ("detect", "segment"):
        raise ModelError(
            f"模型的任务是 {task}，这里只读检测和分割模型，请用 task=detect 训练 / task={task}: only detection and "
            "segmentation models are read; train one with task=detect"
        )
    image = image_input(signature)
    reading = _by_names(signature, outputs) or _by_shapes(signature, outputs, classes, tile)
    if image.type == "tensor(uint8)" and reading.heads != ("pcb",):
        raise ModelError(
            f"输入 {image.name} 是 uint8，预处理已在图中，这种文件不读；请导出 float 输入 / "
            f"the input {image.name} is uint8, with some preparation inside the graph: export it with a float input"
        )
    return reading


def _by_names(signature: Signature, outputs: Sequence[Float32]) -> Reading | None:
    """Layouts that the names of inputs and outputs tell."""
    names = [port.name for port in signature.outputs]
    why = f"outputs {', '.join(names)}"
    family = signature.family
    if any(port.name == "orig_target_sizes" for port in signature.inputs):
        if names[:3] != ["labels", "boxes", "scores"]:
            raise ModelError(f"with input orig_target_sizes, expected outputs labels, boxes, scores; got {why}")
        return Reading(("rtdetr",), f"input orig_target_sizes, {why}")
    if names[:2] in (["pred_logits", "pred_boxes"], ["logits", "pred_boxes"]):
        if family is None:
            return Reading(("detr",), why)
        if _FAMILIES.get(family) in ("detr", "detr-imagenet"):
            return Reading((_FAMILIES[family],), f"model_family {family}, {why}")
        if family == "deimv2":  # its larger sizes take ImageNet's normalisation, and the file does not tell its size
            return Reading(("detr", "detr-imagenet"), f"model_family {family}, {why}", sure=False)
        raise _unknown(f"model_family {family}, {why}")
    if names[:2] == ["dets", "labels"] and outputs[1].ndim == 3 and family in (None, "rfdetr"):
        return Reading(("rfdetr",), why)
    ranks = [output.ndim for output in outputs]
    if names[0].startswith("num") and ranks[1:] == [3, 2, 2] and _whole(signature) == [True, False, False, True]:
        return Reading(("efficientnms",), why)
    return None


def _whole(signature: Signature) -> list[bool]:
    """Of each output, whether it holds whole numbers: counts or classes."""
    return ["int" in port.type for port in signature.outputs]


def _by_shapes(signature: Signature, outputs: Sequence[Float32], classes: int, tile: int) -> Reading:
    shapes = base.shapes(outputs)
    first = outputs[0]
    ranks = [output.ndim for output in outputs]
    if ranks == [2, 1, 1] and first.shape[1] == 4 and _whole(signature) == [False, True, False]:
        if signature.family is not None:
            raise _unknown(f"model_family {signature.family}, {shapes}")
        return Reading(("torchvision",), f"{shapes}: boxes, labels from 1, scores of one picture")
    if len(outputs) == 1 and first.ndim == 2 and first.shape[1] == 7:
        return Reading(("yolov7",), f"{shapes}: rows of batch, box, class, score")
    pair = len(outputs) == 2 or (len(outputs) == 4 and image_input(signature).type == "tensor(uint8)")
    if pair and first.ndim == outputs[1].ndim == 3 and first.shape[2] == 4 and outputs[1].shape[2] == classes:
        return _of_pair(signature, shapes)
    masks = base.count_masks(outputs)
    raw = len(outputs) == 2 and outputs[1].ndim == 3 and signature.family is not None
    if first.ndim != 3 or len(outputs) != 1 + bool(masks) + raw:
        raise _unknown(shapes, classes)
    if _is_list(signature, first, masks, classes, tile):
        if signature.family is not None and _FAMILIES.get(signature.family) not in _UNIT_RGB:
            raise _unknown(f"model_family {signature.family}, {shapes}")
        return Reading(("end2end",), f"{shapes}: rows of box, score, class")
    if raw:
        raise _unknown(shapes, classes)
    return _of_anchors(signature, outputs, classes, masks, tile)


def _of_pair(signature: Signature, shapes: str) -> Reading:
    if image_input(signature).type == "tensor(uint8)":
        return Reading(("pcb",), f"uint8 input, boxes and scores {shapes}")
    if signature.family == "yolonas":
        return Reading(("yolonas",), f"model_family yolonas, {shapes}")
    return Reading(
        ("yolonas",),
        f"{shapes}: boxes and scores, as of YOLO-NAS; other families give them for other pixels than RGB in 0 to 1",
        sure=False,
    )


def _is_list(signature: Signature, first: Float32, masks: int, classes: int, tile: int) -> bool:
    """Whether rows of six are boxes found. One class makes rows of six of an anchor layout too, two make 4 + C."""
    if first.shape[2] != 6 + masks or first.shape[1] > listed.MOST_ROWS:
        return False
    if signature.metadata.get("end2end") == "True" or "'nms': True" in signature.metadata.get("args", ""):
        return True
    return objectness.anchors_per_cell(first.shape[1], tile) is None


def _of_anchors(signature: Signature, outputs: Sequence[Float32], classes: int, masks: int, tile: int) -> Reading:
    first, shapes, family = outputs[0], base.shapes(outputs), signature.family
    if family is not None and family not in _FAMILIES:
        raise _unknown(f"model_family {family}, {shapes}")
    wide = 4 + classes + masks
    if wide in first.shape[1:]:
        boxes, scores, _ = yolov8.split(outputs, classes)
        base.check_scores(scores)
        corners, rows_first = yolov8.are_corners(boxes), first.shape[1] != wide
        if base.is_unit(boxes):
            if corners:
                raise ModelError(f"{shapes}: boxes are corners in 0 to 1: export them in pixels")
            few = rows_first and first.shape[1] <= listed.MOST_ROWS
            return Reading(("rtdetr-ultralytics" if few else "yolov8-unit",), f"{shapes}: centres and sizes in 0 to 1")
        if family is not None:
            return Reading((_FAMILIES[family],), f"model_family {family}, {shapes}")
        if not corners:
            return Reading(("yolov8",), f"{shapes}: 4 + {classes} numbers a box, centres and sizes in pixels")
        if not rows_first:
            return Reading(("yolo9",), f"{shapes}: 4 + {classes} numbers a box, corners in pixels")
        why = f"{shapes}: 4 + {classes} numbers a box, corners in pixels: yolo9 feeds RGB in 0 to 1, picodet ImageNet's"
        return Reading(("yolo9", "picodet"), why, sure=False)
    if first.shape[2] == 5 + classes + masks:
        anchors = objectness.anchors_per_cell(first.shape[1], tile)
        if anchors is None:
            why = f"{shapes}: {first.shape[1]} rows are of no usual grid over {tile} px"
            return Reading(("yolov5", "yolox"), why, sure=False)
        why = f"{shapes}: 5 + {classes} numbers a box, {anchors} anchor(s) a cell"
        if anchors == 1 and (first[..., 4] == 1).all():
            return Reading(("yolov6",), f"{why}, objectness 1 everywhere")
        return Reading(("yolov5" if anchors == 3 else "yolox",), why)
    raise _unknown(shapes, classes)


def _unknown(seen: str, classes: int | None = None) -> ModelError:
    """Return the refusal of what was seen; `classes` where another number of them might be read."""
    chinese, english = (
        (f"，类别数 {classes}：请核对类别数，或", f" with {classes} classes: check the number of classes, or")
        if classes is not None
        else ("：请", ":")
    )
    return ModelError(
        f"不认识的输出 {seen}{chinese}导出 docs/own-weights 列出的格式 / "
        f"no head reads outputs {seen}{english} export one of the layouts in docs/own-weights"
    )
