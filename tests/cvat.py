"""CVAT's side of the contract, old and new: what it stores of a function's answer, and where a run fails.

Written from its observed behaviour, of three generations: 2.15 (July 2024), 2025 and 2026. `stored` is a whole run
over one frame; `strict` are this project's own, narrower rules, because CVAT stores much that it later cannot show.
"""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from PIL import Image

Generation = Literal["2.15", "2025", "2026"]
GENERATIONS: tuple[Generation, ...] = ("2.15", "2025", "2026")

_SHAPES = {"rectangle", "polygon", "polyline", "points", "ellipse", "cuboid", "mask", "skeleton", "tag"}


class RunFails(Exception):
    """CVAT ends the run here; with "clean" the old annotations are gone already."""


class ListFails(Exception):
    """CVAT's Models page stays empty, for every function of every user."""


@dataclass(frozen=True)
class Attribute:
    """An attribute of a label, as a task or a function's spec declares it."""

    name: str
    input_type: str = "text"
    values: tuple[str, ...] = ("",)


@dataclass(frozen=True)
class Label:
    """A label of a task or of a function's spec."""

    name: str
    type: str = "rectangle"
    attributes: tuple[Attribute, ...] = ()


@dataclass(frozen=True)
class Shape:
    """What lies in the database after a run."""

    label: str
    type: str
    points: tuple[float, ...]
    attributes: Mapping[str, str]
    rotation: float = 0.0
    source: str = "auto"


Mapped = Mapping[str, Mapping[str, Any]]
"""The dialog's table: model label -> {"name": task label, "attributes": {model attribute: task attribute}}."""


def listed(record: Mapping[str, Any], generation: Generation) -> tuple[Label, ...]:
    """Read one function of the platform's list; `record` has metadata, spec and status as nuclio answers them."""
    annotations = record["metadata"].get("annotations", {})
    try:
        record["spec"]["description"]
        int(annotations.get("version", "1"))
        spec = json.loads(annotations.get("spec") or "[]")
        unknown = "any" if generation == "2026" else "unknown"
        labels = tuple(
            Label(
                item["name"],
                item.get("type", unknown),
                tuple(Attribute(a["name"], a["input_type"], tuple(a["values"])) for a in item.get("attributes", [])),
            )
            for item in spec
        )
    except (KeyError, ValueError, TypeError) as error:
        raise ListFails(f"{type(error).__name__}: {error}") from error
    for names in ([label.name for label in labels], *([a.name for a in label.attributes] for label in labels)):
        if len(set(names)) != len(names):
            raise ListFails(f"not unique: {names}")
    if annotations.get("type") != "detector":
        raise ListFails(f"type {annotations.get('type')!r} is no detector")
    return labels


def fits(model: str, task: str) -> bool:
    """Whether the dialog offers a task label of type `task` for a model label of type `model`."""
    if model in ("unknown", "any"):
        return task != "skeleton" and (model == "unknown" or task == "any")
    return model == task or (task == "any" and model != "skeleton") or {model, task} == {"mask", "polygon"}


def default_mapping(model: Sequence[Label], task: Sequence[Label]) -> Mapped:
    """What the dialog fills in by itself: the same name, letter by letter, and a type that fits."""
    return {
        ours.name: {"name": theirs.name, "attributes": _same_names(ours, theirs)}
        for ours in model
        for theirs in task
        if ours.name == theirs.name and fits(ours.type, theirs.type)
    }


def _same_names(ours: Label, theirs: Label) -> dict[str, str]:
    names = {attribute.name for attribute in theirs.attributes}
    return {attribute.name: attribute.name for attribute in ours.attributes if attribute.name in names}


def payload(
    frame: bytes, threshold: float | None = None, roi: tuple[int, int, int, int] | None = None
) -> dict[str, object]:
    """Return the body that CVAT posts for a stored frame file, as nuclio's JSON parser hands it over.

    A region of interest (2026) is cut out and saved in the frame's own format. A threshold of 0 is never sent.
    """
    if roi:
        with Image.open(io.BytesIO(frame)) as image:
            stream = io.BytesIO()
            image.crop(roi).save(stream, image.format)
        frame = stream.getvalue()
    body: dict[str, object] = {"image": base64.b64encode(frame).decode("ascii")}
    if threshold:
        body["threshold"] = threshold
    return body


def stored(
    status: int,
    body: str,
    model: Sequence[Label],
    task: Sequence[Label],
    mapping: Mapped,
    generation: Generation,
) -> list[Shape]:
    """Return what a run stores of one frame's answer.

    Raises:
        RunFails: with what CVAT's log would show.
    """
    labels = {label.name: label for label in task}
    for ours, target in mapping.items():
        if ours not in {label.name for label in model} or target["name"] not in labels:
            raise RunFails(f"invalid mapping of {ours!r}")
    if not 200 <= status < 300:
        raise RunFails(f"HTTPError: {status}")
    try:
        items = json.loads(body)  # Python's, which takes NaN
        kept = [item for item in items if item["label"] in mapping]
        if generation == "2.15" and not kept:
            kept, mapping = items, {}  # its bug: an empty list is false, so the unfiltered one goes on
        found = [shape for item in kept if (shape := _shape(item, labels, mapping, generation))]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise RunFails(f"{type(error).__name__}: {error}") from error
    return found


