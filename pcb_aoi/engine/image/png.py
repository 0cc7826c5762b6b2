"""PNG files that Pillow reads wrong or not at all: 16-bit colour, damage inside, an hour's worth of text.

`repair` undoes the damage before any decoder sees it: it inflates as far as the stream goes, keeps the rows that are
whole, and packs them anew. https://www.w3.org/TR/png-3/
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from pcb_aoi.errors import BadImage

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_KEPT = (b"IHDR", b"PLTE", b"tRNS", b"eXIf")
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_STEP = 1 << 16


@dataclass(frozen=True)
class PngHeader:
    """IHDR of a PNG file."""

    width: int
    height: int
    bits: int
    colour: int
    interlaced: bool

    @property
    def passes(self) -> list[tuple[int, int]]:
        """(rows, bytes a row with its filter byte) of each pass; one pass where the file is not interlaced."""
        bits = self.bits * _SAMPLES[self.colour]
        if not self.interlaced:
            return [(self.height, 1 + (self.width * bits + 7) // 8)]
        sizes = [(-(-(self.height - y) // dy), -(-(self.width - x) // dx)) for x, y, dx, dy in _ADAM7]
        return [(rows, 1 + (columns * bits + 7) // 8) for rows, columns in sizes if rows > 0 and columns > 0]


def header(data: bytes) -> PngHeader | None:
    """Read IHDR; None when these bytes are no PNG, or one whose header is damaged."""
    if not data.startswith(SIGNATURE) or data[12:16] != b"IHDR" or len(data) < 29:
        return None
    width, height, bits, colour, _, _, interlace = struct.unpack(">IIBBBBB", data[16:29])
    known = colour in _SAMPLES and bits in (1, 2, 4, 8, 16) and 0 < width < 1 << 31 and 0 < height < 1 << 31
    return PngHeader(width, height, bits, colour, interlace == 1) if known else None


def repair(data: bytes, head: PngHeader) -> tuple[bytes, bool]:
    """Return (file, whole): a PNG of the rows that inflate, all checksums right, other text and metadata left out.

    Missing rows are black. `whole` says that none is missing.

    Raises:
        BadImage: not one row inflates.
    """
    kept, stream = _chunks(data)
    expected = sum(rows * stride for rows, stride in head.passes)
    rows = _whole_rows(_inflate(stream, expected), head)
    if not rows:
        raise BadImage("image data is damaged: no pixel decodes", detail="no row of the PNG inflates")
    whole = len(rows) == expected
    rows += bytes(expected - len(rows))
    packed = zlib.compress(rows, 0)
    chunks = [*kept, *((b"IDAT", packed[at : at + (1 << 30)]) for at in range(0, len(packed), 1 << 30)), (b"IEND", b"")]
    return SIGNATURE + b"".join(_chunk(name, content) for name, content in chunks), whole


def _chunks(data: bytes) -> tuple[list[tuple[bytes, bytes]], list[bytes]]:
    """Split the file into chunks that matter to the pixels and the pieces of the stream; checksums are not asked."""
    kept: list[tuple[bytes, bytes]] = []
    stream: list[bytes] = []
    at = len(SIGNATURE)
    while at + 8 <= len(data):
        size, name = struct.unpack(">I4s", data[at : at + 8])
        content = data[at + 8 : at + 8 + size]
        if name == b"IDAT":
            stream.append(content)
        elif name == b"IEND":
            break
        elif name in _KEPT and not stream and len(content) == size <= 1 << 20:
            kept.append((name, content))
        at += 12 + size
    return kept, stream


def _inflate(stream: list[bytes], expected: int) -> bytes:
    """Inflate up to `expected` bytes, as far as the stream is sound."""
    inflater = zlib.decompressobj()
    out = bytearray()
    for content in stream:
        for at in range(0, len(content), _STEP):
            piece = content[at : at + _STEP]
            before = inflater.copy()
            try:
                out += inflater.decompress(piece, expected - len(out) + 1)
            except zlib.error:
                return bytes(out + _last_bytes(before, piece))[:expected]
            if len(out) >= expected or inflater.eof:
                return bytes(out[:expected])
    return bytes(out)


def _last_bytes(inflater: zlib._Decompress, piece: bytes) -> bytes:
    """What a damaged piece gives before the damage, byte by byte."""
    out = bytearray()
    for value in piece:
        try:
            out += inflater.decompress(bytes([value]))
        except zlib.error:
            break
    return bytes(out)


def _whole_rows(pixels: bytes, head: PngHeader) -> bytes:
    """Cut after the last whole row, and before the first row with a filter that does not exist."""
    at = 0
    for rows, stride in head.passes:
        filters = pixels[at : at + rows * stride : stride]
        sound = next((row for row, kind in enumerate(filters) if kind > 4), len(filters))
        sound = min(sound, (len(pixels) - at) // stride)
        at += sound * stride
        if sound < rows:
            break
    return pixels[:at]


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
