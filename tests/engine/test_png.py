"""PNG of 16 bits, and PNG with damage: what counts is the rows that inflate."""

from __future__ import annotations

import io
import random
import struct
import time
import zlib

import numpy as np
import numpy.typing as npt
import pytest
from files import chunk, encode
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pcb_aoi.engine import image
from pcb_aoi.engine.image import png
from pcb_aoi.errors import FrameError

RNG = np.random.default_rng(11)
GREY = RNG.integers(1, 256, (60, 47), dtype=np.uint8)
COLOUR = RNG.integers(1, 256, (60, 47, 3), dtype=np.uint8)
SIGNATURE = png.SIGNATURE


def deep(picture: npt.NDArray[np.uint8], bits: int, *, alpha: bool = False, interlace: bool = False) -> bytes:
    """A PNG of 16 bits a sample of which `bits` are used."""
    samples = picture.astype(np.uint16) << (bits - 8)
    samples = samples[..., None] if samples.ndim == 2 else samples
    if alpha:
        samples = np.concatenate([samples, np.full((*samples.shape[:2], 1), 65_535, np.uint16)], 2)
    height, width, channels = samples.shape
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    passes = [(y, x, dy, dx) for x, y, dx, dy in png._ADAM7] if interlace else [(0, 0, 1, 1)]
    rows = b""
    for y, x, dy, dx in passes:
        for row in samples[y::dy, x::dx]:
            rows += b"\0" + row.astype(">u2").tobytes() if row.size else b""
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, int(interlace))
    return SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("interlace", [False, True])
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("bits", [10, 12, 14, 16])
@pytest.mark.parametrize("picture", [GREY, COLOUR], ids=["grey", "colour"])
def test_16_bit_files_give_the_picture_of_8_bits(
    picture: npt.NDArray[np.uint8], bits: int, alpha: bool, interlace: bool
) -> None:
    frame = image.decode(deep(picture, bits, alpha=alpha, interlace=interlace), 1)
    assert (frame.pixels == picture).all()
    assert not frame.truncated


@pytest.mark.parametrize("orientation", range(1, 9))
def test_16_bit_files_lie_as_they_are_shown(orientation: int) -> None:
    data = deep(COLOUR, 12)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = data[:33] + chunk(b"eXIf", exif.tobytes()[6:]) + data[33:]
    eight = encode(COLOUR, "PNG", exif=exif)
    assert (image.decode(data, 1).pixels == image.decode(eight, 1).pixels).all()


def whole_rows(pixels: npt.NDArray[np.uint8], picture: npt.NDArray[np.uint8]) -> int:
    same = (pixels == picture).reshape(len(picture), -1).all(1)
    return int(np.argmin(same)) if not same.all() else len(picture)


@given(st.floats(0.1, 0.999), st.sampled_from(["L", "RGB", "16"]))
def test_rows_before_a_cut_count(share: float, kind: str) -> None:
    picture = GREY if kind == "L" else COLOUR
    data = deep(picture, 12) if kind == "16" else encode(picture)
    data = data[: int(len(data) * share)]
    frame = image.decode(data, 1)
    rows = whole_rows(frame.pixels, picture)
    assert rows >= int(share * 60) - 3
    assert not frame.pixels[rows:].any()
    assert frame.truncated == (rows < 60)


@pytest.mark.parametrize("depth", [8, 16])
def test_rows_before_garbage_in_one_idat_count(depth: int) -> None:
    rows = b"".join(b"\0" + (row.astype(">u2") * 257 if depth == 16 else row).tobytes() for row in COLOUR)
    stream = zlib.compress(rows)
    pieces = [stream[at : at + 512] for at in range(0, len(stream), 512)]
    middle = len(pieces) // 2
    pieces[middle] = random.Random(0).randbytes(512)
    header = struct.pack(">IIBBBBB", 47, 60, depth, 2, 0, 0, 0)
    chunks = b"".join(chunk(b"IDAT", piece) for piece in pieces)
    frame = image.decode(SIGNATURE + chunk(b"IHDR", header) + chunks + chunk(b"IEND", b""), 1)
    assert frame.truncated
    assert whole_rows(frame.pixels, COLOUR) >= 60 * middle // len(pieces) - 2


@pytest.mark.parametrize("name", [b"IHDR", b"IDAT", b"IEND", b"sRGB"])
def test_a_wrong_checksum_alone_costs_no_row_and_no_warning(name: bytes) -> None:
    data = encode(COLOUR)
    data = data[:33] + chunk(b"sRGB", b"\0") + data[33:]
    at = data.index(name) - 4
    end = at + 8 + struct.unpack(">I", data[at : at + 4])[0]
    frame = image.decode(data[:end] + bytes([data[end] ^ 255]) + data[end + 1 :], 1)
    assert (frame.pixels == COLOUR).all()
    assert not frame.truncated


@pytest.mark.parametrize("name", [b"iTXt", b"zTXt", b"tEXt"])
def test_text_of_megabytes_does_not_damage_a_picture(name: bytes) -> None:
    text = zlib.compress(bytes(3 << 20))
    body = {
        b"iTXt": b"XML:com.adobe.xmp\0\1\0\0\0" + text,
        b"zTXt": b"note\0\0" + text,
        b"tEXt": b"note\0" + bytes(3 << 20),
    }
    data = encode(COLOUR)
    frame = image.decode(data[:33] + chunk(name, body[name]) + data[33:], 1)
    assert (frame.pixels == COLOUR).all()
    assert not frame.truncated


@pytest.mark.parametrize("kind", ["JPEG", "BMP", "PNG", "PPM", "TIFF"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_black_picture_that_lost_its_last_bytes_is_black_and_not_undecodable(kind: str, mode: str) -> None:
    black = Image.new(mode, (90, 70))
    options = {"subsampling": 0} if kind == "JPEG" else {}
    data = encode(black, kind, **options)
    frame = image.decode(
        data[: -len(data) // 9 - 3] if kind in ("BMP", "PPM") else data[: -13 if kind == "PNG" else -2], 1
    )
    assert frame.pixels.shape[:2] == (70, 90)
    assert not frame.pixels.any()


@pytest.mark.parametrize("kind", ["JPEG", "BMP", "PNG", "PPM", "TIFF", "GIF"])
def test_a_file_that_ends_with_its_header_is_undecodable(kind: str) -> None:
    data = encode(GREY, kind)
    start = {"JPEG": data.find(b"\xff\xda"), "BMP": 54, "PNG": 41, "PPM": 13, "TIFF": 8, "GIF": 13}[kind]
    with pytest.raises(FrameError):
        image.decode(data[:start], 1)


def test_the_repair_of_a_large_file_is_not_slow() -> None:
    """Of 16 megapixels with a wrong bit near its end: at most a few times the decoding."""
    data = bytearray(encode(np.tile(GREY, (67, 85)), compress_level=1))
    data[-5000] ^= 255
    started = time.perf_counter()
    whole = Image.open(io.BytesIO(encode(np.tile(GREY, (67, 85)), compress_level=1)))
    whole.load()
    once = time.perf_counter() - started
    started = time.perf_counter()
    image.decode(bytes(data), 100)
    assert time.perf_counter() - started < 10 * once + 0.5
