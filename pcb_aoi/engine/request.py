"""What CVAT sends, checked: a JSON object with a base64 `image` and, sometimes, a `threshold`."""

from __future__ import annotations

import binascii
import json
from dataclasses import dataclass
from typing import Any

from pcb_aoi.config.settings import MIB
from pcb_aoi.errors import BadRequest, TooLarge

_WHITESPACE = str.maketrans("", "", " \t\r\n")


@dataclass(frozen=True)
class Request:
    """One frame to inspect. `threshold` is None when the function's default applies."""

    image: bytes
    threshold: float | None


def parse(body: object, max_image_mib: float) -> Request:
    """Read the body of one invocation.

    Args:
        body: what nuclio hands over: a dict when the content type was exactly `application/json`,
            else bytes or str. The image is taken *out* of a dict: for a large board the text is hundreds
            of megabytes, and the event would hold it until the answer is sent.
        max_image_mib: upper limit of the decoded image file.

    Raises:
        BadRequest: the body is not what CVAT sends; the message names the field.
        TooLarge: the image file is over the limit; found before it is decoded.
    """
    fields = _fields(body)
    if "image" not in fields:
        raise BadRequest("missing field 'image'")
    threshold = _threshold(fields.get("threshold"))
    return Request(_image(fields.pop("image"), max_image_mib), threshold)


def _fields(body: object) -> dict[str, Any]:
    if isinstance(body, bytes | bytearray | str):
        if not body.strip():
            raise BadRequest("request body is empty; expected JSON with an 'image' field")
        try:
            body = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise BadRequest("request body is not valid JSON", detail=type(error).__name__) from None
    if not isinstance(body, dict):
        raise BadRequest(f"expected a JSON object, got {type(body).__name__}")
    return body


def _threshold(value: object) -> float | None:
    if value is None:
        return None
    # NaN fails the comparison, and so do the infinities; bool is an int to Python but not to anybody else.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise BadRequest("'threshold' must be a number in [0, 1]")
    return float(value)


def _image(text: object, max_image_mib: float) -> bytes:
    if not isinstance(text, str):
        raise BadRequest(f"'image' must be a base64 string, got {type(text).__name__}")
    if len(text) * 3 / 4 > max_image_mib * MIB * 1.05:  # 5 % for line breaks; the exact check is below
        raise _too_large(len(text) * 3 / 4, max_image_mib)
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        data = _decode(text)
    except ValueError as error:
        raise BadRequest("'image' is not valid base64", detail=str(error)) from None
    if not data:
        raise BadRequest("'image' is empty")
    if len(data) > max_image_mib * MIB:
        raise _too_large(len(data), max_image_mib)
    return data


def _decode(text: str) -> bytes:
    """Decode strictly: a character outside the alphabet is an error, not silence. Line breaks are allowed."""
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        text = text.translate(_WHITESPACE)
        return binascii.a2b_base64(text, strict_mode=True) if text.strip("=") else b""


def _too_large(size: float, max_image_mib: float) -> TooLarge:
    return TooLarge(f"image is {size / MIB:.1f} MiB; limit is {max_image_mib:g} MiB")