def _shape(
    item: Mapping[str, Any], labels: Mapping[str, Label], mapping: Mapped, generation: Generation
) -> Shape | None:
    target = mapping.get(item["label"], {"name": item["label"], "attributes": {}})
    label = labels.get(target["name"])
    if label is None:
        return None
    if item["type"] not in _SHAPES:
        raise ValueError(f"type: {item['type']!r} is not a valid choice")
    attributes = _attributes(item.get("attributes", []), label, target.get("attributes", {}), generation)
    if item["type"] == "tag":
        return Shape(label.name, "tag", (), attributes)
    points = item["mask"] if item["type"] == "mask" else item["points"]
    if not isinstance(points, list) or any(isinstance(p, bool) or not isinstance(p, int | float) for p in points):
        raise ValueError("points: a valid number is required")
    rotation = item.get("rotation", 0)
    if not 0 <= rotation <= 360:
        raise ValueError("rotation: out of range")
    return Shape(label.name, item["type"], tuple(points), attributes, rotation)


def _attributes(items: object, label: Label, names: Mapping[str, str], generation: Generation) -> dict[str, str]:
    if generation == "2026" and not isinstance(items, list):
        raise TypeError("attributes: expected a list")
    known = {attribute.name: attribute for attribute in label.attributes}
    result = {attribute.name: attribute.values[0] for attribute in label.attributes}  # the task's defaults
    for item in items:  # type: ignore[attr-defined]
        name, value = item["name"], item["value"]
        attribute = known.get(names.get(name, ""))
        if attribute and _is_valid(attribute, value, generation):
            result[attribute.name] = str(value)
    return result


def _is_valid(attribute: Attribute, value: Any, generation: Generation) -> bool:  # noqa: ANN401
    match attribute.input_type:
        case "number" if generation == "2026":
            low, high, step = map(int, attribute.values)
            return low <= int(value) <= high and (int(value) - low) % step == 0
        case "number":
            digits: bool = value.isnumeric()  # an int has no such method: the run ends
            return digits
        case "checkbox":
            return value in ("true", "false")
        case "select" | "radio":
            return value in "\n".join(attribute.values)  # a part of a value passes too
        case _:
            return True


def strict(body: str, model: Sequence[Label], width: int, height: int, threshold: float) -> list[dict[str, Any]]:
    """Check what this project promises beyond CVAT's rules, and return the shapes. Raises AssertionError."""

    def constant(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    labels = {label.name: label for label in model}
    items: list[dict[str, Any]] = json.loads(body, parse_constant=constant)
    assert isinstance(items, list)
    for item in items:
        assert set(item) == {"label", "type", "points", "confidence", "attributes"}, item
        assert item["label"] in labels, item
        assert item["type"] == labels[item["label"]].type, item
        assert all(type(p) in (int, float) and math.isfinite(p) for p in item["points"]), item
        if item["type"] == "rectangle":
            x1, y1, x2, y2 = item["points"]
            assert 0 <= x1 < x2 <= width, item
            assert 0 <= y1 < y2 <= height, item
        else:
            _check_polygon(item["points"], width, height)
        assert type(item["confidence"]) is float, item
        assert threshold <= item["confidence"] <= 1, item
        declared = {attribute.name for attribute in labels[item["label"]].attributes}
        assert isinstance(item["attributes"], list), item
        assert all(set(a) == {"name", "value"} and type(a["value"]) is str for a in item["attributes"]), item
        assert {a["name"] for a in item["attributes"]} <= declared, item
        assert len(item["attributes"]) == len({a["name"] for a in item["attributes"]}), item
    assert [item["confidence"] for item in items] == sorted((item["confidence"] for item in items), reverse=True)
    return items


def _check_polygon(numbers: list[float], width: int, height: int) -> None:
    """5 to 30 points inside the frame, no two sides of which meet."""
    assert len(numbers) % 2 == 0, numbers
    points = list(zip(numbers[::2], numbers[1::2], strict=True))
    assert 5 <= len(points) <= 30, numbers
    assert all(0 <= x <= width and 0 <= y <= height for x, y in points), numbers
    sides = list(zip(points, points[1:] + points[:1], strict=True))
    for i, (a, b) in enumerate(sides):
        assert a != b, numbers
        for c, d in sides[i + 2 : len(sides) - (i == 0)]:
            one, other = _turn(a, b, c) * _turn(a, b, d), _turn(c, d, a) * _turn(c, d, b)
            apart = max(a[0], b[0]) < min(c[0], d[0]) or max(c[0], d[0]) < min(a[0], b[0])
            apart = apart or max(a[1], b[1]) < min(c[1], d[1]) or max(c[1], d[1]) < min(a[1], b[1])
            assert apart or one > 0 or other > 0, numbers


def _turn(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
