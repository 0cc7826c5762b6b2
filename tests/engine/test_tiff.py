"""TIFF over the cross of photometric interpretation, depth, planes, sample format and compression.

The files are written by tifffile, of samples made from a known 8-bit picture; where OpenCV reads one, both agree.
"""

from __future__ import annotations

import io
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import tifffile

from pcb_aoi.engine import image
from pcb_aoi.engine.image import tiff
from pcb_aoi.errors import PcbAoiError, UnsupportedImage

GREY = np.random.default_rng(3).integers(0, 256, (40, 56), dtype=np.uint8)
COLOUR = np.random.default_rng(4).integers(0, 256, (40, 56, 3), dtype=np.uint8)
for _picture in (GREY, COLOUR):
    _picture[0, :2] = 0
    _picture[1, :2] = 255
COMPRESSIONS = ["none", "lzw", "deflate", "packbits", "zstd", "lzma"]
KINDS = ["u8", "u16", "u16 of 12 bits", "u16 of 10 bits", "i8", "i16", "u32", "f32", "f64"]


def samples(picture: npt.NDArray[np.uint8], kind: str) -> npt.NDArray[Any]:
    """The picture as a camera of that kind would store it."""
    wide = picture.astype(np.int64)
    match kind:
        case "u8":
            return picture
        case "i8" | "i16":
            bits = int(kind[1:])
            return ((wide << (bits - 8)) - (1 << (bits - 1))).astype(f"i{bits // 8}")
        case "u16 of 12 bits" | "u16 of 10 bits":
            return (wide << (int(kind[7:9]) - 8)).astype(np.uint16)
        case "u16" | "u32":
            bits = int(kind[1:])
            return (wide << (bits - 8)).astype(f"u{bits // 8}")
        case _:
            return (picture / 255).astype(f"f{int(kind[1:]) // 8}")


def write(data: npt.NDArray[Any], **options: Any) -> bytes:  # noqa: ANN401 - tifffile's own
    stream = io.BytesIO()
    tifffile.imwrite(stream, data, metadata=None, **options)
    return stream.getvalue()


def decode(data: bytes) -> npt.NDArray[np.uint8]:
    frame = image.decode(data, 1)
    assert not frame.truncated
    return frame.pixels


def close(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8]) -> bool:
    return a.shape == b.shape and int(np.abs(a.astype(int) - b).max()) <= 1


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_grey(photometric: str, kind: str, compression: str) -> None:
    stored = samples(GREY if photometric == "minisblack" else 255 - GREY, kind)
    for extra in ({"rowsperstrip": 7}, {"tile": (16, 16)}, {"byteorder": ">"}):
        assert close(decode(write(stored, photometric=photometric, compression=compression, **extra)), GREY)


@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_colour(kind: str, compression: str, planes: str) -> None:
    stored = samples(COLOUR, kind)
    stored = np.moveaxis(stored, 2, 0) if planes == "separate" else stored
    for extra in ({"rowsperstrip": 7}, {"tile": (16, 16)}, {"byteorder": ">"}):
        data = write(stored, photometric="rgb", planarconfig=planes, compression=compression, **extra)
        assert close(decode(data), COLOUR)


@pytest.mark.parametrize("predictor", [True, False])
@pytest.mark.parametrize("kind", ["u8", "u16", "u16 of 12 bits", "f32"])
def test_predictors(kind: str, predictor: bool) -> None:
    data = write(samples(COLOUR, kind), photometric="rgb", compression="deflate", predictor=predictor)
    assert close(decode(data), COLOUR)


@pytest.mark.parametrize("kind", ["u8", "u16 of 12 bits"])
def test_transparency_is_left_out(kind: str) -> None:
    stored = samples(COLOUR, kind)
    alpha = np.full((*stored.shape[:2], 1), np.iinfo(stored.dtype).max, stored.dtype)
    data = write(np.concatenate([stored, alpha], 2), photometric="rgb", extrasamples=["unassalpha"])
    assert close(decode(data), COLOUR)


