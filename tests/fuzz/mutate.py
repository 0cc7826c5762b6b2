"""Files of every format that CVAT stores, and what chance makes of them."""

from __future__ import annotations

import io
import random
import struct
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile
from files import encode
from PIL import Image, features

_RNG = np.random.default_rng(0)
_GREY = _RNG.integers(0, 256, (64, 48), dtype=np.uint8)
_COLOUR = _RNG.integers(0, 256, (64, 48, 3), dtype=np.uint8)
_SMOOTH = np.broadcast_to(np.arange(0, 192, 4, dtype=np.uint8)[None, :, None], (64, 48, 3)).copy()


def corpus() -> dict[str, bytes]:
    """Whole files, by name."""
    found = {
        "png grey": encode(_GREY),
        "png colour": encode(_COLOUR),
        "png palette": encode(Image.fromarray(_SMOOTH).convert("P")),
        "png bits": encode(Image.fromarray(_GREY).convert("1")),
        "png deep": encode(Image.fromarray(_GREY.astype(np.uint16) << 4)),
        "jpeg": encode(_SMOOTH, "JPEG"),
        "jpeg progressive": encode(_SMOOTH, "JPEG", progressive=True),
        "jpeg cmyk": encode(Image.fromarray(_SMOOTH).convert("CMYK"), "JPEG"),
        "bmp": encode(_COLOUR, "BMP"),
        "bmp palette": encode(Image.fromarray(_SMOOTH).convert("P"), "BMP"),
        "gif": encode(Image.fromarray(_SMOOTH).convert("P"), "GIF"),
        "webp": encode(_SMOOTH, "WEBP"),
        "webp lossless": encode(_SMOOTH, "WEBP", lossless=True),
        "jpeg 2000": encode(_SMOOTH, "JPEG2000"),
        "pgm": encode(_GREY, "PPM"),
        "ppm": encode(_COLOUR, "PPM"),
        "ppm plain": b"P3 48 4 255\n" + " ".join(map(str, _COLOUR[:4].ravel())).encode(),
        "pbm plain": b"P1 48 4\n" + b"01" * 96,
        **({"avif": encode(_SMOOTH, "AVIF")} if features.check("avif") else {}),
    }
    tiffs: tuple[tuple[str, npt.NDArray[Any], dict[str, Any]], ...] = (
        ("lzw", _COLOUR, {"compression": "lzw", "photometric": "rgb"}),
        ("deflate tiles", _COLOUR, {"compression": "deflate", "photometric": "rgb", "tile": (16, 16)}),
        ("16 bits", _COLOUR.astype(np.uint16) << 4, {"photometric": "rgb", "rowsperstrip": 8}),
        ("planes", np.moveaxis(_COLOUR, 2, 0), {"photometric": "rgb", "planarconfig": "separate"}),
        ("float", (_GREY / 255).astype(np.float32), {"compression": "zstd"}),
        ("min is white", _GREY, {"photometric": "miniswhite", "bitspersample": 8}),
        ("12 bits", _GREY.astype(np.uint16) << 4, {"bitspersample": 12}),
        ("big", _GREY, {"bigtiff": True}),
    )
    for name, samples, options in tiffs:
        stream = io.BytesIO()
        tifffile.imwrite(stream, samples, metadata=None, **{"bigtiff": False, **options})
        found[f"tiff {name}"] = stream.getvalue()
    return found


def _flip(data: bytearray, rng: random.Random, _: list[bytes]) -> None:
    for _bit in range(rng.choice((1, 1, 2, 8, 64))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _cut(data: bytearray, rng: random.Random, _: list[bytes]) -> None:
    del data[rng.randrange(len(data)) :]


def _number(data: bytearray, rng: random.Random, _: list[bytes]) -> None:
    """Some header's number becomes an extreme one."""
    value = rng.choice((0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFF, len(data)))
    form = rng.choice(("<I", ">I", "<H", ">H", "B"))
    at = rng.randrange(min(len(data), 400))
    piece = struct.pack(form, value & ((1 << 8 * struct.calcsize(form)) - 1))
    data[at : at + len(piece)] = piece


def _garbage(data: bytearray, rng: random.Random, _: list[bytes]) -> None:
    at = rng.randrange(len(data))
    data[at : at + rng.choice((0, 4, 50))] = rng.randbytes(rng.choice((1, 4, 50, 500)))


def _twice(data: bytearray, rng: random.Random, _: list[bytes]) -> None:
    first, second = sorted(rng.randrange(len(data)) for _ in range(2))
    data[second:second] = data[first:second] * rng.choice((1, 1, 1, 20))


def _splice(data: bytearray, rng: random.Random, others: list[bytes]) -> None:
    other = rng.choice(others)
    data[rng.randrange(len(data)) :] = other[rng.randrange(len(other)) :]


def _zeros(data: bytearray, rng: random.Random, _: list[bytes]) -> None:
    at = rng.randrange(len(data))
    size = rng.choice((1, 16, 200))
    data[at : at + size] = bytes(min(size, len(data) - at))


_CHANGES: tuple[Callable[[bytearray, random.Random, list[bytes]], None], ...] = (
    _flip,
    _cut,
    _number,
    _garbage,
    _twice,
    _splice,
    _zeros,
)


def mutants(seed: int) -> Iterator[tuple[str, bytes]]:
    """Yield (what it was, file) without end; the same for the same seed."""
    rng = random.Random(seed)
    files = corpus()
    names, others = sorted(files), list(files.values())
    while True:
        name = rng.choice(names)
        data = bytearray(files[name])
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            if data:
                rng.choice(_CHANGES)(data, rng, others)
        yield name, bytes(data)
