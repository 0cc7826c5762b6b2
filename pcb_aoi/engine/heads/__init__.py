"""Decoders of network outputs, one export layout each; `head` in model.yaml names one."""

from __future__ import annotations

from pcb_aoi.engine.heads import listed, objectness, pcb, queries, yolov8
from pcb_aoi.engine.heads.base import Head, at_least

_HEADS = {
    head.name: head
    for head in (
        pcb.HEAD,
        yolov8.YOLOV8,
        objectness.YOLOV5,
        objectness.YOLOX,
        objectness.YOLOV6,
        listed.END2END,
        yolov8.YOLO9,
        yolov8.PICODET,
        yolov8.YOLOV8_UNIT,
        yolov8.RTDETR_ULTRALYTICS,
        queries.DETR,
        queries.DETR_IMAGENET,
        queries.RFDETR,
        queries.YOLO_NAS,
        listed.RTDETR,
        listed.EFFICIENT_NMS,
        listed.YOLOV7,
        listed.TORCHVISION,
    )
}

NAMES = tuple(_HEADS)


def get(name: str) -> Head:
    """Return the head of that name; KeyError if there is none (model_config has checked it)."""
    return _HEADS[name]


__all__ = ["NAMES", "Head", "at_least", "get"]
