"""Does the device answer as the CPU does: every box within a pixel, every score within .01?

TF32 shortens what convolutions multiply from 24 to 11 significant bits. NVIDIA's libraries use it for float32 on Ampere
and newer cards unless NVIDIA_TF32_OVERRIDE is 0, which stands above ONNX Runtime's own option `use_tf32`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from gpu import process

MOST_PX = 1.0
MOST_SCORE = 0.01
_NEAR_PX = 20.0
TF32 = {"off": {"NVIDIA_TF32_OVERRIDE": "0"}, "on": {}}


@dataclass
class Agreement:
    """How two devices' answers to the same images differ."""

    images: int = 0
    boxes: int = 0
    """Of the reference."""
    worst_px: float = 0.0
    worst_score: float = 0.0
    missing: int = 0
    """Boxes of the reference that have no partner, and whose score is not just above the threshold."""
    extra: int = 0
    at_threshold: int = 0
    """Boxes without a partner within MOST_SCORE of the threshold: the other score may lie below it."""

    @property
    def ok(self) -> bool:
        """An answer without boxes agrees with everything, so there must be some."""
        close = self.worst_px <= MOST_PX and self.worst_score <= MOST_SCORE
        return self.boxes > 0 and close and not self.missing and not self.extra


def measure(names: Sequence[str], device: str, settings: Sequence[str], batch: int | None) -> list[dict[str, Any]]:
    """Compare `device` with the CPU at batch 1, per setting of TF32 and function."""
    reference = process.call("functions.ask", names=names, device="cpu", batch=1)
    rows = []
    for setting in settings:
        answers = process.call("functions.ask", TF32[setting], names=names, device=device, batch=batch)
        for name in names:
            found = compare(reference[name]["images"], answers[name]["images"], reference[name]["threshold"])
            facts = {"function": name, "tf32": setting, "provider": answers[name]["provider"]}
            rows.append({**facts, "version": answers[name]["version"], **asdict(found), "ok": found.ok})
    return rows


def compare(reference: Mapping[str, Any], other: Mapping[str, Any], threshold: float) -> Agreement:
    """Compare {file: shapes as CVAT gets them} of the same files."""
    assert reference.keys() == other.keys()
    result = Agreement(images=len(reference))
    for name, shapes in reference.items():
        free = list(other[name])
        result.boxes += len(shapes)
        for shape in shapes:
            partner = min(
                (s for s in free if s["label"] == shape["label"]), key=lambda s: _apart(s, shape), default=None
            )
            if partner is None or _apart(partner, shape) > _NEAR_PX:
                _alone(result, shape, threshold, "missing")
                continue
            free.remove(partner)
            result.worst_px = max(result.worst_px, _apart(partner, shape))
            result.worst_score = max(result.worst_score, abs(partner["confidence"] - shape["confidence"]))
        for shape in free:
            _alone(result, shape, threshold, "extra")
    return result


def _apart(one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    """The largest distance of a side, px."""
    return max(abs(float(a) - float(b)) for a, b in zip(one["points"], other["points"], strict=True))


def _alone(result: Agreement, shape: Mapping[str, Any], threshold: float, kind: str) -> None:
    kind = "at_threshold" if shape["confidence"] < threshold + MOST_SCORE else kind
    setattr(result, kind, getattr(result, kind) + 1)
