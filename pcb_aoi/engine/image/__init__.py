"""Any image CVAT can store, as uint8 pixels: (H, W) when grey, (H, W, 3) RGB when not."""

from __future__ import annotations

import io
import math
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import imagecodecs
import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError, features

from pcb_aoi.engine.image import png, pnm, tiff
from pcb_aoi.engine.image.depth import UInt8, to_8_bit
from pcb_aoi.errors import BadImage, PcbAoiError, TooLarge, UnsupportedImage

# Named one by one: every further decoder (EPS, PSD, FITS, ...) is a way in that no annotator needs. MPO, the stereo
# JPEG of phones, comes in as JPEG: it has no entry of its own in Pillow's table.
FORMATS = ("JPEG", "PNG", "BMP", "DIB", "TIFF", "WEBP", "GIF", "PPM", "JPEG2000") + (
    ("AVIF",) if features.check("avif") else ()
)
_SUPPORTED = "JPEG, PNG, BMP, TIFF, WEBP, GIF, PPM, JPEG 2000"

# A quarter of the range. A board has copper and laminate; less is a wrong depth, a lens cap, an empty frame.
_FEW_LEVELS = 64
_SAMPLES = 1 << 15

# Pillow has one switch for the whole process, which changes what every other thread decodes.
_LOCK = threading.Lock()


@dataclass(frozen=True)
class Frame:
    """One decoded frame and what the log says about it."""

    pixels: UInt8
    format: str
    mode: str
    """Pillow's mode of the file, before conversion."""
    truncated: bool
    """The file ends early or is damaged; the missing pixels are what the decoder left there."""

    def warnings(self) -> tuple[str, ...]:
        """What the client is told of the pixels."""
        notes = ["the image file is truncated"] if self.truncated else []
        levels = _levels(self.pixels)
        if levels < _FEW_LEVELS:
            notes.append(f"the picture uses {levels} of 256 grey levels: one tone, or read too dark")
        return tuple(notes)


class Limits:
    """What a file may cost, asked as soon as its header is read and before any pixel is decoded."""

    def __init__(self, max_megapixels: float, on_size: Callable[[float], None] | None = None) -> None:
        """`on_size` is told the megapixels of the picture that is about to be decoded."""
        self.max_megapixels = max_megapixels
        self._on_size = on_size

    def check(self, width: int, height: int) -> None:
        """Raise TooLarge for a picture over the limit."""
        if width * height > int(self.max_megapixels * 1e6):
            raise TooLarge(f"image has {width * height / 1e6:.1f} MP; limit is {self.max_megapixels:g} MP")
        if self._on_size:
            self._on_size(width * height / 1e6)


