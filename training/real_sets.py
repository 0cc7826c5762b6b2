"""Published sets of real boards that a user downloads: `train --real dspcbsd=FOLDER`, `evaluate --real pcb-ind=FOLDER`.

FOLDER may be the unpacked archive or the .zip itself.

- dspcbsd: DsPCBSD+, figshare 10.6084/m9.figshare.24970329 (CC BY 4.0), 226 px colour crops of etched boards.
  Data_COCO/annotations/instances_{train,val}2017.json with Data_COCO/{train,val}2017/, or Data_YOLO/images and labels.
  `test` is the set's own val, never trained on; `calibration` is a tenth of its train. Crops of one board may be in
  both: file names tell nothing of boards.
- pcb-ind: PCB-IND v4, Zenodo 10.5281/zenodo.19723114 (CC BY 4.0), 300 px crops. YOLO/data.yaml with YOLO/images and
  labels, or COCO/annotations/{train,val,test}.json. `calibration` is the set's val.

A class that a function has no label for is an ignored area: it teaches nothing, and calls on it count as nothing.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from training import real_tiles
from training.annotated import formats, yolo_format
from training.annotated.annotations import Entry, Finder, Report, decode_entry
from training.annotated.archive import Archive
from training.annotated.formats import FormatError, Picture
from training.annotated.labels import plain
from training.annotated.sheets import Sheets
from training.scene import IGNORED, Scene

SPLITS = ("train", "calibration", "test")
CALIBRATION_SHARE = 0.1  # of the training images of a set without a part of its own for it
CLASSES = tuple(real_tiles.SLUGS)  # of DsPCBSD+, by class number; COCO counts from 1

DSPCBSD_SLUGS: dict[str, str | None] = {
    **{plain(name): slug for name, slug in real_tiles.SLUGS.items()},
    "spurious copper": "residual_copper",
    "mouse bite": "nick",
    "mousebite": "nick",
    "hole breakout": "hole_breakout",
    "short": "short",
    "spur": "spur",
    "open": "open",
    "conductor scratch": "scratch",
    "conductor foreign object": "foreign_object",
    "base material foreign object": "foreign_object",
}
PCB_IND_SLUGS: dict[str, str | None] = {
    "mouse bite": "nick",
    "missing copper": None,  # copper gone from a plane or a pad: nick, pinhole and open at once
    "scratch": "scratch",
    "spurious copper": "residual_copper",
    "copper burr": "spur",
    "stain": "foreign_object",
    "short": "short",
    "open": "open",
    # The repository of the set describes an earlier version with these classes:
    "missing hole": None,
    "open circuit": "open",
    "spur": "spur",
    "pin hole": "pinhole",
}


@dataclass(frozen=True)
class RealSet:
    credit: str  # what weights trained on it say
    slugs: dict[str, str | None]  # plain class name -> slug; None: ignored
    # (archive, split) -> the part of the archive that holds the images, and their annotations
    read: Callable[[Archive, str], tuple[Archive, list[Picture]]]


def _part(archive: Archive, marker: str) -> Archive | None:
    """The folder in which the file or folder `marker` lies, however deep; None where there is none."""
    for member in archive.members:
        at = f"/{member}/".find(f"/{marker}/")
        if at >= 0:
            return archive.below(member[: at - 1]) if at else archive
    return None


def _in_calibration(name: str) -> bool:
    number = int.from_bytes(hashlib.sha256(PurePosixPath(name).name.encode()).digest()[:4], "big")
    return number / 2**32 < CALIBRATION_SHARE


def _dspcbsd(archive: Archive, split: str) -> tuple[Archive, list[Picture]]:
    own = "val" if split == "test" else "train"
    member, images = f"annotations/instances_{own}2017.json", f"images/{own}"
    if (part := _part(archive, member)) is not None:
        data = formats.load_json(part, member)
        if not formats.is_coco(data):
            raise FormatError(f"{archive.path}: {part.prefix}{member} is not COCO")
        for entry in data["categories"]:
            # The number decides; a name that says something else means another edition of the set.
            expected = dict(enumerate(CLASSES, 1)).get(entry["id"])
            slug = DSPCBSD_SLUGS.get(plain(str(entry["name"])))
            if expected is None or slug not in (None, real_tiles.SLUGS[expected]):
                raise FormatError(f"{archive.path}: {member}: class {entry['id']} is {entry['name']}, not {expected}")
            entry["name"] = expected
        pictures = formats.read_coco(part, {member: data}).pictures
    elif (part := _part(archive, images)) is not None:
        names = dict(enumerate(CLASSES))
        pictures = [yolo_format.read_image(part, n, own, names) for n in yolo_format.list_images(part, images)]
    else:
        raise FormatError(f"{archive.path}: neither Data_COCO nor Data_YOLO of DsPCBSD+ is in it")
    if split != "test":
        pictures = [picture for picture in pictures if _in_calibration(picture.name) == (split == "calibration")]
    return part, pictures


def _pcb_ind(archive: Archive, split: str) -> tuple[Archive, list[Picture]]:
    own = {"train": "train", "calibration": "val", "test": "test"}[split]
    member, images = f"annotations/{own}.json", f"images/{own}"
    if (part := _part(archive, "data.yaml")) is not None:
        data = yolo_format.load_yaml(part, "data.yaml") or {}
        names = yolo_format.class_names(data.get("names"), f"{archive.path}: {part.prefix}data.yaml")
        return part, [yolo_format.read_image(part, n, own, names) for n in yolo_format.list_images(part, images)]
    if (part := _part(archive, member)) is not None and formats.is_coco(data := formats.load_json(part, member)):
        return part, formats.read_coco(part, {member: data}).pictures
    raise FormatError(f"{archive.path}: neither YOLO/data.yaml nor COCO/annotations of PCB-IND is in it")


SETS = {
    "dspcbsd": RealSet("DsPCBSD+ (CC BY 4.0: Lv, S. et al., Scientific Data 11, 811, 2024)", DSPCBSD_SLUGS, _dspcbsd),
    "pcb-ind": RealSet(
        "PCB-IND v4 (CC BY 4.0: Yan, H. et al., Zenodo 10.5281/zenodo.19723114)", PCB_IND_SLUGS, _pcb_ind
    ),
}


def load(name: str, folder: Path, split: str, slugs: list[str]) -> list[Scene]:
    """All scenes of a split (train, calibration, test), held in memory.

    Raises:
        ArchiveError, FormatError, AnnotationError: not the set, or damaged; names file and place.
    """
    real = SETS[name]
    if split not in SPLITS:
        raise FormatError(f"{name} has no {split}: it has {', '.join(SPLITS)}")
    part, pictures = real.read(Archive.open(folder), split)
    finder = Finder([part])
    scenes, report = [], Report()
    for picture in pictures:
        labels = []
        for label in picture.labels:
            if plain(label) not in real.slugs:
                raise FormatError(f"{folder}: class {label!r} is none of {name}: {', '.join(real.slugs)}")
            slug = real.slugs[plain(label)]
            labels.append(slugs.index(slug) if slug in slugs else IGNORED)
        place = finder.find(picture)
        if place is None:
            raise FormatError(f"{folder}: {picture.name} is annotated, but not in it")
        scenes.append(decode_entry(Entry(*place, picture, tuple(labels)), report))
    if not scenes:
        raise FormatError(f"{folder}: no images of the {split} split of {name}")
    return scenes


def mix(real: list[tuple[str, Path]], slugs: list[str], rest: float) -> list[tuple[float, Sheets]]:
    """(share of the crops, source) of each set's training split: together as much as `rest`, the others' shares."""
    return [((rest or 1.0) / len(real), Sheets(load(name, folder, "train", slugs))) for name, folder in real]


def parse(text: str) -> tuple[str, Path]:
    """`name=folder` of the command line."""
    name, separator, folder = text.partition("=")
    if name not in SETS or not separator or not folder:
        raise argparse.ArgumentTypeError(f"expected NAME=FOLDER with NAME one of {', '.join(SETS)}; got {text!r}")
    return name, Path(folder)
