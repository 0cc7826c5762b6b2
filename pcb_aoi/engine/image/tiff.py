"""TIFF files by tifffile: every depth, sample format, order of planes and compression that an AOI machine writes.

Pillow keeps the high byte of 16-bit colour, ignores min-is-white above 8 bits, and reads few of the rest. tifffile
gives the samples as they are stored; here they become what the photometric interpretation says they mean (TIFF 6.0,
https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf, and its supplements).
"""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass

import numpy as np
import tifffile
from PIL import Image

from pcb_aoi.engine.image.depth import Samples, UInt8, to_8_bit
from pcb_aoi.errors import UnsupportedImage

# What it says of odd files is said better by the frame's own warnings.
logging.getLogger("tifffile").setLevel(logging.CRITICAL)

_MIN_IS_WHITE = 0
_COMPRESSIONS = (1, 2, 3, 4, 5, 7, 8, 32773, 32946, 34712, 34887, 34925, 50000, 50001)
"""None, CCITT (three), LZW, JPEG, Deflate, PackBits, old Deflate, JPEG 2000, LERC, LZMA, Zstandard, WebP."""
_JPEG = (6, 7)
_MOST_SAMPLES = 32
"""A pixel's: more than any camera has channels, and each costs as much memory as a grey picture."""
_TILE_BYTES = 100 << 20
"""A tile may be larger than its picture, up to this; it is decoded as a whole."""


class NotRead(Exception):
    """This reader cannot read the file; Pillow's may."""


@dataclass(frozen=True)
class Picture:
    """The first page of a file, read."""

    pixels: UInt8
    mode: str
    """What the file holds, for the log: photometric interpretation, bits, sample format."""
    orientation: int
    """1 to 8, as in EXIF."""
    missing: int
    """Strips or tiles that did not decode; they are black."""


def is_tiff(data: bytes) -> bool:
    """Whether the first bytes are those of a TIFF or BigTIFF file."""
    return data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


class File:
    """A TIFF file whose header has been read, and no pixel yet."""

    def __init__(self, data: bytes) -> None:
        """Read the first page's tags.

        Raises:
            NotRead: they are damaged, or of a kind that only Pillow reads.
            UnsupportedImage: they would cost memory that no picture of this size needs.
        """
        self._data = data
        try:
            self._page = page = tifffile.TiffFile(io.BytesIO(data)).pages.first
            self.width, self.height = page.imagewidth, page.imagelength
            self.bits = page.bitspersample
        except Exception as error:  # tifffile raises what its parsing runs into
            raise NotRead(f"{type(error).__name__}: {error}") from error
        if page.compression not in _COMPRESSIONS or page.dtype is None or page.imagedepth != 1 or page.is_subsampled:
            raise NotRead(f"compression {page.compression}, {page.bitspersample} bits")
        each = page.samplesperpixel * page.dtype.itemsize
        tile, whole = page.tilewidth * page.tilelength * each, self.width * self.height * each
        if page.samplesperpixel > _MOST_SAMPLES or tile > max(_TILE_BYTES, 4 * whole):
            raise UnsupportedImage(
                "a TIFF of impossible tiles or samples", detail=f"{page.samplesperpixel} samples, tiles of {tile} bytes"
            )

    def read(self) -> Picture:
        """Decode the page.

        Raises:
            NotRead: not one strip or tile decodes.
            UnsupportedImage: the samples have no meaning as a picture.
        """
        page = self._page
        stored, missing = self._stored()
        samples = np.moveaxis(stored, 0, -1).reshape(self.height, self.width, -1) if page.planarconfig == 2 else stored
        samples = samples.reshape(self.height, self.width, -1)
        mode = f"{getattr(page.photometric, 'name', page.photometric)} {page.bitspersample} bits {page.dtype}"
        orientation = page.tags.valueof(274, 1)
        return Picture(self._picture(samples), mode, orientation if orientation in range(1, 9) else 1, missing)

    def _stored(self) -> tuple[Samples, int]:
        """Samples as they lie in the file, (planes, H, W, samples), and the number of segments that are missing."""
        page = self._page
        planes, _, height, width, contiguous = page.shaped
        out = np.zeros((planes, height, width, contiguous), page._dtype)
        options = {"jpegtables": page.jpegtables, "jpegheader": page.jpegheader} if page.compression in _JPEG else {}
        count = int(np.prod(page.chunked))
        found = 0
        for index, (offset, size) in enumerate(
            zip(page.dataoffsets[:count], page.databytecounts[:count], strict=False)
        ):
            piece, whole = self._piece(index, offset, size)
            try:
                values, (plane, _, y, x, _), shape = page.decode(piece, index, **options)
            except Exception:  # as for the header
                continue
            if values is None or not piece:
                continue
            part = out[plane, y : y + shape[1], x : x + shape[2]]
            part[...] = values.reshape(shape)[0, : part.shape[0], : part.shape[1]]
            found += whole
        if not found and not out.any():
            raise NotRead("no strip decodes")
        return out, count - found

    def _piece(self, index: int, offset: int, size: int) -> tuple[bytes, bool]:
        """The bytes of one strip or tile; uncompressed ones that end early are filled up with zeros."""
        piece = self._data[offset : offset + size]
        if self._page.compression != 1 or not piece:
            return piece, len(piece) == size
        page = self._page
        samples = page.samplesperpixel if page.planarconfig == 1 else 1
        rows, width = (page.tilelength, page.tilewidth) if page.is_tiled else (page.rowsperstrip, page.imagewidth)
        if not page.is_tiled:
            first = index % -(-page.imagelength // rows) * rows
            rows = min(rows, page.imagelength - first)
        needed = rows * ((width * samples * page.bitspersample + 7) // 8)
        return piece + bytes(max(0, needed - len(piece))), len(piece) >= needed

    def _picture(self, samples: Samples) -> UInt8:
        """(H, W) or (H, W, 3) uint8 of what the samples mean; transparency and further samples are left out."""
        page = self._page
        bits = page.bitspersample if page.bitspersample not in (8, 16, 32, 64) else None
        match int(page.photometric):
            case 3:
                return self._coloured(samples[..., 0])
            case 6 if samples.shape[2] >= 3 and page.compression not in _JPEG:  # of a JPEG it comes as RGB
                values = to_8_bit(np.ascontiguousarray(samples[..., :3]), bits)
                return np.asarray(Image.frombytes("YCbCr", values.shape[1::-1], values.tobytes()).convert("RGB"))
            case 2 | 6 if samples.shape[2] >= 3:
                return to_8_bit(np.ascontiguousarray(samples[..., :3]), bits)
            case 5 if samples.shape[2] >= 4:
                inks = to_8_bit(np.ascontiguousarray(samples[..., :4]), bits).astype(np.uint16)
                return ((255 - inks[..., :3]) * (255 - inks[..., 3:]) // 255).astype(np.uint8)
            case 2 | 5 | 6:
                raise UnsupportedImage("a colour TIFF with too few samples", detail=repr(page))
            case photometric:
                grey = to_8_bit(np.ascontiguousarray(samples[..., 0]), bits)
                return 255 - grey if photometric == _MIN_IS_WHITE else grey

    def _coloured(self, indices: Samples) -> UInt8:
        """Look the colours up: 16 bits each by the specification, 8 in files of writers that took it otherwise."""
        table = np.asarray(self._page.colormap)
        if table.ndim != 2 or len(table) < 3:
            raise UnsupportedImage("a palette TIFF without its palette")
        colours = (table[:3].T if table.max(initial=0) < 256 else table[:3].T >> 8).astype(np.uint8)
        return colours[np.minimum(indices, len(colours) - 1)]