def _levels(pixels: UInt8) -> int:
    """From how dark to how bright the picture goes, in grey levels, but for one pixel in a thousand at either end."""
    step = max(1, math.isqrt(pixels.shape[0] * pixels.shape[1] // _SAMPLES))
    few = np.bincount(pixels[::step, ::step].ravel(), minlength=256).cumsum()
    low, high = np.searchsorted(few, (0.001 * few[-1], 0.999 * few[-1]))
    return int(high) - int(low) + 1


def decode(data: bytes, max_megapixels: float, on_size: Callable[[float], None] | None = None) -> Frame:
    """Decode the first frame of an image file, upright as its EXIF orientation says.

    Grey stays one channel. Transparency is ignored, as CVAT ignores it when it shows the frame. Samples of more
    than 8 bits are scaled by the depth that they use (`depth`). CVAT stores and shows damaged files, so they are
    answered too: on the pixels that decode.

    Raises:
        UnsupportedImage: not an image, or a format that is not read.
        TooLarge: more pixels than the limit; found before any pixel is decoded.
        BadImage: no pixel decodes.
    """
    with _LOCK, warnings.catch_warnings():
        # Pillow warns of odd metadata and of sizes under our own limit; neither concerns the pixels.
        warnings.simplefilter("ignore")
        limit = Image.MAX_IMAGE_PIXELS
        # Pillow raises at twice this number of pixels, whatever the header of an embedded frame says.
        Image.MAX_IMAGE_PIXELS = int(max_megapixels * 1e6)
        try:
            return _read(data, Limits(max_megapixels, on_size))
        except (PcbAoiError, MemoryError):
            raise
        except Exception as error:  # a decoder's, on a file that no list of errors foresees
            raise _bad(error) from error
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _read(data: bytes, limits: Limits) -> Frame:
    """Hand the file to the reader of its format."""
    if pnm.is_pnm(data):
        return _pnm(data, limits)
    if tiff.is_tiff(data):
        try:
            return _tiff(data, limits)
        except (PcbAoiError, MemoryError):
            raise
        except Exception:  # tifffile raises what its parsing runs into
            pass  # what Pillow reads is better than nothing
    head = png.header(data)
    if head is not None:
        return _png(data, head, limits)
    return _pillow(data, limits)


def _pnm(data: bytes, limits: Limits) -> Frame:
    head = pnm.PnmHeader(data)
    limits.check(head.width, head.height)
    samples, rows = pnm.read(data, head)
    if not rows:
        raise _bad("not one row is whole")
    mode = f"{head.magic.decode()} maxval {head.white}"
    return Frame(to_8_bit(samples), "PPM", mode, rows < head.height)


def _tiff(data: bytes, limits: Limits) -> Frame:
    file = tiff.File(data)
    limits.check(file.width, file.height)
    picture = file.read()
    return Frame(_turned(picture.pixels, picture.orientation), "TIFF", picture.mode, picture.missing > 0)


def _png(data: bytes, head: png.PngHeader, limits: Limits) -> Frame:
    """Read a PNG, if need be a second time after its repair."""
    limits.check(head.width, head.height)
    read = _png_of_16_bits if head.bits == 16 and head.colour else _pillow_strictly
    try:
        return read(data, limits)
    except TooLarge:
        raise
    except Exception as error:  # Pillow's, imagecodecs': there is no common one
        mended, whole = png.repair(data, head)
        try:
            frame = read(mended, limits)
        except Exception:
            raise _bad(error) from error
        return replace(frame, truncated=not whole)


def _png_of_16_bits(data: bytes, _: Limits) -> Frame:
    """Colour, and grey with transparency, of 16 bits: Pillow would keep the high byte of each sample."""
    samples = imagecodecs.png_decode(data)
    colours = samples[..., :1].squeeze(2) if samples.ndim == 3 and samples.shape[2] == 2 else samples[..., :3]
    orientation = Image.open(io.BytesIO(data), formats=("PNG",)).getexif().get(0x0112, 1)
    return Frame(_turned(to_8_bit(np.ascontiguousarray(colours)), orientation), "PNG", "16-bit colour", False)


def _pillow(data: bytes, limits: Limits) -> Frame:
    """Read any other format; a damaged file twice, on a black and on a white canvas: what differs was not delivered."""
    try:
        return _pillow_strictly(data, limits)
    except (TooLarge, MemoryError):
        raise
    except Exception as error:  # Pillow's decoders have no common one
        first = error
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        with _opened(data, limits, 0) as black, _opened(data, limits, 255) as white:
            if not (np.asarray(black) == np.asarray(white)).any():
                raise _bad(first)
            return replace(frame_of(black), truncated=True)
    except UnsupportedImage:
        raise first if isinstance(first, UnsupportedImage) else _bad(first) from first
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False


def _pillow_strictly(data: bytes, limits: Limits) -> Frame:
    with _opened(data, limits) as image:
        return frame_of(image)


def frame_of(image: Image.Image) -> Frame:
    """Take the pixels of a picture that Pillow has loaded."""
    return Frame(_pixels(_upright(image)), image.format or "?", image.mode, False)


def _bad(cause: Exception | str) -> BadImage:
    detail = cause if isinstance(cause, str) else f"{type(cause).__name__}: {cause}"
    return BadImage("image data is damaged: no pixel decodes", detail=detail)


def _opened(data: bytes, limits: Limits, canvas: int | None = None) -> Image.Image:
    """Load with Pillow; `canvas` is the value of what the decoder never writes."""
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError as error:
        raise UnsupportedImage(
            f"cannot identify image; supported: {_SUPPORTED}", detail=f"first bytes {data[:8].hex()}"
        ) from error
    except Image.DecompressionBombError as error:
        raise TooLarge(
            f"image has more than {2 * limits.max_megapixels:g} MP; limit is {limits.max_megapixels:g} MP"
        ) from error
    limits.check(*image.size)
    if canvas is not None:
        image.load_prepare()
        bands = len(image.getbands())
        image.im.paste((canvas,) * bands if bands > 1 else canvas, (0, 0, *image.size))
    try:
        image.load()
    except Image.DecompressionBombError as error:
        raise TooLarge(f"image has more than {limits.max_megapixels:g} MP") from error
    return image


def _upright(image: Image.Image) -> Image.Image:
    try:
        if image.getexif().get(0x0112, 1) == 1:
            return image  # a copy of a board costs as much memory as the board
        return ImageOps.exif_transpose(image)
    except (OSError, SyntaxError, ValueError, KeyError, TypeError, OverflowError, ZeroDivisionError):
        return image  # damaged metadata is no reason to refuse good pixels


def _turned(pixels: UInt8, orientation: int) -> UInt8:
    """Turn and mirror as EXIF's and TIFF's orientation 1 to 8 say."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    down, left = orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)
    return np.ascontiguousarray(pixels[:: -1 if down else 1, :: -1 if left else 1])


def _pixels(image: Image.Image) -> UInt8:
    match image.mode:
        case "L":
            return np.asarray(image)
        case "1" | "LA" | "La":
            return np.asarray(image.convert("L"))
        case "I;16" | "I;16L" | "I;16B" | "I;16N":
            return to_8_bit(np.asarray(image).astype(np.uint16))
        case "I" | "F":
            return to_8_bit(np.asarray(image))
        case "LAB":  # Pillow cannot convert it without a colour profile; lightness is what an AOI image shows
            return np.asarray(image.getchannel("L"))
        case "RGB":
            return np.asarray(image)
        case _:
            return np.asarray(image.convert("RGB"))
