"""Any image CVAT can store, as uint8 pixels: (H, W) when grey, (H, W, 3) RGB when not."""

from __future__ import annotations

import io
import struct
import threading
import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError, features

from pcb_aoi.errors import BadImage, TooLarge, UnsupportedImage

UInt8 = npt.NDArray[np.uint8]

# Named one by one: every further decoder (EPS, PSD, FITS, ...) is a way in that no annotator needs. MPO, the stereo
# JPEG of phones, comes in as JPEG: it has no entry of its own in Pillow's table.
FORMATS = ("JPEG", "PNG", "BMP", "DIB", "TIFF", "WEBP", "GIF", "PPM", "JPEG2000") + (
    ("AVIF",) if features.check("avif") else ()
)
_SUPPORTED = "JPEG, PNG, BMP, TIFF, WEBP, GIF, PPM, JPEG 2000"

# What Pillow's decoders raise on damaged files. Most of it is not documented, and none of it is a fault of ours.
_UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    EOFError,
    RuntimeError,
    struct.error,
)

# Pillow has one switch for the whole process; only one thread may flip it at a time.
_TRUNCATED_LOCK = threading.Lock()


@dataclass(frozen=True)
class Frame:
    """One decoded frame and what the log says about it."""

    pixels: UInt8
    format: str
    mode: str
    """Pillow's mode of the file, before conversion."""
    truncated: bool
    """The file ends early; the missing pixels are what the decoder left there."""


def decode(data: bytes, max_megapixels: float) -> Frame:
    """Decode the first frame of an image file, upright as its EXIF orientation says.

    Grey stays one channel. Transparency is ignored, as CVAT ignores it when it shows the frame. Samples of more
    than 8 bits are shifted right by the smallest even number of bits that brings the maximum under 256: 10-,
    12-, 14- and 16-bit data keep their contrast, and a crop is not stretched unlike its board.

    Raises:
        UnsupportedImage: not an image, or a format that is not read.
        TooLarge: more pixels than the limit; found before any pixel is decoded.
        BadImage: no pixel decodes.
    """
    try:
        return _decode(data, max_megapixels, truncated=False)
    except UnsupportedImage as error:
        first: Exception = error
    except _UNREADABLE as error:
        first = error
    # CVAT itself stores and shows truncated files, so they are answered too: on the pixels that decode.
    with _TRUNCATED_LOCK:
        ImageFile.LOAD_TRUNCATED_IMAGES = True
        try:
            frame = _decode(data, max_megapixels, truncated=True)
        except UnsupportedImage:
            raise first if isinstance(first, UnsupportedImage) else _bad(first) from first
        except _UNREADABLE as error:
            raise _bad(error) from error
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = False
    if not frame.pixels.any():
        raise _bad(first)
    return frame


def _bad(cause: Exception) -> BadImage:
    return BadImage("image data is damaged: no pixel decodes", detail=f"{type(cause).__name__}: {cause}")


def _decode(data: bytes, max_megapixels: float, *, truncated: bool) -> Frame:
    limit = int(max_megapixels * 1e6)
    with warnings.catch_warnings():
        # Pillow warns of odd metadata and of sizes under our own limit; neither concerns the pixels.
        warnings.simplefilter("ignore")
        # Pillow raises at twice this number of pixels, whatever the header of an embedded frame says.
        Image.MAX_IMAGE_PIXELS = limit
        try:
            image = Image.open(io.BytesIO(data), formats=FORMATS)
        except UnidentifiedImageError as error:
            raise UnsupportedImage(
                f"cannot identify image; supported: {_SUPPORTED}", detail=f"first bytes {data[:8].hex()}"
            ) from error
        except Image.DecompressionBombError as error:
            raise TooLarge(f"image has more than {2 * max_megapixels:g} MP; limit is {max_megapixels:g} MP") from error
        with image:
            width, height = image.size
            if width * height > limit:
                raise TooLarge(f"image has {width * height / 1e6:.1f} MP; limit is {max_megapixels:g} MP")
            name, mode = image.format or "?", image.mode
            try:
                image.load()
            except Image.DecompressionBombError as error:
                raise TooLarge(f"image has more than {max_megapixels:g} MP") from error
            return Frame(_pixels(_upright(image)), name, mode, truncated)


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except (OSError, SyntaxError, ValueError, KeyError, TypeError, OverflowError, ZeroDivisionError):
        return image  # damaged metadata is no reason to refuse good pixels


def _pixels(image: Image.Image) -> UInt8:
    match image.mode:
        case "L":
            return np.asarray(image)
        case "1" | "LA" | "La":
            return np.asarray(image.convert("L"))
        case "I;16" | "I;16L" | "I;16B" | "I;16N" | "I" | "F":
            return to_8_bit(np.asarray(image))
        case "LAB":  # Pillow cannot convert it without a colour profile; lightness is what an AOI image shows
            return np.asarray(image.getchannel("L"))
        case "RGB":
            return np.asarray(image)
        case _:
            return np.asarray(image.convert("RGB"))


def to_8_bit(samples: npt.NDArray[np.generic]) -> UInt8:
    """Bring samples of any depth to uint8.

    Integers are shifted right by the smallest of 0, 2, 4, 6, 8, ... bits that brings the maximum under 256. Floats
    up to 1 are taken as fractions of white, larger ones as integers; NaN and infinities become black.
    """
    if np.issubdtype(samples.dtype, np.floating):
        samples = np.where(np.isfinite(samples), samples, 0)
        samples = samples * 255 if samples.max(initial=0) <= 1 else samples
        samples = np.clip(samples, 0, np.iinfo(np.int32).max).astype(np.int64)
    samples = np.maximum(samples, 0) if samples.dtype.kind == "i" else samples
    bits = max(0, int(samples.max(initial=0)).bit_length() - 8)
    return np.right_shift(samples, (bits + 1) // 2 * 2).astype(np.uint8)  # type: ignore[no-any-return]
