"""Exports that are damaged or hostile end in one line that names the file, whatever zipfile or expat raises."""

from __future__ import annotations

import json
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from training_exports import Item, coco, cvat, cvat_xml, unpacked, zipped

from pcb_aoi.config.safe_xml import has_document_type
from pcb_aoi.exports.annotations import AnnotationError, index
from pcb_aoi.exports.export_archive import Archive, ArchiveError
from pcb_aoi.exports.formats import FormatError
from pcb_aoi.exports.label_names import Names

ROOT = Path(__file__).resolve().parents[2]
NAMES = Names.load(ROOT / "labelmaps" / "acid-outer-layer.yaml")
ITEMS = [Item("a.png", boxes=(("开路", 1, 2, 30, 40),))]
TOLD = (ArchiveError, FormatError, AnnotationError)


def one_line(path: Path) -> str:
    with pytest.raises(TOLD) as caught:
        index([path], NAMES)
    assert "\n" not in str(caught.value)
    assert path.name in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "1" + "0" * 400])
@pytest.mark.parametrize("key", ["width", "bbox", "rotation"])
def test_numbers_beyond_all_bounds_in_coco(tmp_path: Path, number: str, key: str) -> None:
    members = coco(ITEMS)
    (name,) = [name for name in members if name.endswith(".json")]
    data: Any = json.loads(members[name])
    if key == "width":
        data["images"][0]["width"] = "HERE"
    elif key == "bbox":
        data["annotations"][0]["bbox"][2] = "HERE"
    else:
        data["annotations"][0]["attributes"] = {"rotation": "HERE"}
    members[name] = json.dumps(data).replace('"HERE"', number).encode()
    if key == "width" and number.startswith("1" + "0" * 9):
        index([zipped(tmp_path / "x.zip", members)], NAMES)  # said when the picture is decoded and has another width
    else:
        one_line(zipped(tmp_path / "x.zip", members))


@pytest.mark.parametrize("number", ["1e999", "1e400", "inf", "nan"])
def test_numbers_beyond_all_bounds_in_cvat(tmp_path: Path, number: str) -> None:
    members = cvat(ITEMS)
    members["annotations.xml"] = members["annotations.xml"].replace(b'xtl="1', f'xtl="{number}" old="1'.encode())
    assert number.encode() in members["annotations.xml"]
    one_line(zipped(tmp_path / "x.zip", members))


def packed(path: Path, compression: int) -> bytearray:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in coco(ITEMS).items():
            archive.writestr(name, content)
    return bytearray(path.read_bytes())


def version_9_9(data: bytearray) -> None:
    """In every local and central header: the version that is needed to extract."""
    for mark, offset in ((b"PK\3\4", 4), (b"PK\1\2", 6)):
        at = data.find(mark)
        while at >= 0:
            data[at + offset : at + offset + 2] = struct.pack("<H", 99)
            at = data.find(mark, at + 4)


def other_method(data: bytearray) -> None:
    """A compression that nobody has."""
    for mark, offset in ((b"PK\3\4", 8), (b"PK\1\2", 10)):
        at = data.find(mark)
        while at >= 0:
            data[at + offset : at + offset + 2] = struct.pack("<H", 77)
            at = data.find(mark, at + 4)


def garbage_in_members(data: bytearray) -> None:
    start = 30 + struct.unpack("<H", data[26:28])[0]
    data[start + 9 : start + 40] = bytes(range(200, 231))


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("damage", [version_9_9, other_method, garbage_in_members])
def test_damaged_archives(tmp_path: Path, compression: int, damage: Callable[[bytearray], None]) -> None:
    path = tmp_path / "x.zip"
    data = packed(path, compression)
    damage(data)
    path.write_bytes(data)
    one_line(path)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_chance_makes_of_archives_is_told_or_read(tmp_path: Path, compression: int) -> None:
    path, rng = tmp_path / "x.zip", random.Random(compression)
    whole = packed(path, compression)
    told: list[str] = []
    for number in range(60):
        data = whole.copy()
        for _ in range(rng.choice((1, 4, 40))):
            data[rng.randrange(len(data))] = rng.randrange(256)
        changed = tmp_path / f"{number}.zip"
        changed.write_bytes(data[: rng.choice((len(data), rng.randrange(len(data))))])
        try:
            index([changed], NAMES)
        except TOLD as error:
            told.append(str(error))
        except ValueError:  # a label's name that chance has changed
            continue
    assert len(told) > 10
    assert [text for text in told if "\n" in text] == []


BAIT = "<annotations><version>1.1"
DOCTYPE = '<!DOCTYPE annotations [<!ENTITY a "b">]>'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_the_ban_on_document_types_holds_in_every_encoding(tmp_path: Path, encoding: str) -> None:
    text = cvat_xml("").decode().partition("?>")[2]
    name = "utf-8" if encoding.startswith("utf-8") else "utf-16"
    # What tells CVAT's file is looked for in its bytes: in UTF-16 a comment may hold them as letters of another script.
    bait = BAIT.ljust(len(BAIT) + len(BAIT) % 2).encode().decode(encoding if name == "utf-16" else "utf-8", "ignore")
    bait = bait.replace("\ufeff", "").replace("-", "")
    document = f'<?xml version="1.0" encoding="{name}"?><!--{bait if name == "utf-16" else ""}-->{DOCTYPE}{text}'
    content = document.encode(encoding)
    if encoding in ("utf-16-le", "utf-16-be"):
        content = (b"\xff\xfe" if encoding == "utf-16-le" else b"\xfe\xff") + content
    assert has_document_type(content)
    path = unpacked(tmp_path / "x", {"annotations.xml": content, "a.png": b""})
    assert "document type" in one_line(path)


def test_letters_in_a_value_are_no_document_type() -> None:
    assert not has_document_type(b'<annotations><image name="&lt;!DOCTYPE"/><!-- <!DOCTYPE a> --></annotations>')
    assert not has_document_type(b"<annotations")
    assert not has_document_type(b'<?xml version="1.0" encoding="none"?><a/>')


def test_an_archive_is_listed_before_it_is_read(tmp_path: Path) -> None:
    assert Archive.open(zipped(tmp_path / "x.zip", coco(ITEMS))).members
