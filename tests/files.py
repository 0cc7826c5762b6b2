"""Image files of every kind that annotators meet, and some that only an attacker makes."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

UInt8 = npt.NDArray[np.uint8]


def encode(image: Image.Image | npt.NDArray[Any], kind: str = "PNG", **options: Any) -> bytes:  # noqa: ANN401
    """Write with Pillow."""
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def chunk(name: bytes, data: bytes, crc: int | None = None) -> bytes:
    """One chunk of a PNG file."""
    crc = zlib.crc32(name + data) if crc is None else crc
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", crc)


def png(
    samples: npt.NDArray[Any], *, colour: int = 0, extra: bytes = b"", size: tuple[int, int] | None = None
) -> bytes:
    """Write a PNG by hand: depths and chunks that Pillow does not write.

    `samples` is uint8 or uint16, (H, W) or (H, W, C); `size` (width, height) lies in the header; `extra` are chunks
    in front of the pixels.
    """
    height, width = samples.shape[:2]
    depth = samples.dtype.itemsize * 8
    header = struct.pack(">IIBBBBB", *(size or (width, height)), depth, colour, 0, 0, 0)
    rows = samples.astype(samples.dtype.newbyteorder(">")).reshape(height, -1)
    pixels = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def bomb_png(width: int, height: int) -> bytes:
    """A true 1-bit PNG of that size, some kilobytes small: all black."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    squeeze = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    pixels = b"".join(squeeze.compress(row) for _ in range(height)) + squeeze.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def tiff(
    raster: bytes, width: int, height: int, bits: int, samples: int = 1, kind: int = 1, endian: str = "<"
) -> bytes:
    """Write an uncompressed TIFF of one strip: depths and byte orders that Pillow does not write.

    `kind` is the sample format: 1 unsigned, 2 signed, 3 float.
    """
    photometric = 1 if samples == 1 else 2
    tags = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, samples, bits),
        (259, 3, 1, 1),
        (262, 3, 1, photometric),
        (273, 4, 1, 0),
        (277, 3, 1, samples),
        (278, 4, 1, height),
        (279, 4, 1, len(raster)),
        (339, 3, samples, kind),
    ]
    after = 8 + 2 + 12 * len(tags) + 4  # long values, then the raster
    values = b"".join(struct.pack(endian + "H", value) * n for _, _, n, value in tags if n > 1)
    strip = after + len(values)
    directory, used = struct.pack(endian + "H", len(tags)), 0
    for tag, code, n, value in tags:
        directory += struct.pack(endian + "HHI", tag, code, n)
        if n > 1:
            directory += struct.pack(endian + "I", after + used)
            used += 2 * n
        elif code == 3:
            directory += struct.pack(endian + "HH", value, 0)
        else:
            directory += struct.pack(endian + "I", strip if tag == 273 else value)
    start = (b"II*\0" if endian == "<" else b"MM\0*") + struct.pack(endian + "I", 8)
    return start + directory + bytes(4) + values + raster


def pack_12_bit(samples: npt.NDArray[Any]) -> bytes:
    """Pack rows of 12-bit samples, two in three bytes, as TIFF does."""
    even, odd = samples[:, ::2], samples[:, 1::2]
    return np.stack([even >> 4, ((even & 15) << 4) | (odd >> 8), odd & 255], axis=2).astype(np.uint8).tobytes()
