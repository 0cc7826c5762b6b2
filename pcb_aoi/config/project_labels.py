"""The labels of a user's CVAT project: read from what CVAT shows and exports, and compared with a labelmap."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from pcb_aoi.config import spelling
from pcb_aoi.config.labelmap import TYPES, Label, Labelmap, Text
from pcb_aoi.config.safe_xml import has_document_type
from pcb_aoi.errors import ConfigError

SHAPED = {"rectangle": "rectangle", "polygon": "polygon", "mask": "polygon"}
"""Type of a project's label -> the type of ours that it takes; `any` and an unknown type take both."""
NOT_SHAPED = ("skeleton", "tag", "points", "polyline", "ellipse", "cuboid")
_MEMBERS = ("project.json", "task.json", "annotations.xml")
_MOST = 64 * 2**20
_COLOURS = (
    "#e6194b",
    "#3cb44b",
    "#ffe119",
    "#4363d8",
    "#f58231",
    "#911eb4",
    "#42d4f4",
    "#f032e6",
    "#bfef45",
    "#469990",
)


_UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, ElementTree.ParseError, zipfile.BadZipFile)


@dataclass(frozen=True)
class ProjectLabel:
    """One label of a project."""

    name: str
    type: str = "any"
    color: str | None = None


def read(path: Path) -> list[ProjectLabel]:
    """Read the labels of a project.

    Args:
        path: the JSON of the label constructor's *Raw* tab; project.json or task.json of a backup; annotations.xml of
            an export *CVAT for images*; a COCO file; or the .zip of a backup or an export that holds one of these.

    Raises:
        ConfigError: there is no such file, or it is none of these; names the file.
    """
    try:
        name, data = _content(path)
        found = _of_xml(data) if name.endswith(".xml") else _of_json(json.loads(data.decode("utf-8-sig")))
    except _UNREADABLE as e:
        raise ConfigError(
            f"{path}: 读不出标签。请给出标签 Raw 页的 JSON、project.json、annotations.xml 或导出的 .zip / no labels "
            "can be read: give the JSON of the labels' Raw tab, project.json, annotations.xml, or an export's .zip",
            detail=f"{type(e).__name__}: {e}",
        ) from e
    unique = {label.name: label for label in found if label.name}
    if not unique:
        raise ConfigError(f"{path}: 没有标签 / has no labels")
    return list(unique.values())


def _content(path: Path) -> tuple[str, bytes]:
    data = path.read_bytes()
    if not zipfile.is_zipfile(io.BytesIO(data)):
        return path.name.lower(), data
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [item for item in archive.infolist() if item.file_size <= _MOST]
        for wanted in (*_MEMBERS, ".json"):
            for item in members:
                if item.filename.endswith(wanted):
                    return item.filename.lower(), archive.read(item)
    raise ValueError(f"holds none of {', '.join(_MEMBERS)}")


def _of_json(data: Any) -> list[ProjectLabel]:  # noqa: ANN401 - JSON of unknown origin
    if isinstance(data, dict) and "labels" not in data and isinstance(data.get("categories"), list):
        data = data["categories"]  # COCO
    items = data["labels"] if isinstance(data, dict) else data
    return [ProjectLabel(str(x["name"]).strip(), str(x.get("type") or "any"), _colour(x.get("color"))) for x in items]


def _of_xml(data: bytes) -> list[ProjectLabel]:
    if has_document_type(data):
        raise ValueError("CVAT writes no document type")
    labels = ElementTree.fromstring(data).findall("./meta//labels/label")
    return [
        ProjectLabel(
            (label.findtext("name") or "").strip(), label.findtext("type") or "any", _colour(label.findtext("color"))
        )
        for label in labels
    ]


def _colour(value: object) -> str | None:
    text = str(value).lower()
    return text if re.fullmatch(r"#[0-9a-f]{6}", text) else None