@pytest.mark.parametrize("bits", [1, 2, 4, 10, 12, 14])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_packed_samples(photometric: str, bits: int) -> None:
    levels = (GREY >> (8 - bits)).astype(np.uint8) if bits < 8 else GREY.astype(np.uint16) << (bits - 8)
    expected = (levels.astype(int) * 255 // ((1 << bits) - 1)).astype(np.uint8) if bits < 8 else GREY
    data = write(levels, photometric=photometric, bitspersample=bits)
    assert close(decode(data), expected if photometric == "minisblack" else 255 - expected)


@pytest.mark.parametrize("table", ["of 16 bits", "of 8 bits"])
def test_colour_maps(table: str) -> None:
    """The specification says 0 to 65535; some writers fill 0 to 255."""
    colours = np.random.default_rng(5).integers(0, 256, (3, 256)).astype(np.uint16)
    data = write(GREY, photometric="palette", colormap=colours * 257 if table == "of 16 bits" else colours)
    assert (decode(data) == colours.T[GREY]).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["u8", "u16"])
def test_the_picture_lies_as_it_is_shown(kind: str, orientation: int) -> None:
    data = write(samples(COLOUR, kind), photometric="rgb", extratags=[(274, "H", 1, orientation, True)])
    turned = np.swapaxes(COLOUR, 0, 1) if orientation > 4 else COLOUR
    expected = {2: (1, -1), 3: (-1, -1), 4: (-1, 1), 6: (1, -1), 7: (-1, -1), 8: (-1, 1)}.get(orientation, (1, 1))
    assert (decode(data) == turned[:: expected[0], :: expected[1]]).all()


def test_a_second_reader_agrees() -> None:
    """OpenCV reads unsigned samples, grey and colour."""
    for kind, compression in product(["u8", "u16"], ["none", "lzw", "deflate", "packbits"]):
        for picture, photometric in ((GREY, "minisblack"), (COLOUR, "rgb")):
            data = write(samples(picture, kind), photometric=photometric, compression=compression)
            read: npt.NDArray[Any] = np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED))
            read = read[..., ::-1] if read.ndim == 3 else read
            assert close(decode(data), read if kind == "u8" else (read >> 8).astype(np.uint8))


@pytest.mark.parametrize("compression", ["none", "lzw"])
def test_strips_before_the_damage_count(compression: str) -> None:
    data = write(samples(COLOUR, "u16"), photometric="rgb", compression=compression, rowsperstrip=4)
    frame = image.decode(data[: int(len(data) * 0.7)], 1)
    assert frame.truncated
    rows = int(np.flatnonzero((frame.pixels == COLOUR).all((1, 2))).max()) + 1
    assert rows >= 16
    assert (frame.pixels[:16] == COLOUR[:16]).all()


def test_the_size_is_known_before_a_pixel_is_decoded() -> None:
    with pytest.raises(PcbAoiError, match=r"limit is 0\.002 MP"):
        image.decode(write(COLOUR, photometric="rgb"), 0.002)


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({277: 65_535}, "samples"),
        ({322: 16 << 20}, "tiles"),
        ({323: 16 << 20}, "tiles"),
        ({322: 0x7FFF_FFF0, 323: 0x7FFF_FFF0}, "tiles"),
    ],
)
def test_a_header_that_asks_for_more_memory_than_its_picture_needs_is_refused_before_it_gets_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tags: dict[int, int], reason: str
) -> None:
    path = tmp_path / "picture.tif"
    tifffile.imwrite(path, COLOUR, photometric="rgb", compression="deflate", tile=(16, 16), metadata=None)
    with tifffile.TiffFile(path, mode="r+") as file:
        for tag, value in tags.items():
            file.pages.first.tags[tag].overwrite(value)
    monkeypatch.setattr(tiff.File, "read", None)
    with pytest.raises(UnsupportedImage, match=reason):
        image.decode(path.read_bytes(), 8)


def test_a_tile_that_is_larger_than_its_picture_is_read() -> None:
    stream = io.BytesIO()
    tifffile.imwrite(stream, COLOUR, photometric="rgb", compression="deflate", tile=(2048, 2048), metadata=None)
    assert (image.decode(stream.getvalue(), 8).pixels == COLOUR).all()
