"""Ultralytics YOLO 1.0 (detection, segmentation, oriented boxes: data.yaml, images/, labels/) and YOLO 1.1 (obj.data).

A subset is a folder or a list of image paths. CVAT exports without images too: then label files and lists are all.
CVAT writes `data/` before the paths of its lists, and no label file for an image without shapes. So a label file that
no image claims means that the export is not understood: it is refused, or its images would pass for good boards.
"""

from __future__ import annotations

import posixpath
from pathlib import PurePosixPath
from typing import Any

import yaml

from pcb_aoi.exports.export_archive import Archive
from pcb_aoi.exports.formats import AnnotatedPicture, Export, FormatError, corners

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
            pictures += [
                read_image(archive, image, label_path(image), str(subset), names)
                for image in list_images(archive, place)
            ]
    if not pictures:
        raise FormatError(f"{where}: none of its subsets names an image or a label file of the export")
    return _claimed(archive, "Ultralytics YOLO 1.0", pictures)


def read_yolo11(archive: Archive, member: str) -> Export:
    """YOLO 1.1: `member` is obj.data, which names a file of labels and lists of images; raises FormatError."""
    lines = [line.partition("=") for line in _lines(archive, member)]
    entries = {key.strip(): value.strip() for key, _, value in lines}
    where, folder = f"{archive.path}: {archive.prefix}{member}", posixpath.dirname(member)
    listed = _listed(archive, folder, entries.get("names", "obj.names"))
    if listed not in archive.names:
        raise FormatError(f"{where}: {listed} is missing, the names of its classes")
    names = dict(enumerate(_lines(archive, listed)))
    pictures = []
    for subset in sorted(entries.keys() - {"names", "classes", "backup"}):
        for image in list_images(archive, _listed(archive, folder, entries[subset])):
            label = f"{posixpath.splitext(image)[0]}.txt"
            pictures.append(read_image(archive, image, label, subset, names))
    if not pictures:
        raise FormatError(f"{where}: its lists name no image")
    return _claimed(archive, "YOLO 1.1", pictures)


def _lines(archive: Archive, member: str) -> list[str]:
    text = archive.read(member).decode("utf-8-sig", "replace")
    return [line.strip() for line in text.splitlines() if line.strip()]


def _claimed(archive: Archive, form: str, pictures: list[AnnotatedPicture]) -> Export:
    """The export, if each label file belongs to one of the pictures; raises FormatError."""
    claimed = {picture.source for picture in pictures}
    left = [name for name in archive.members if name.endswith(".txt") and name not in claimed]
    left = [name for name in left if _is_label_file(archive, name)]
    if left:
        raise FormatError(
            f"{archive.path}: {len(left)} 个标注文件不属于任何图片 / label files belong to no image of its lists: "
            f"{', '.join(left[:3])}{', ...' if left[3:] else ''}; export again, with images"
        )
    return Export(form, pictures)


def _is_label_file(archive: Archive, member: str) -> bool:
    """Whether a .txt holds boxes: a class number and four coordinates or more a line."""
    try:
        rows = [[float(value) for value in line.split()] for line in _lines(archive, member)[:3]]
    except ValueError:
        return False
    return bool(rows) and all(len(row) >= 5 for row in rows)


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


def _listed(archive: Archive, folder: str, line: str) -> str:
    """The path of a file that another one names: CVAT writes `data/` before it, other tools a path of their disk."""
    parts = PurePosixPath(posixpath.normpath(posixpath.join(folder, line.replace("\\", "/")))).parts
    tries = [posixpath.join(*parts[i:]) for i in range(len(parts))]
    for path in tries:
        if archive.names & {path, label_path(path), f"{posixpath.splitext(path)[0]}.txt"}:
            return path
    return tries[1] if parts[0] == "data" and len(tries) > 1 else tries[0]


def list_images(archive: Archive, path: str) -> list[str]:
    """The images of a list file or folder, and those of which there are labels alone (without a suffix)."""
    if path.endswith(".txt"):
        if path not in archive.names:
            return []
        return [_listed(archive, posixpath.dirname(path), line) for line in _lines(archive, path)]
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


def read_image(archive: Archive, image: str, label: str, subset: str, names: dict[int, str]) -> AnnotatedPicture:
    """One image and its label file; without one it is a clean board."""
    parts = PurePosixPath(image).parts
    start = max((i + 1 for i, part in enumerate(parts[:-1]) if part == "images" or part.startswith("obj_")), default=0)
    if start and parts[start - 1] == "images" and len(parts) > start + 1:  # images/<subset>/...
        subset, start = parts[start], start + 1
    picture = AnnotatedPicture(posixpath.join(*parts[start:]), subset, relative=True, source=label)
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
            raise FormatError(f"{where}: expected `class x y width height` or an outline, got {line[:80]!r}") from None
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