@dataclass(frozen=True)
class Pairing:
    """What one label of the project is to us."""

    project: ProjectLabel
    label: Label | None
    """Ours, as it would be from now on; None: a label that CVAT's automatic annotation of shapes cannot fill."""
    before: Label | None
    """Ours as it is; None: there is none yet."""

    @property
    def what(self) -> str:
        """`same`, `changed`, `new`, or `left out`."""
        if self.label is None:
            return "left out"
        return "new" if self.before is None else "same" if self.label == self.before else "changed"


def compare(project: Sequence[ProjectLabel], labelmap: Labelmap, key: str) -> list[Pairing]:
    """Find what each label of the project is to a function's labelmap: an equal name, then any way of writing.

    Args:
        project: the project's labels.
        labelmap: ours.
        key: the name that CVAT is shown: `zh`, `en`, or `general`, the general Chinese word where there is one.
    """
    exact = {_shown(label, key): label for label in labelmap.labels}
    taken = {label.slug for name, label in exact.items() if any(name == one.name for one in project)}
    by_slug = {label.slug: label for label in labelmap.labels}
    slugs, result = set(by_slug), []
    for one in project:
        if one.type in NOT_SHAPED:
            result.append(Pairing(one, None, None))
            continue
        ours = exact.get(one.name)
        if ours is None:
            left = [slug for slug in spelling.match(one.name, labelmap).slugs if slug not in taken]
            # An alias of several labels, or one that another label of the project has already taken, is a new label.
            ours = by_slug[left[0]] if len(left) == 1 else None
        if ours is None:
            label = _new(one, slugs, labelmap)
            slugs.add(label.slug)
        else:
            taken.add(ours.slug)
            label = _renamed(ours, one, key)
        result.append(Pairing(one, label, ours))
    # A word that is a label of its own from now on is another label's name no more.
    new = {x.project.name for x in result if x.what == "new"}
    return [
        replace(x, label=_less(x.label, new)) if x.label is not None and x.before is not None else x for x in result
    ]


def _less(label: Label, words: set[str]) -> Label:
    aliases = tuple(word for word in label.aliases if word not in words)
    return replace(label, aliases=aliases, general=None if label.general in words else label.general)


def _shown(label: Label, key: str) -> str:
    return label.general or label.name.zh if key == "general" else label.name.get(key)


def _renamed(label: Label, project: ProjectLabel, key: str) -> Label:
    """Return ours under the project's name and, where it takes one only, of its type; the old name stays an alias."""
    kind = SHAPED.get(project.type, label.type)
    old = _shown(label, key)
    if project.name == old:
        return replace(label, type=kind)
    aliases = (*(word for word in label.aliases if word != project.name), old)
    if key == "en":
        return replace(label, type=kind, aliases=aliases, name=Text(label.name.zh, project.name))
    if key == "general" and label.general is not None:
        return replace(label, type=kind, aliases=aliases, general=project.name)
    general = None if label.general == project.name else label.general
    return replace(label, type=kind, aliases=aliases, name=Text(project.name, label.name.en), general=general)


def _new(one: ProjectLabel, slugs: Iterable[str], labelmap: Labelmap) -> Label:
    slugs = set(slugs)
    used = {label.color for label in labelmap.labels}
    free = [color for color in _COLOURS if color not in used] or list(_COLOURS)
    most = max(TYPES, key=[label.type for label in labelmap.labels].count)
    return Label(
        slug=_slug(one.name, slugs),
        name=Text(one.name, one.name),
        color=one.color or free[len(slugs) % len(free)],
        aliases=(),
        definition=Text(one.name, one.name),
        type=SHAPED.get(one.type, most),
    )


def _slug(name: str, taken: set[str]) -> str:
    """Return a slug for a name: its pinyin where that is known, its letters and digits, or a number."""
    text = name
    if spelling.KNOWS_PINYIN and not name.isascii():
        text = spelling.pinyin(name, "_")
    slug = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
    slug = slug if re.match(r"[a-z]", slug) else f"label_{slug}".rstrip("_")
    if slug not in taken and slug != "label":
        return slug
    return next(numbered for n in range(1, len(taken) + 2) if (numbered := f"{slug}_{n}") not in taken)
