"""PBM, PGM and PPM: as Netpbm's documents say, and as fast as a binary format is."""

from __future__ import annotations

import time

import numpy as np
import pytest
from files import encode

from pcb_aoi.engine import image
from pcb_aoi.errors import BadImage, TooLarge

RNG = np.random.default_rng(2)


@pytest.mark.parametrize("white", [1, 100, 254, 255, 256, 1023, 4095, 10_000, 16_383, 65_535])
@pytest.mark.parametrize("magic", ["P2", "P3", "P5", "P6"])
def test_every_white_level_is_scaled_to_255(magic: str, white: int) -> None:
    shape = (20, 30) if magic in ("P2", "P5") else (20, 30, 3)
    samples = RNG.integers(0, white + 1, shape)
    samples.flat[0] = white
    body = (
        " ".join(map(str, samples.ravel())).encode()
        if magic in ("P2", "P3")
        else samples.astype(">u2" if white > 255 else "u1").tobytes()
    )
    frame = image.decode(f"{magic}\n# made for a test\n30 20 {white}\n".encode() + body, 1)
    assert frame.pixels.shape == shape
    assert np.abs(frame.pixels.astype(float) - samples * 255 / white).max() <= 1
    assert not frame.truncated


@pytest.mark.parametrize("text", ["with blanks", "without", "with comments"])
def test_plain_bitmaps(text: str) -> None:
    bits = RNG.integers(0, 2, (20, 30))
    body = "\n".join((" " if text == "with blanks" else "").join(map(str, row)) for row in bits)
    body = body.replace("\n", " # a comment 0 1\n") if text == "with comments" else body
    frame = image.decode(f"P1\n30 20\n{body}\n".encode(), 1)
    assert (frame.pixels == (1 - bits) * 255).all()


def test_packed_bitmaps() -> None:
    bits = RNG.integers(0, 2, (20, 30)).astype(np.uint8)
    frame = image.decode(b"P4 30 20\n" + np.packbits(bits, axis=1).tobytes(), 1)
    assert (frame.pixels == (1 - bits) * 255).all()


@pytest.mark.parametrize("magic", ["P1", "P2", "P3", "P4", "P5", "P6"])
def test_rows_that_are_whole_count(magic: str) -> None:
    full = {
        "P1": b"P1 8 40\n" + b"01010101\n" * 40,
        "P2": b"P2 8 40 255\n" + b"7 7 7 7 7 7 7 7\n" * 40,
        "P3": b"P3 8 40 255\n" + b"7 7 7 " * 320,
        "P4": b"P4 8 40\n" + b"\x55" * 40,
        "P5": b"P5 8 40 255\n" + b"\x07" * 320,
        "P6": b"P6 8 40 255\n" + b"\x07" * 960,
    }[magic]
    assert not image.decode(full, 1).truncated
    frame = image.decode(full[: len(full) * 2 // 3], 1)
    assert frame.truncated
    assert frame.pixels.any((1, 2) if frame.pixels.ndim == 3 else 1).sum() in range(20, 29)


@pytest.mark.parametrize(
    "data",
    [
        b"P5",
        b"P5 8",
        b"P5 8 8",
        b"P5 8 8 0\n1",
        b"P5 0 8 255\n1",
        b"P5 8 8 70000\n1",
        b"P5 x 8 255\n",
        b"P2 8 8 255\nx",
    ],
)
def test_a_damaged_header_or_no_row_is_no_picture(data: bytes) -> None:
    with pytest.raises(BadImage):
        image.decode(data, 1)


def test_the_size_is_known_before_a_sample_is_read() -> None:
    with pytest.raises(TooLarge):
        image.decode(b"P2 100000 100000 255\n", 300)


@pytest.mark.parametrize(("magic", "white"), [("P5", 254), ("P5", 4095), ("P6", 254), ("P6", 65_535), ("P1", 1)])
def test_they_are_read_as_fast_as_png(magic: str, white: int) -> None:
    """Of one size, in one run. Pillow needs 4 µs a sample, a hundred times as long."""
    samples = RNG.integers(0, white + 1, (1000, 1000 if magic != "P6" else 3000)).astype(">u2" if white > 255 else "u1")
    if magic == "P1":
        data = b"P1 1000 1000\n" + (samples + ord("0")).astype("u1").tobytes()
    else:
        data = f"{magic} 1000 1000 {white}\n".encode() + samples.tobytes()
    peer = encode(RNG.integers(0, 256, (1000, 1000, 3) if magic == "P6" else (1000, 1000), dtype=np.uint8))
    best = {}
    for name, file in (("pnm", data), ("png", peer)):
        times = []
        for _ in range(3):
            started = time.perf_counter()
            image.decode(file, 10)
            times.append(time.perf_counter() - started)
        best[name] = min(times)
    assert best["pnm"] < 3 * best["png"]
