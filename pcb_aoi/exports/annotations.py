"""Annotated images from CVAT's exports: found, decoded, their labels known, their boxes inside the image.

    names, report = Names.load(Path("labelmaps/acid-outer-layer.yaml")), Report()
    scenes = [decode_entry(entry, report) for entry in index([Path("export.zip")], names)]

Images that the export does not carry (CVAT leaves them out unless "Save images" is on) come from `images`.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from pcb_aoi.engine.image import decode
from pcb_aoi.errors import PcbAoiError
from pcb_aoi.exports import json_formats, xml_formats, yolo_format
from pcb_aoi.exports.export_archive import Archive
from pcb_aoi.exports.formats import AnnotatedPicture, Export, FormatError
from pcb_aoi.exports.label_names import Names
from pcb_aoi.exports.scene import IGNORED, Scene

MAX_MEGAPIXELS = 300.0  # as the functions' own limit
KNOWN = (
    "COCO 1.0, CVAT for images 1.1, Datumaro 1.0, LabelMe 3.0, Pascal VOC 1.1, Ultralytics YOLO (detection, "
    "segmentation, oriented boxes) or YOLO 1.1"
)
# What these cannot carry is not in the export, and nothing in it says so.
LOSSY = ("Pascal VOC 1.1", "Ultralytics YOLO 1.0", "YOLO 1.1")
SMALLEST_PX = 1.0  # width or height under which a box is no box


class AnnotationError(PcbAoiError):
    """An image is missing, unreadable, of another size than annotated, or its name fits several files."""


@dataclass(frozen=True)
class Entry:
    """One annotated image, not yet decoded."""

    archive: Archive
    member: str
    picture: AnnotatedPicture
    labels: tuple[int, ...]  # of the picture's boxes: index into the function's slugs, or scene.IGNORED
    digest: str = ""  # SHA-256 of the image file

    @property
    def folder(self) -> str:
        """Sub-folder of the image's name, "" without."""
        return posixpath.dirname(self.picture.name)


@dataclass
class Report:
    """What was read, and what was not taken over."""

    formats: list[str] = field(default_factory=list)
    images: int = 0
    clean: int = 0  # images without a box
    boxes: Counter[int] = field(default_factory=Counter)  # by index of the slug
    ignored: int = 0  # boxes of labels that are to teach nothing
    dropped: int = 0  # boxes outside the image, or without an area
    left_out: Counter[str] = field(default_factory=Counter)  # shapes without an area, by kind
    repeated: int = 0  # images given again: the last annotation counts

    def lines(self, slugs: tuple[str, ...]) -> list[str]:
        """The report for people."""
        labels = ", ".join(f"{slugs[i]} {count}" for i, count in sorted(self.boxes.items()))
        lossy = [form for form in LOSSY if form in self.formats] if self.clean else []
        return [
            f"{self.images} images ({self.clean} without defects) from {', '.join(dict.fromkeys(self.formats))}",
            f"defects: {labels or 'none'}; ignored {self.ignored}, dropped as outside or empty {self.dropped}"
            + "".join(f", left out {count} {kind}" for kind, count in sorted(self.left_out.items()))
            + (f"; {self.repeated} images were given twice" if self.repeated else ""),
            *(
                f"注意 / note: {form} leaves out shapes that it cannot carry; an image of such shapes alone counts "
                "as a good board. CVAT for images 1.1 carries all of them"
                for form in lossy
            ),
        ]


def read_export(archive: Archive) -> Export:
    """Recognise and read an export; raises FormatError."""
    found: list[Export] = []
    ends: dict[str, list[str]] = defaultdict(list)
    for name in archive.members:
        ends[PurePosixPath(name).suffix.lower()].append(name)
    documents = {name: json_formats.load_json(archive, name) for name in ends[".json"]}
    for is_one, read_documents in (
        (json_formats.is_coco, json_formats.read_coco),
        (json_formats.is_datumaro, json_formats.read_datumaro),
    ):
        if own := {name: data for name, data in documents.items() if is_one(data)}:
            found.append(read_documents(archive, own))
    for is_sheet, read_sheets in (
        (xml_formats.is_cvat, xml_formats.read_cvat),
        (xml_formats.is_per_image, xml_formats.read_per_image),
    ):
        if sheets := [name for name in ends[".xml"] if is_sheet(archive, name)]:
            found.append(read_sheets(archive, sheets))
    for name in ends[".yaml"] + ends[".yml"]:
        data = yolo_format.load_yaml(archive, name)
        if data is not None:
            found.append(yolo_format.read_yolo(archive, name, data))
    found += [yolo_format.read_yolo11(archive, name) for name in ends[".data"] if name.endswith("obj.data")]
    if not found:
        raise FormatError(f"{archive.path}: 不认识的格式 / of no known format; export the task again as {KNOWN}")
    if len(found) > 1:
        raise FormatError(f"{archive.path}: holds {' and '.join(one.format for one in found)}; give one of them")
    return found[0]


