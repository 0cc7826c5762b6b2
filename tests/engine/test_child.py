"""Decoding in a child process: the same pixels, and bounds on time and memory that hold inside a decoder."""

from __future__ import annotations

import io
import os
import signal
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
from files import encode
from PIL import Image

from pcb_aoi.engine import image
from pcb_aoi.engine.image import child
from pcb_aoi.engine.image.child import Decoder
from pcb_aoi.errors import BadImage, DeadlineExceeded, TooLarge, UnsupportedImage

COLOUR = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)

GOOD = encode(COLOUR, "TIFF")  # of a format that the child decodes


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    decoder = Decoder()
    yield decoder
    decoder.close()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP", "WEBP", "PPM", "GIF"])
def test_the_frame_is_the_one_that_is_decoded_here(decoder: Decoder, kind: str) -> None:
    data = encode(COLOUR, kind)
    for file in (data, data[: len(data) * 3 // 4]):
        try:
            here = image.decode(file, 1)
        except BadImage as error:
            with pytest.raises(BadImage, match=str(error)):
                decoder.decode(file, 1, 60)
            continue
        there = decoder.decode(file, 1, 60)
        assert (there.pixels == here.pixels).all()
        assert (there.format, there.mode, there.truncated) == (here.format, here.mode, here.truncated)


def test_refusals_are_the_same(decoder: Decoder) -> None:
    with pytest.raises(UnsupportedImage) as caught:
        decoder.decode(b"no image at all", 1, 60)
    assert caught.value.detail.startswith("first bytes")
    with pytest.raises(TooLarge, match="limit is"):
        decoder.decode(encode(COLOUR), 0.001, 60)


def test_damaged_frames_beside_others_get_the_answers_that_they_get_alone() -> None:
    """Pillow's switch for truncated files counts for a whole process."""
    cut = encode(COLOUR, "JPEG", quality=95)
    cut = cut[: len(cut) // 2]
    dead = encode(COLOUR, "WEBP", lossless=True)[:200]
    decoders = [Decoder(), Decoder()]
    expected = image.decode(cut, 1).pixels
    wrong: list[str] = []

    def work(which: Decoder, order: list[bytes]) -> None:
        for data in order * 20:
            try:
                frame = which.decode(data, 1, 60)
                if data is dead or not frame.truncated or (frame.pixels != expected).any():
                    wrong.append("answered")
            except (BadImage, UnsupportedImage):
                if data is cut:
                    wrong.append("refused")

    threads = [threading.Thread(target=work, args=(which, [cut, dead])) for which in decoders * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for which in decoders:
        which.close()
    assert wrong == []


def rle_bmp(width: int, height: int) -> bytes:
    """BMP of run lengths, which Pillow decodes in Python."""
    pixels = (b"\1\7\1\5" * (width // 2) + b"\0\0") * height + b"\0\1"
    palette = b"".join(bytes([i, i, i, 0]) for i in range(256))
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(pixels), 0, 0, 256, 0)
    start = 14 + len(header) + len(palette)
    return b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + header + palette + pixels


def scans(count: int, width: int = 2000, height: int = 1500) -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    data = encode(Image.new("L", (width, height)), "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * count + b"\xff\xd9"


@pytest.mark.parametrize("data", [rle_bmp(1500, 1000), scans(2000)], ids=["run lengths", "scans"])
def test_a_file_made_to_be_slow_is_refused(data: bytes, decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its CPU time: 3 s and 0.12 s a megapixel, here a tenth of it, so that the test is not slow itself."""
    monkeypatch.setattr(child, "SECONDS", child.SECONDS / 10)
    monkeypatch.setattr(child, "SECONDS_PER_MP", child.SECONDS_PER_MP / 10)
    with pytest.raises(TooLarge, match="too long to decode"):
        decoder.decode(data, 300, 60)
    assert (decoder.decode(GOOD, 1, 60).pixels == COLOUR).all()


def test_a_file_made_to_be_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kilobytes that would take gigabytes; here with an eighth of the memory and of the pixels."""
    monkeypatch.setattr(child, "MEMORY_MIB", child.MEMORY_MIB // 8)
    stream = io.BytesIO()
    rows = (np.zeros((512, 8_000), np.float64) for _ in range(10))
    tifffile.imwrite(stream, rows, shape=(5_000, 8_000), dtype=np.float64, compression="zlib", tile=(512, 8_000))
    decoder = Decoder()
    with pytest.raises(TooLarge, match="too much memory"):
        decoder.decode(stream.getvalue(), 300, 120)
    assert (decoder.decode(GOOD, 1, 60).pixels == COLOUR).all()
    decoder.close()


def test_the_time_that_is_left_is_kept(decoder: Decoder) -> None:
    with pytest.raises(DeadlineExceeded):
        decoder.decode(scans(6000), 300, 0.05)
    assert (decoder.decode(GOOD, 1, 60).pixels == COLOUR).all()


def test_a_child_that_was_killed_is_replaced() -> None:
    decoder = Decoder()
    decoder.start()
    assert decoder._child is not None
    os.kill(decoder._child.pid, signal.SIGKILL)
    decoder._child.wait()
    assert (decoder.decode(GOOD, 1, 60).pixels == COLOUR).all()
    decoder.close()


def test_many_frames_leave_nothing_open(decoder: Decoder) -> None:
    decoder.decode(GOOD, 1, 60)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(50):
        decoder.decode(GOOD, 1, 60)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1


def test_the_child_ends_with_its_parent() -> None:
    decoder = Decoder()
    decoder.start()
    assert decoder._child is not None
    assert decoder._socket is not None
    decoder._socket.close()
    assert decoder._child.wait(10) == 0


@pytest.mark.parametrize(
    ("kind", "options"), [("PNG", {}), ("JPEG", {}), ("JPEG", {"progressive": True}), ("TIFF", {})]
)
def test_only_plain_formats_are_decoded_in_place(kind: str, options: dict[str, bool]) -> None:
    decoder = Decoder()
    data = encode(COLOUR, kind, **options)
    assert (decoder.decode(data, 1, 60).pixels == image.decode(data, 1).pixels).all()
    assert (decoder.pid == 0) == (kind in ("PNG", "JPEG") and not options)
    decoder.close()


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_plain_file_with_a_fault_goes_to_the_child(kind: str) -> None:
    decoder = Decoder()
    frame = decoder.decode(encode(COLOUR, kind)[:-40], 1, 60)
    assert frame.truncated
    assert decoder.pid
    decoder.close()
