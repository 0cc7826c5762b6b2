"""The smoke call: post a sample board to a function's port, as CVAT does, and look at the answer.

Weights that this release ships must find every defect that is planted in the sample. A user's own weights and labels
know nothing of our samples: they are asked for a valid answer.
"""

from __future__ import annotations

import base64
import http.client
import json
import math
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy import say

TIMEOUT_S = 120
"""CVAT_NUCLIO_DEFAULT_TIMEOUT: what CVAT waits for one frame."""
_IOU = 0.5
THRESHOLD = 0.5
"""The weights are calibrated to it; a user's own default in model.yaml must not decide."""
_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAG7buVgAAAABJRU5ErkJggg=="

Json = dict[str, Any]


@dataclass(frozen=True)
class Verdict:
    """How a function answered."""

    ok: bool
    provider: str
    """ONNX Runtime's execution provider; "-", as the next ones, where the function did not say."""
    version: str
    sha256: str
    """Of the weights that answered."""
    ms: str
    remark: str
    about: Json
    """What it says of itself; empty where it did not."""


@dataclass(frozen=True)
class Sample:
    """One picture, and the defects that must be found in it; none where any valid answer will do."""

    image: bytes
    defects: list[Json]


def about(url: str, timeout_s: float = TIMEOUT_S) -> Json:
    """GET what a function says of itself.

    Raises:
        OSError: it does not answer, or with an error.
        ValueError: the answer is not the JSON object that it should be.
    """
    said = json.loads(_call(url, None, timeout_s)[0])
    if not isinstance(said, dict) or not {"labels", "slugs", "provider", "version", "sha256"} <= set(said):
        raise ValueError("the port is not answered by one of these functions")
    return said


def call(url: str, samples: Path) -> Verdict:
    """Ask the function what it is, and post the sample; never raises for what the function does."""
    facts: Json = {}
    try:
        facts = about(url)
        sample = pick(samples, facts)
        body = {"image": base64.b64encode(sample.image).decode(), "threshold": THRESHOLD}
        answer, seconds = _call(url, json.dumps(body).encode(), TIMEOUT_S)
        shapes = json.loads(answer)
        ok, remark = judge(shapes, sample.defects, facts)
        return _verdict(ok, facts, f"{seconds * 1000:.0f}", remark)
    except urllib.error.HTTPError as error:
        with error:
            said = f"{error} {error.read().decode(errors='replace')}"
        return _verdict(False, facts, "-", said)
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
        return _verdict(False, facts, "-", f"{type(error).__name__}: {error}")


def answers(url: str, timeout_s: float = 5) -> bool:
    """Say whether the function has loaded: it tells what it is, or says in words of its own why it cannot."""
    try:
        about(url, timeout_s)
    except urllib.error.HTTPError as error:
        with error:
            # nuclio's own answers while it starts are no JSON; {"code": ..., "message": ...} is the function's.
            return error.read(64).startswith(b'{"code"')
    except (OSError, http.client.HTTPException, ValueError):
        return False
    return True


def _verdict(ok: bool, facts: Json, ms: str, remark: str) -> Verdict:
    provider, version, sha256 = (str(facts.get(key, "-")) for key in ("provider", "version", "sha256"))
    return Verdict(ok, provider, version, sha256, ms, " ".join(remark.split())[:300], facts)


def pick(folder: Path, facts: Json) -> Sample:
    """Choose the smallest sample on which these weights are known to find everything, else the smallest to look at."""
    truth = folder / "truth.json"
    listed = json.loads(truth.read_text("utf-8"))["images"] if truth.exists() else []
    images = [image for image in listed if image["defects"]]
    images.sort(key=lambda image: (folder / image["file"]).stat().st_size)
    if not images:
        return Sample(base64.b64decode(_PIXEL), [])
    for image in images:
        # A function that is told another pitch reads the board at another scale; own labels are other names for it.
        same_pitch = facts.get("um_per_px") in (None, image["um_per_px"])
        same_labels = {defect["label"] for defect in image["defects"]} <= set(facts["slugs"])
        if facts["sha256"] in image.get("found_by", ()) and same_pitch and same_labels:
            return Sample((folder / image["file"]).read_bytes(), image["defects"])
    return Sample((folder / images[0]["file"]).read_bytes(), [])


def judge(shapes: object, planted: list[Json], facts: Json) -> tuple[bool, str]:
    """Say whether an answer is good, and the remark for the table: what was found, or which defect is missing.

    Raises:
        ValueError: CVAT could not read the answer.
    """
    boxes = _boxes(shapes, set(facts["labels"]))
    if not planted:
        return True, say.both("回答有效", "a valid answer")
    names = dict(zip(facts["slugs"], facts["labels"], strict=True))
    missing = [
        f"{defect['label']} {[round(side) for side in defect['box']]}"
        for defect in planted
        if not any(label == names.get(defect["label"]) and _iou(box, defect["box"]) >= _IOU for label, box in boxes)
    ]
    found = f"{len(planted) - len(missing)}/{len(planted)}"
    if missing:
        what = ", ".join(missing)
        return False, say.both(f"植入缺陷 {found}，漏检 {what}", f"planted defects {found}, missing: {what}")
    return True, say.both(f"植入缺陷 {found}", f"planted defects {found}")


def _boxes(shapes: object, labels: set[str]) -> list[tuple[str, list[float]]]:
    """Check the answer as CVAT would; return the label and the bounding box of each shape."""
    if not isinstance(shapes, list):
        raise ValueError("the answer is not a list of shapes")
    boxes = []
    for shape in shapes:
        points = shape["points"]
        if shape["label"] not in labels:
            raise ValueError(f"the label {shape['label']!r} is none of the function's")
        if len(points) < 4 or len(points) % 2 or not all(math.isfinite(value) for value in points):
            raise ValueError(f"the points of a shape are not a box or polygon: {points}")
        x, y = points[::2], points[1::2]
        boxes.append((shape["label"], [min(x), min(y), max(x), max(y)]))
    return boxes


def _iou(a: list[float], b: list[float]) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    inner = max(width, 0.0) * max(height, 0.0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inner
    return inner / union if union else 0.0


def _call(url: str, body: bytes | None, timeout_s: float) -> tuple[bytes, float]:
    # Proxies of the environment are for the world outside, and this is a port of this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    # A GET with a content type of JSON and no body leaves an error in nuclio's log.
    headers = {"Content-Type": "application/json"} if body else {}
    request = urllib.request.Request(url, data=body, headers=headers)
    started = time.perf_counter()
    with opener.open(request, timeout=timeout_s) as response:
        answer: bytes = response.read()
    return answer, time.perf_counter() - started