class Finder:
    """Image files of several archives by the end of their path."""

    def __init__(self, archives: list[Archive]) -> None:
        self.places: dict[str, list[tuple[Archive, str]]] = defaultdict(list)
        self.stems: dict[str, list[tuple[Archive, str]]] = defaultdict(list)
        for archive in archives:
            for member in archive.members:
                path = PurePosixPath(member.replace("\\", "/"))
                if path.suffix.lower() in yolo_format.SUFFIXES:
                    self.places[path.name].append((archive, member))
                    self.stems[path.stem].append((archive, member))

    def find(self, picture: AnnotatedPicture) -> tuple[Archive, str] | None:
        """The file of a picture, None where there is none; raises AnnotationError where several would do."""
        parts = PurePosixPath(picture.name).parts
        # The whole name first; then without its leading folders, which `images` may not have.
        for tail in (posixpath.join(*parts[i:]) for i in range(len(parts))):
            for subset in ([f"{picture.subset}/"] if picture.subset else []) + [""]:
                found = self._ending(f"/{subset}{tail}")
                if len(found) == 1:
                    return found[0]
                if len(found) > 1:
                    names = " and ".join(f"{archive.path}: {member}" for archive, member in found[:2])
                    raise AnnotationError(f"{picture.name}: several images end like this: {names}")
        return None

    def _ending(self, end: str) -> list[tuple[Archive, str]]:
        name = posixpath.basename(end)
        exact = [place for place in self.places[name] if f"/{place[1]}".replace("\\", "/").endswith(end)]
        if exact:
            return exact
        bare = [place for place in self.stems[name] if posixpath.splitext(f"/{place[1]}")[0].endswith(end)]
        return bare


def index(
    exports: list[Path],
    names: Names,
    images: Path | None = None,
    report: Report | None = None,
    subset: str | None = None,
) -> list[Entry]:
    """All annotated images of the exports, found but not decoded, in the order of the exports.

    An image that two exports hold (the same file, byte for byte) comes once, as the last one annotates it. With
    `subset`, only the images of that part of each export.

    Raises:
        ArchiveError, FormatError, UnknownLabelError, AnnotationError
    """
    report = report or Report()
    extra = [Archive.open(images)] if images else []
    found: dict[str, Entry] = {}
    missing: list[str] = []
    read = [(archive, read_export(archive)) for archive in map(Archive.open, exports)]
    chosen = [_of_subset(export, subset, archive.path) for archive, export in read]
    names.check(Counter(label for pictures in chosen for one in pictures for label in one.labels))
    for (archive, export), pictures in zip(read, chosen, strict=True):
        report.formats.append(export.format)
        report.left_out += export.left_out
        own, other = Finder([archive]), Finder(extra)
        taken: dict[tuple[Path, str], str] = {}
        for picture in pictures:
            labels = names.indices(picture.labels)
            place = own.find(picture) or other.find(picture)
            if place is None:
                missing.append(picture.name)
                continue
            key = place[0].path, place[0].prefix + place[1]
            if taken.setdefault(key, picture.name) != picture.name:
                raise AnnotationError(f"{place[1]}: would be both {taken[key]} and {picture.name}")
            digest = hashlib.sha256(place[0].read(place[1])).hexdigest()
            report.repeated += digest in found
            found[digest] = Entry(*place, picture, tuple(labels), digest)
    if missing:
        raise AnnotationError(
            f"{len(missing)} images are not in the export: {', '.join(missing[:3])}{', ...' if missing[3:] else ''}; "
            'export with "Save images", or give the folder that holds them: --images DIR'
        )
    return list(found.values())


def _of_subset(export: Export, subset: str | None, path: Path) -> list[AnnotatedPicture]:
    if subset is None:
        return export.pictures
    chosen = [picture for picture in export.pictures if picture.subset == subset]
    if not chosen:
        known = sorted({picture.subset for picture in export.pictures})
        raise AnnotationError(f"{path}: 没有子集 / has no subset {subset!r}; it has: {', '.join(known)}")
    return chosen


def decode_entry(entry: Entry, report: Report) -> Scene:
    """Decode an image as the functions do, upright, and clip its boxes; raises AnnotationError."""
    where = f"{entry.archive.path}: {entry.archive.prefix}{entry.member}"
    picture = entry.picture
    try:
        image = decode(entry.archive.read(entry.member), MAX_MEGAPIXELS).pixels
    except PcbAoiError as error:
        raise AnnotationError(f"{where}: {error}") from None
    height, width = image.shape[:2]
    if picture.size not in (None, (width, height)):
        raise AnnotationError(f"{where}: annotated at {picture.size} px, but the image has {(width, height)}")
    limits = np.array([width, height, width, height], np.float64)
    boxes = np.array(picture.boxes, np.float64).reshape(-1, 4)
    boxes = (boxes * limits if picture.relative else boxes).clip(0, limits)
    kept = (boxes[:, 2:] - boxes[:, :2]).min(axis=1, initial=np.inf) >= SMALLEST_PX
    labels = np.array(entry.labels, np.int64)[kept]
    report.images += 1
    report.clean += not len(labels)
    report.dropped += int((~kept).sum())
    report.ignored += int((labels == IGNORED).sum())
    report.boxes.update(labels[labels >= 0].tolist())
    return Scene(image, boxes[kept].astype(np.float32), labels, picture.name)
