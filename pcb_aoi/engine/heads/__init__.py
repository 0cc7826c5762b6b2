"""Decoders of network outputs, one export layout a file; `head` in model.yaml names one."""

from __future__ import annotations

from pcb_aoi.engine.heads import end2end, objectness, pcb, yolov8
from pcb_aoi.engine.heads.base import Head, at_least

_HEADS = {head.name: head for head in (pcb.HEAD, yolov8.HEAD, objectness.YOLOV5, objectness.YOLOX, end2end.HEAD)}

NAMES = tuple(_HEADS)


def get(name: str) -> Head:
    """Return the head of that name; KeyError if there is none (model_config has checked it)."""
    return _HEADS[name]


__all__ = ["NAMES", "Head", "at_least", "get"]
