"""Ultralytics YOLO Detection 1.0: data.yaml, images/<subset>/, labels/<subset>/, lists such as train.txt.

A subset is a folder or a list of image paths. CVAT exports without images too: then labels/ and the lists are all.
"""

from __future__ import annotations

import posixpath
from pathlib import PurePosixPath
from typing import Any

import yaml

from training.annotated.export_archive import Archive
from training.annotated.formats import AnnotatedPicture, Export, FormatError, corners

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".jp2", ".ppm", ".pgm", ".avif"}
# Keys of data.yaml that are no subset.
NO_SUBSET = {"path", "names", "nc", "kpt_shape", "flip_idx", "kpt_names", "download", "roboflow", "license"}


def load_yaml(archive: Archive, member: str) -> dict[str, Any] | None:
    """The mapping, or None where the member is no data.yaml."""
    content = archive.read(member)
    try:
        data = yaml.safe_load(content) if len(content) < 1 << 20 else None
    except (yaml.YAMLError, UnicodeDecodeError, ValueError):
        return None
    return data if isinstance(data, dict) and "names" in data else None


def read_yolo(archive: Archive, member: str, data: dict[str, Any]) -> Export:
    """All subsets that the data.yaml called `member` names; raises FormatError."""
    where = f"{archive.path}: {archive.prefix}{member}"
    names = class_names(data["names"], where)
    folder = posixpath.dirname(member)
    pictures = []
    for subset, value in data.items():
        if subset in NO_SUBSET:
            continue
        for entry in [value] if isinstance(value, str) else value if isinstance(value, list) else []:
            place = _locate(archive, folder, data.get("path"), str(entry))
            pictures += [read_image(archive, image, str(subset), names) for image in list_images(archive, place)]
    if not pictures:
        raise FormatError(f"{where}: none of its subsets names an image or a label file of the export")
    return Export("Ultralytics YOLO Detection 1.0", pictures)


def class_names(names: object, where: str) -> dict[int, str]:
    """`names` of a data.yaml, a list or a mapping of class numbers."""
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not all(isinstance(key, int) for key in names):
        raise FormatError(f"{where}: names must be a list, or class number: name")
    return {key: str(value) for key, value in names.items()}


def _locate(archive: Archive, folder: str, root: object, entry: str) -> str:
    """Where a path of data.yaml is in the archive: below its `path`, unless that is a path of another machine."""
    tries = [posixpath.normpath(posixpath.join(folder, start, entry)) for start in (str(root or "."), ".")]
    for path in tries:
        if any(name == path or name.startswith(f"{path}/") for name in archive.members):
            return path
    return tries[-1]


def list_images(archive: Archive, path: str) -> list[str]:
    """The images of a list file or folder, and those of which there are labels alone (without a suffix)."""
    if path.endswith(".txt"):
        if path not in archive.names:
            return []
        lines = archive.read(path).decode("utf-8-sig", "replace").splitlines()
        folder = posixpath.dirname(path)
        return [posixpath.normpath(posixpath.join(folder, line.strip())) for line in lines if line.strip()]
    images = [n for n in archive.members if n.startswith(f"{path}/") and PurePosixPath(n).suffix.lower() in SUFFIXES]
    labels = label_path(f"{path}/x").removesuffix("x.txt")
    listed = [name for name in archive.members if name.startswith(labels) and name.endswith(".txt")]
    bare = [f"{path}/{name.removeprefix(labels).removesuffix('.txt')}" for name in listed]
    seen = {posixpath.splitext(name)[0] for name in images}
    return images + [name for name in bare if name not in seen]


def label_path(image: str) -> str:
    """images/train/a.jpg -> labels/train/a.txt; the last folder called images counts."""
    path = PurePosixPath(image)
    parts = list(path.parts)
    for i in range(len(parts) - 2, -1, -1):
        if parts[i] == "images":
            parts[i] = "labels"
            break
    parts[-1] = (path.stem if path.suffix.lower() in SUFFIXES else path.name) + ".txt"
    return posixpath.join(*parts)


def read_image(archive: Archive, image: str, subset: str, names: dict[int, str]) -> AnnotatedPicture:
    """One image and its label file; without one it is a clean board."""
    parts = PurePosixPath(image).parts
    start = max((i + 1 for i, part in enumerate(parts[:-1]) if part == "images"), default=0)
    if start and len(parts) > start + 1:  # images/<subset>/...
        subset, start = parts[start], start + 1
    picture = AnnotatedPicture(posixpath.join(*parts[start:]), subset, relative=True)
    label = label_path(image)
    if label not in archive.names:
        return picture
    for number, line in enumerate(archive.read(label).decode("utf-8-sig", "replace").splitlines(), 1):
        fields = line.split()
        if not fields:
            continue
        where = f"{archive.path}: {archive.prefix}{label}:{number}"
        try:
            kind, values = int(fields[0]), [float(value) for value in fields[1:]]
            points = _points(values)
        except ValueError:
            raise FormatError(f"{where}: expected `class x y width height`, got {line[:80]!r}") from None
        if kind not in names:
            raise FormatError(f"{where}: class {kind} is not in data.yaml, which has {sorted(names)}")
        picture.add(names[kind], points, where)
    return picture


def _points(values: list[float]) -> list[tuple[float, float]]:
    """Centre and size, with CVAT's track number or without; or an outline, as the sister formats have it."""
    if len(values) in (4, 5):
        x, y, w, h = values[:4]
        return corners(x - w / 2, y - h / 2, x + w / 2, y + h / 2)
    if len(values) < 6 or len(values) % 2:
        raise ValueError("neither a box nor an outline")
    return list(zip(values[::2], values[1::2], strict=True))
