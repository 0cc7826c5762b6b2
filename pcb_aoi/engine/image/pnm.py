"""PBM, PGM and PPM files by numpy: Pillow reads most of them in Python, at 4 µs a sample.

http://netpbm.sourceforge.net/doc/ (ppm, pgm, pbm): magic P1 to P6, width, height, the white level, samples.
"""

from __future__ import annotations

import re

import numpy as np

from pcb_aoi.engine.image.depth import Samples
from pcb_aoi.errors import BadImage

_TOKEN = re.compile(rb"(?:\s|#[^\r\n]*[\r\n])*([^\s#]+)")
_COMMENT = re.compile(rb"#[^\r\n]*")
_CHANNELS = {b"P1": 1, b"P2": 1, b"P3": 3, b"P4": 1, b"P5": 1, b"P6": 3}


class PnmHeader:
    """Size and white level of a PNM file, read before any sample is.

    Raises:
        BadImage: a number is missing or impossible.
    """

    def __init__(self, data: bytes) -> None:
        self.magic = data[:2]
        self.channels = _CHANNELS[self.magic]
        numbers, at = [], 2
        for _ in range(2 if self.magic in (b"P1", b"P4") else 3):
            match = _TOKEN.match(data, at, at + 4096)
            if match is None or not match[1].isdigit() or len(match[1]) > 9:
                raise BadImage("the PNM header is damaged")
            numbers.append(int(match[1]))
            at = match.end()
        self.width, self.height = numbers[:2]
        self.white = numbers[2] if len(numbers) == 3 else 1
        self.start = at + 1  # one blank after the last number
        if not (self.width and self.height and 0 < self.white < 65536):
            raise BadImage("the PNM header is damaged")


def is_pnm(data: bytes) -> bool:
    """Whether the first bytes are those of a PBM, PGM or PPM file."""
    return data[:2] in _CHANNELS and data[2:3].isspace()


def read(data: bytes, header: PnmHeader) -> tuple[Samples, int]:
    """Return (samples, rows): (H, W) or (H, W, 3) of uint8 or uint16, and how many rows are whole.

    The rest is black. Samples are scaled to the whole range of their type unless the white level is that already.
    """
    width, height, channels = header.width, header.height, header.channels
    row = width * channels
    if header.magic == b"P4":
        packed = np.frombuffer(data, np.uint8, offset=min(header.start, len(data)))
        stride = (width + 7) // 8
        rows = min(height, packed.size // stride)
        bits = np.unpackbits(packed[: rows * stride].reshape(rows, stride), axis=1, count=width)
        values = (1 - bits).reshape(-1)
    elif header.magic in (b"P5", b"P6"):
        dtype = np.dtype(">u2") if header.white > 255 else np.dtype(np.uint8)
        usable = max(0, len(data) - header.start) // dtype.itemsize
        values = np.frombuffer(data, dtype, min(usable, row * height), min(header.start, len(data)))
    else:
        text = _COMMENT.sub(b" ", data[header.start - 1 :])
        values = _bits(text) if header.magic == b"P1" else _numbers(text)
    rows = min(height, values.size // row)
    whole = np.zeros(row * height, np.uint8 if header.white < 256 else np.uint16)
    whole[: rows * row] = _scaled(values[: rows * row], header.white)
    shape = (height, width) if channels == 1 else (height, width, channels)
    return whole.reshape(shape), rows


def _bits(text: bytes) -> Samples:
    """Zeros and ones, with or without blanks between them; 1 is black."""
    digits = np.frombuffer(text, np.uint8)
    digits = digits[(digits == ord("0")) | (digits == ord("1"))]
    values: Samples = ord("1") - digits
    return values


def _numbers(text: bytes) -> Samples:
    """Decimal numbers between blanks, up to the first word that is none."""
    stop = re.search(rb"[^\s0-9]", text)
    words = text[: stop.start()].split() if stop else text.split()
    return np.array([min(int(word), 65535) if len(word) < 10 else 65535 for word in words], np.uint16)


def _scaled(values: Samples, white: int) -> Samples:
    """Stretch 0..white to 0..255, or to 0..65535; a white of 2^n - 1 keeps its depth and is not stretched."""
    if white in (255, 65535) or (white > 255 and white & (white + 1) == 0):
        return values
    top = 255 if white < 256 else 65535
    scaled: Samples = (np.minimum(values, white).astype(np.uint32) * top + white // 2) // white
    return scaled
