"""Whatever comes in, a valid answer goes out: CVAT's frames of every kind, damaged files, attacks and noise.

The function under test finds solid bright rectangles exactly (tests/analytic.py), so "answers 200" always means "with
the right boxes".
"""

from __future__ import annotations

import base64
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import analytic
import child
import numpy as np
import pytest
from calling import STATUSES, Function
from files import UInt8, bomb_png, chunk, encode, pack_12_bit, png, tiff
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, features

from pcb_aoi.engine import image
from pcb_aoi.errors import BadImage

# Aligned to JPEG's blocks of 16 pixels, so that lossy files keep them exact; of three brightnesses, so that scores
# show a change of contrast. The third is longer than a tile.
RECTANGLES = {(16, 16, 48, 32): 255, (80, 16, 112, 48): 224, (32, 64, 160, 80): 176}
HEIGHT, WIDTH = 112, 192
BOXES = sorted(tuple(map(float, box)) for box in RECTANGLES)


def grey() -> UInt8:
    image = analytic.board(HEIGHT, WIDTH, [])
    for (x1, y1, x2, y2), value in RECTANGLES.items():
        image[y1:y2, x1:x2] = value
    return image


GREY = grey()
RGB = np.repeat(GREY[..., None], 3, axis=2)
# One rectangle is blue: a channel that is lost or swapped changes its label.
COLOUR = RGB.copy()
COLOUR[16:48, 80:112] = (30, 60, 240)
PNG = encode(GREY)
JPEG = encode(GREY, "JPEG", quality=95)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return analytic.write_function(tmp_path_factory.mktemp("functions") / "analytic")


@pytest.fixture(scope="module")
def function(folder: Path) -> Function:
    """A function that says which frames it cannot read; by default they are skipped."""
    return Function(folder, {"PCB_AOI_BAD_FRAME": "error"})


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


# --- the request: cases 1 to 18 ---------------------------------------------------------------------------------------

REFUSED_REQUESTS = {
    "1 empty": (b"", "request body is empty; expected JSON with an 'image' field"),
    "1 blank": (b" \r\n ", "request body is empty; expected JSON with an 'image' field"),
    "2 no JSON": (b"image=abc", "request body is not valid JSON"),
    "2 no text": (b"\xff\xfe\x00\xd8", "request body is not valid JSON"),
    "2 cut": (b'{"image": "iVBOR', "request body is not valid JSON"),
    "2 huge number": (b'{"image": ' + b"9" * 5000 + b"}", "request body is not valid JSON"),
    "3 list": (b"[1, 2]", "expected a JSON object, got list"),
    "3 string": (b'"abc"', "expected a JSON object, got str"),
    "3 number": (b"17", "expected a JSON object, got int"),
    "3 null": (b"null", "expected a JSON object, got NoneType"),
    "3 a batch of nuclio": ([{"image": b64(PNG)}], "expected a JSON object, got list"),
    "3 nothing": (None, "expected a JSON object, got NoneType"),
    "4 no image": (b'{"threshold": 0.5}', "missing field 'image'"),
    "5 null": (b'{"image": null}', "'image' must be a base64 string, got NoneType"),
    "5 number": (b'{"image": 5}', "'image' must be a base64 string, got int"),
    "5 list": (b'{"image": ["a"]}', "'image' must be a base64 string, got list"),
    "5 object": (b'{"image": {}}', "'image' must be a base64 string, got dict"),
    "6 empty": (b'{"image": ""}', "'image' is empty"),
    "6 only padding": (b'{"image": "===="}', "'image' is empty"),
    "6 only a prefix": (b'{"image": "data:image/png;base64,"}', "'image' is empty"),
    "7 illegal character": ({"image": b64(PNG).replace("A", "!")}, "'image' is not valid base64"),
    "8 padding missing": ({"image": b64(PNG + bytes(-len(PNG) % 3 + 1)).rstrip("=")}, "'image' is not valid base64"),
    "8 too much padding": ({"image": b64(PNG[: len(PNG) // 3 * 3 - 1]) + "="}, "'image' is not valid base64"),
    "8 data after padding": ({"image": b64(b"a") + b64(PNG)}, "'image' is not valid base64"),
    "11 url-safe alphabet": ({"image": "-_-_" + b64(PNG)}, "'image' is not valid base64"),
    "12 Chinese": ({"image": "内层" + b64(PNG)}, "'image' is not valid base64"),
    "12 lone surrogate": (b'{"image": "\\ud800AAAA"}', "'image' is not valid base64"),
    "18 deep nesting": (b'{"image": ' + b"[" * 200_000, "request body is not valid JSON"),
    "18 deep objects": (b'{"image":' * 100_000, "request body is not valid JSON"),
    "18 many keys": ({f"key {i}": i for i in range(1_000_000)}, "missing field 'image'"),
}


@pytest.mark.parametrize("case", REFUSED_REQUESTS)
def test_a_wrong_request_is_told_what_is_wrong(function: Function, case: str) -> None:
    body, message = REFUSED_REQUESTS[case]
    answer = function.post(body)
    assert (answer.status, answer.code, answer.body["message"]) == (400, "bad_request", message)


@pytest.mark.parametrize(
    "threshold",
    ['"abc"', '"0.5"', "[]", "{}", "true", "false", "NaN", "Infinity", "-Infinity", "-0.1", "1.5", "1e999", "9" * 400],
)
def test_a_threshold_that_is_no_number_in_0_to_1_is_refused(function: Function, threshold: str) -> None:
    answer = function.post(f'{{"image": "{b64(PNG)}", "threshold": {threshold}}}'.encode())
    assert (answer.status, answer.code) == (400, "bad_request")
    assert answer.body["message"] == "'threshold' must be a number in [0, 1]"


@pytest.mark.parametrize("body", [{"image": b64(PNG)}, {"image": b64(PNG), "threshold": None}])
def test_without_a_threshold_the_default_of_model_yaml_counts(function: Function, body: dict[str, Any]) -> None:
    assert function.post(dict(body)).boxes == BOXES
    image = np.where(GREY == 176, 127, GREY).astype(np.uint8)  # 127 / 255 is just under 0.5
    assert function.post({**body, "image": b64(encode(image))}).boxes == [b for b in BOXES if b[1] != 64]


def test_the_environment_sets_the_default_threshold(folder: Path) -> None:
    function = Function(folder, {"PCB_AOI_THRESHOLD": "0.8"})
    assert function.annotate(PNG).boxes == BOXES[:1] + BOXES[2:]
    assert function.annotate(PNG, threshold=0.5).boxes == BOXES


@pytest.mark.parametrize(("threshold", "count"), [(0, 3), (0.69, 3), (0.7, 2), (0.88, 1), (0.8784314, 1), (1, 1)])
def test_a_threshold_is_honoured_exactly(function: Function, threshold: float, count: int) -> None:
    answer = function.annotate(PNG, threshold=threshold)  # the scores are 1, 224 / 255 = 0.878431 and 0.690196
    # At 0, what is bright counts as blue too, with the score 0.
    assert sum(shape["confidence"] > 0.5 for shape in answer.body) == count
    assert (len(answer.body) > count) == (threshold == 0)


ACCEPTED_REQUESTS = {
    "9 data URL": {"image": "data:image/png;base64," + b64(PNG)},
    "10 line breaks": {"image": base64.encodebytes(PNG).decode()},
    "10 CRLF and spaces": {"image": base64.encodebytes(PNG).decode().replace("\n", "\r\n ")},
    "16 fields of newer CVATs": {"image": b64(PNG), "pos_points": [], "mapping": {"亮": 1}, "roi": None},
    "threshold as int": {"image": b64(PNG), "threshold": 0.0},
}


@pytest.mark.parametrize("case", ACCEPTED_REQUESTS)
@pytest.mark.parametrize("wire", [dict, json.dumps, lambda body: json.dumps(body).encode("utf-16")])
def test_variants_of_a_good_request(function: Function, case: str, wire: Any) -> None:  # noqa: ANN401
    answer = function.post(wire(ACCEPTED_REQUESTS[case]))
    assert [box for box in BOXES if box not in answer.boxes] == []


def test_17_a_file_over_the_limit_is_refused_before_it_is_decoded(folder: Path) -> None:
    function = Function(folder, {"PCB_AOI_MAX_IMAGE_MIB": "0.01"})
    limit = int(0.01 * 1024 * 1024)
    fits = PNG + bytes(limit - len(PNG))
    assert function.annotate(fits).boxes == BOXES
    for size in (1, 2, 3, 10_000_000):
        answer = function.annotate(fits + bytes(size))
        assert (answer.status, answer.code) == (413, "too_large")
        assert answer.body["message"].endswith("MiB; limit is 0.01 MiB")
    # The size is known from the length of the text: no byte of it needs to be base64.
    assert function.post({"image": "!" * 100_000}).status == 413


# --- images that are no images: cases 19, 20, 25, 30 ------------------------------------------------------------------

FOREIGN = {
    "19 text": b"not an image at all, but a text that somebody renamed",
    "19 PDF": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<< /Type /Catalog >>\nendobj\n",
    "19 zip": b"PK\x03\x04" + bytes(60),
    "19 HTML": b"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>",
    "19 one byte": b"\x89",
    "19 zeros": bytes(1000),
    "20 SVG": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect/></svg>',
    "20 EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    "20 PSD": b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 8, 8, 8, 3) + bytes(300),
    "20 FITS": b"SIMPLE  =                    T".ljust(80) + b"BITPIX  = 8".ljust(80) + b"END".ljust(80),
    "20 ICO": encode(GREY[:16, :16], "ICO"),
    "20 TGA": encode(GREY, "TGA"),
    "20 PCX": encode(GREY, "PCX"),
    "20 DDS": encode(RGB, "DDS"),
    "30 no width": png(GREY, size=(0, HEIGHT)),
    "30 no height": png(GREY, size=(WIDTH, 0)),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_what_is_no_image_is_refused(function: Function, case: str) -> None:
    answer = function.annotate(FOREIGN[case])
    assert (answer.status, answer.code) == (415, "unsupported_image")
    assert answer.body["message"].startswith("cannot identify image; supported: JPEG, PNG, BMP, TIFF, WEBP")


@pytest.mark.parametrize("case", ["20 EPS", "20 PSD", "20 FITS", "20 ICO"])
def test_no_other_decoder_of_pillow_ever_sees_the_bytes(
    function: Function, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file would be opened if it were offered to all of Pillow's decoders: that is why they are named."""
    name = case.split()[1]
    Image.init()
    monkeypatch.setitem(Image.OPEN, name, (lambda *_: pytest.fail(f"{name} was called"), None))
    assert function.annotate(FOREIGN[case]).status == 415


# --- damaged images: cases 21 to 25 (section 4.0: what CVAT shows is answered) ----------------------------------------


def cut(data: bytes, share: float) -> bytes:
    return data[: int(len(data) * share)]


def with_wrong_crc(data: bytes, name: bytes) -> bytes:
    at = data.index(name) - 4
    size = struct.unpack(">I", data[at : at + 4])[0]
    end = at + 8 + size
    return data[:end] + bytes([data[end] ^ 255]) + data[end + 1 :]


NOISE = np.random.default_rng(0).integers(0, 90, (400, 192), dtype=np.uint8)
TALL = np.concatenate([GREY, NOISE])  # the noise takes the bytes: a cut there leaves the rectangles

TRUNCATED = {
    "21 JPEG": cut(encode(TALL, "JPEG"), 0.7),
    "21 progressive JPEG": cut(encode(TALL, "JPEG", progressive=True), 0.97),
    "22 JPEG without its last bytes": JPEG[:-2],
    "22 JPEG without its end": JPEG[:-30],
    "23 PNG": cut(encode(TALL), 0.7),
    "23 PNG, last row": PNG[:-40],
    "TIFF": cut(tiff(TALL.tobytes(), WIDTH, len(TALL), 8), 0.7),
    "BMP": encode(TALL[::-1], "BMP")[:-40_000],  # stored from the bottom up
    "PPM": cut(encode(TALL, "PPM"), 0.7),
}


@pytest.mark.parametrize("case", TRUNCATED)
def test_a_truncated_file_is_answered_on_the_pixels_that_decode(function: Function, case: str) -> None:
    answer = function.annotate(TRUNCATED[case])
    found = answer.boxes
    if case == "BMP":
        found = sorted((x1, 512 - y2, x2, 512 - y1) for x1, y1, x2, y2 in found)
    # Not the last rectangle where the file ends inside it.
    assert [box for box in BOXES[:1] if box not in found] == []
    assert answer.headers["X-Pcb-Aoi-Warning"] == "the image file is truncated"
    assert answer.log[-1]["level"] == "warning"
    assert answer.log[-1]["with"]["warnings"] == ["the image file is truncated"]


@pytest.mark.parametrize("name", [b"IDAT", b"IEND"])
def test_24_a_wrong_checksum_does_not_hide_pixels_that_decode(function: Function, name: bytes) -> None:
    assert function.annotate(with_wrong_crc(PNG, name)).boxes == BOXES


def test_whole_files_carry_no_warning(function: Function) -> None:
    answer = function.annotate(PNG)
    assert "X-Pcb-Aoi-Warning" not in answer.headers
    assert answer.log[-1]["with"]["warnings"] == []


NO_PIXEL = {
    "25 PNG header": PNG[:33],
    "25 JPEG header": JPEG[: JPEG.index(b"\xff\xda")],
    "25 BMP header": encode(GREY, "BMP")[:54],
    "25 PNG with pixels that are no zlib stream": png(GREY).replace(zlib.compress(b"")[:2], b"ab"),
    "25 WEBP cut in half": cut(encode(RGB, "WEBP", lossless=True), 0.5),
    **({"25 AVIF cut in half": cut(encode(RGB, "AVIF"), 0.5)} if features.check("avif") else {}),
    "25 TIFF whose strip lies behind the end": tiff(b"", WIDTH, HEIGHT, 8),
}


@pytest.mark.parametrize("case", NO_PIXEL)
def test_a_file_of_which_no_pixel_decodes_is_refused(function: Function, case: str) -> None:
    answer = function.annotate(NO_PIXEL[case])
    assert (answer.status, answer.code) in {(422, "bad_image"), (415, "unsupported_image")}
    assert answer.log[-1]["with"]["code"] == answer.code


@pytest.mark.parametrize(
    "error",
    [
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
    ],
)
def test_whatever_a_decoder_raises_is_a_bad_image(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow's decoders have no common error; AVIF's raises RuntimeError, for one."""

    def breaks(*_: object) -> None:
        raise error("secret")

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", breaks)
    with pytest.raises(BadImage) as caught:
        image.decode(PNG, 1)
    assert "secret" not in str(caught.value)


def test_unreadable_frames_are_skipped_unless_ops_say_otherwise(folder: Path) -> None:
    """One bad file among 5,000 would end a run of CVAT; it is an empty frame, a warning and an error in the log."""
    function = Function(folder)
    for data in (FOREIGN["19 text"], NO_PIXEL["25 JPEG header"]):
        answer = function.annotate(data)
        assert (answer.status, answer.body) == (200, [])
        assert answer.headers["X-Pcb-Aoi-Warning"].startswith("frame skipped: ")
        assert [line["level"] for line in answer.log] == ["error"]
    assert function.post(b"{}").status == 400  # a wrong request is not a bad frame
    assert function.annotate(PNG).boxes == BOXES


# --- sizes: cases 26 to 29, 31, 32 ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("width", "height"), [(1, 1), (1, 20_000), (20_000, 1), (2, 3), (63, 65), (64, 64), (65, 65), (112, 113)]
)
def test_26_to_29_any_size_is_covered_and_clipped(function: Function, width: int, height: int) -> None:
    answer = function.annotate(encode(np.full((height, width), 255, np.uint8)))
    assert answer.boxes == [(0, 0, width, height)]
    assert function.annotate(encode(np.zeros((height, width), np.uint8))).body == []


def test_31_a_size_over_the_limit_is_refused(folder: Path) -> None:
    function = Function(folder, {"PCB_AOI_MAX_MEGAPIXELS": "0.01"})
    assert function.annotate(encode(np.full((100, 100), 255, np.uint8))).boxes == [(0, 0, 100, 100)]
    for size in ((101, 100), (200, 101), (9000, 9000)):  # Pillow's own check takes over at twice the limit
        answer = function.annotate(bomb_png(*size))
        assert (answer.status, answer.code) == (413, "too_large")
        assert "limit is 0.01 MP" in answer.body["message"]


def zipped(name: bytes, size: int) -> bytes:
    """A text or profile chunk that unpacks to `size` zeros."""
    return chunk(name, b"key\0\0" + (b"\0\0" if name == b"iTXt" else b"") + zlib.compress(bytes(size), 9))


BOMBS = {
    "31 PNG of 20000 x 20000": bomb_png(20_000, 20_000),
    "31 PNG that says 2^31 - 1": png(GREY, size=(2**31 - 1, 2**31 - 1)),
    "31 PNG that says 17000 x 17000": png(GREY, size=(30_000, 30_000)),
    "31 TIFF of 60000 x 60000": tiff(b"", 60_000, 60_000, 8),
    "31 BMP of 30000 x 30000": encode(GREY, "BMP").replace(
        struct.pack("<ii", WIDTH, HEIGHT), struct.pack("<ii", 30_000, 30_000)
    ),
    "31 GIF of 65535 x 65535": encode(GREY, "GIF").replace(struct.pack("<HH", WIDTH, HEIGHT), b"\xff\xff\xff\xff"),
    "32 zTXt": png(GREY, extra=zipped(b"zTXt", 300_000_000)),
    "32 iTXt": png(GREY, extra=zipped(b"iTXt", 300_000_000)),
    "32 iCCP": png(GREY, extra=zipped(b"iCCP", 300_000_000)),
    "32 many texts": png(GREY, extra=b"".join(zipped(b"zTXt", 1_000_000) for _ in range(200))),
    "32 eXIf": png(GREY, extra=chunk(b"eXIf", b"MM\0*\0\0\0\x08\xff\xff" + bytes(60_000))),
}


def test_31_32_bombs_cost_no_memory(folder: Path) -> None:
    """Pixel bombs (50 kB that unpack to 400 megapixels) and metadata bombs, one after the other in one process."""
    warm, *answers = child.post(folder, [PNG, *BOMBS.values()])
    assert warm.status == 200
    for (case, data), answer in zip(BOMBS.items(), answers, strict=True):
        assert len(data) < 500_000
        assert answer.status in ({413} if case.startswith("31") else {200, 413, 422}), case
        assert answer.peak_mib - warm.peak_mib < 40, case
        assert answer.seconds < 2, case


# --- modes and depths: cases 33 to 38 ---------------------------------------------------------------------------------


def rgba(image: UInt8, alpha: int) -> Image.Image:
    result = Image.fromarray(image).convert("RGBA")
    result.putalpha(alpha)
    return result


def palette(image: UInt8) -> Image.Image:
    return Image.fromarray(image).quantize(16)


def raw(dtype: str, factor: float = 1) -> bytes:
    return (GREY.astype(np.float64) * factor).astype(dtype).tobytes()


HOLES = GREY.astype(np.float32)
HOLES[96:104, ::3] = np.nan
HOLES[96:104, 1::3] = np.inf
HOLES[104:, ::2] = -np.inf

EXACT = {
    "33 L": encode(GREY),
    "33 1-bit": encode(Image.fromarray(np.where(GREY > 100, 255, 0).astype(np.uint8)).convert("1")),
    "33 1-bit TIFF": encode(Image.fromarray(np.where(GREY > 100, 255, 0).astype(np.uint8)).convert("1"), "TIFF"),
    "33 palette": encode(palette(RGB)),
    "33 palette of greys": encode(palette(GREY)),
    "33 palette with a transparent colour": encode(palette(RGB), transparency=0),
    "33 palette with alpha": encode(palette(RGB), transparency=bytes(range(0, 256, 16))),
    "33 grey with a transparent value": encode(GREY, transparency=255),
    "33 palette BMP": encode(palette(RGB), "BMP"),
    "33 LA": encode(rgba(GREY, 100).convert("LA")),
    "33 LA transparent": encode(rgba(GREY, 0).convert("LA")),
    "34 RGBA": encode(rgba(RGB, 100)),
    "34 RGBA transparent": encode(rgba(RGB, 0)),
    "34 RGBA BMP": encode(rgba(RGB, 100), "BMP"),
    "34 RGBA TIFF": encode(rgba(RGB, 100), "TIFF"),
    "34 RGBA WEBP": encode(rgba(RGB, 100), "WEBP", lossless=True, exact=True),
    "35 CMYK TIFF": encode(Image.fromarray(RGB).convert("CMYK"), "TIFF"),
    "36 16-bit PNG": png(GREY.astype(np.uint16) * 257),
    "36 16-bit TIFF": tiff(raw("<u2", 257), WIDTH, HEIGHT, 16),
    "36 16-bit TIFF, big-endian": tiff(raw(">u2", 257), WIDTH, HEIGHT, 16, endian=">"),
    "36 16-bit PNG that holds 14 bits": png(GREY.astype(np.uint16) << 6),
    "36 16-bit PNG that holds 12 bits": png(GREY.astype(np.uint16) << 4),
    "36 16-bit PNG that holds 10 bits": png(GREY.astype(np.uint16) << 2),
    "36 16-bit PNG that holds 8 bits": png(GREY.astype(np.uint16)),
    "36 16-bit PGM": f"P5 {WIDTH} {HEIGHT} 65535\n".encode() + raw(">u2", 257),
    "37 32-bit TIFF": tiff(raw("<u4", 2**20), WIDTH, HEIGHT, 32),
    "37 signed 32-bit TIFF": tiff(raw("<i4"), WIDTH, HEIGHT, 32, kind=2),
    "37 signed 16-bit TIFF": tiff(raw("<i2", 64), WIDTH, HEIGHT, 16, kind=2),
    "37 float TIFF to 255": tiff(raw("<f4"), WIDTH, HEIGHT, 32, kind=3),
    "37 float TIFF to 1": tiff(raw("<f4", 1 / 255), WIDTH, HEIGHT, 32, kind=3),
    "37 float TIFF, big-endian": tiff(raw(">f4"), WIDTH, HEIGHT, 32, kind=3, endian=">"),
    "37 float TIFF with NaN and infinities": tiff(HOLES.tobytes(), WIDTH, HEIGHT, 32, kind=3),
    "38 16-bit RGB PNG": png(RGB.astype(np.uint16) * 257, colour=2),
    "38 16-bit RGBA PNG": png(np.asarray(rgba(RGB, 9)).astype(np.uint16) * 257, colour=6),
    "38 16-bit LA PNG": png(np.stack([GREY, GREY], axis=2).astype(np.uint16) * 257, colour=4),
    "38 16-bit RGB TIFF": tiff((RGB.astype("<u2") * 257).tobytes(), WIDTH, HEIGHT, 16, samples=3),
    "38 12-bit TIFF": tiff(pack_12_bit(GREY.astype(np.uint16) << 4), WIDTH, HEIGHT, 12),
    "40 multi-page TIFF": encode(GREY, "TIFF", save_all=True, append_images=[Image.new("L", (9, 9), 255)]),
    "40 animated GIF": encode(GREY, "GIF", save_all=True, append_images=[Image.new("L", (192, 112), 255)]),
    "40 animated WEBP": encode(
        RGB, "WEBP", lossless=True, save_all=True, append_images=[Image.new("RGB", (192, 112), "white")]
    ),
    "40 animated PNG": encode(GREY, save_all=True, append_images=[Image.new("L", (192, 112), 255)]),
    "40 MPO": encode(GREY, "MPO", save_all=True, append_images=[Image.new("L", (192, 112), 255)], quality=95),
    "41 progressive JPEG": encode(GREY, "JPEG", quality=95, progressive=True),
    "41 JPEG with restarts": encode(GREY, "JPEG", quality=95, restart_marker_blocks=2),
    "43 JPEG": JPEG,  # CVAT sends no name, so a wrong one cannot matter
    "JPEG 4:2:0": encode(RGB, "JPEG", quality=95, subsampling=2),
    "interlaced PNG of 2 bits": encode(palette(GREY), bits=2),
    "BMP": encode(RGB, "BMP"),
    "DIB": encode(RGB, "DIB"),
    "GIF": encode(GREY, "GIF"),
    "PPM": encode(RGB, "PPM"),
    "TIFF-LZW, as CVAT re-saves it": encode(RGB, "TIFF", compression="tiff_lzw"),
    "TIFF-deflate": encode(GREY, "TIFF", compression="tiff_adobe_deflate"),
    "TIFF-JPEG": encode(RGB, "TIFF", compression="jpeg", quality=95),
    "TIFF, big-endian": tiff(raw("u1"), WIDTH, HEIGHT, 8, endian=">"),
    "TIFF CIELAB": encode(Image.merge("LAB", [Image.fromarray(GREY)] + [Image.new("L", (192, 112), 0)] * 2), "TIFF"),
    "WEBP": encode(RGB, "WEBP", lossless=True),
    "JPEG 2000": encode(GREY, "JPEG2000"),
    "JPEG 2000 of 16 bits": encode(Image.fromarray(GREY.astype(np.uint16) * 257), "JPEG2000"),
}


@pytest.mark.parametrize("case", EXACT)
def test_33_to_43_every_kind_of_file_gives_the_boxes_and_scores_of_8_bit_rgb(function: Function, case: str) -> None:
    answer = function.annotate(EXACT[case])
    levels = np.where(GREY > 100, 255, 0).astype(np.uint8) if "1-bit" in case else GREY
    expected = function.annotate(encode(np.repeat(levels[..., None], 3, axis=2)))
    assert expected.boxes == BOXES
    assert answer.body == expected.body
    assert "X-Pcb-Aoi-Warning" not in answer.headers


LOSSY = {
    "35 CMYK JPEG": encode(Image.fromarray(RGB).convert("CMYK"), "JPEG", quality=95),
    "41 WEBP": encode(RGB, "WEBP", quality=95),
    "JPEG 2000": encode(GREY, "JPEG2000", quality_mode="rates", quality_layers=[10]),
    **({"AVIF": encode(RGB, "AVIF", quality=95)} if features.check("avif") else {}),
}


@pytest.mark.parametrize("case", LOSSY)
def test_lossy_files_give_nearly_the_same(function: Function, case: str) -> None:
    answer = function.annotate(LOSSY[case])
    assert np.allclose(answer.boxes, BOXES, atol=1)
    scores = sorted(shape["confidence"] for shape in answer.body)
    assert np.allclose(scores, np.array([176, 224, 255]) / 255, atol=0.03)


COLOURED = {
    "RGB": encode(COLOUR),
    "BMP": encode(COLOUR, "BMP"),
    "RGBA": encode(rgba(COLOUR, 0)),
    "palette": encode(palette(COLOUR)),
    "palette with alpha": encode(palette(COLOUR), transparency=bytes(16)),
    "CMYK JPEG": encode(Image.fromarray(COLOUR).convert("CMYK"), "JPEG", quality=95),
    "YCbCr TIFF": encode(Image.fromarray(COLOUR).convert("YCbCr"), "TIFF"),
    "16-bit TIFF": tiff((COLOUR.astype("<u2") * 257).tobytes(), WIDTH, HEIGHT, 16, samples=3),
    "16-bit PNG": png(COLOUR.astype(np.uint16) * 257, colour=2),
    "JPEG": encode(COLOUR, "JPEG", quality=95),
}


@pytest.mark.parametrize("case", COLOURED)
def test_channels_stay_in_their_places(function: Function, case: str) -> None:
    answer = function.annotate(COLOURED[case])
    assert [shape["label"] for shape in answer.body if shape["points"][0] == 80] == ["蓝"]
    assert len(answer.body) == 3


@pytest.mark.parametrize(
    ("crop", "bits"), [((0, 0, 192, 112), 12), ((0, 0, 192, 60), 12), ((20, 60, 192, 112), 12), ((64, 0, 192, 56), 10)]
)
def test_36_a_crop_is_scaled_like_its_board(function: Function, crop: tuple[int, int, int, int], bits: int) -> None:
    """Stretching from the darkest to the brightest value would give each crop scores of its own."""
    x1, y1, x2, y2 = crop
    part = np.ascontiguousarray(GREY[y1:y2, x1:x2])
    deep = png(part.astype(np.uint16) << (bits - 8))
    assert function.annotate(deep).body == function.annotate(encode(part)).body


def test_36_depths_are_even(function: Function) -> None:
    """No camera has 9 bits: a dark 10-bit frame must not come out twice as bright as its neighbours."""
    deep = GREY.astype(np.uint16) << 1
    assert function.annotate(png(deep)).body == function.annotate(encode((deep >> 2).astype(np.uint8))).body


# --- orientation: case 39 ---------------------------------------------------------------------------------------------

# How the pixels lie in the file so that a viewer that follows the tag shows them upright.
STORED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


WITH_EXIF = ("JPEG", "PNG", "TIFF", "WEBP")


def oriented(image: Image.Image, orientation: int, kind: str) -> bytes:
    if orientation in STORED:
        image = image.transpose(STORED[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    options: dict[str, dict[str, Any]] = {"JPEG": {"quality": 95}, "WEBP": {"lossless": True}}
    return encode(image, kind, exif=exif, **options.get(kind, {}))


@pytest.mark.parametrize("kind", WITH_EXIF)
@pytest.mark.parametrize("orientation", [1, 2, 3, 4, 5, 6, 7, 8, 0, 9])
def test_39_boxes_lie_as_the_image_is_shown(function: Function, orientation: int, kind: str) -> None:
    answer = function.annotate(oriented(Image.fromarray(RGB), orientation, kind))
    assert answer.boxes == BOXES
    assert (answer.log[-1]["with"]["width"], answer.log[-1]["with"]["height"]) == (WIDTH, HEIGHT)


def test_damaged_exif_is_no_reason_to_refuse_good_pixels(function: Function) -> None:
    for exif in (b"Exif\0\0", b"Exif\0\0MM\0*\0\0\0\x08\0\x01", b"garbage", b"Exif\0\0II*\0\xff\xff\xff\xff"):
        assert function.annotate(encode(GREY, "JPEG", quality=95, exif=exif)).boxes == BOXES


# --- 41: arithmetic coding; 42: nothing, everything, noise ------------------------------------------------------------


def test_41_arithmetic_coding_is_read_or_refused(function: Function) -> None:
    """No browser shows such a JPEG. The marker alone is changed, so what it decodes to, if at all, is noise."""
    data = JPEG.replace(b"\xff\xc0", b"\xff\xc9", 1)
    assert function.annotate(data).status in {200, 415, 422}


@pytest.mark.parametrize("threshold", [None, 0])
def test_42_noise_gives_a_bounded_number_of_boxes(function: Function, threshold: float | None) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (1000, 1000, 3), dtype=np.uint8)
    answer = function.annotate(encode(noise), threshold=threshold)
    assert answer.status == 200
    assert 0 < len(answer.body) <= 10_000
    assert "detections over the limit were dropped" in answer.headers["X-Pcb-Aoi-Warning"]


def test_42_black_and_white(function: Function) -> None:
    assert function.annotate(encode(np.zeros((300, 300), np.uint8))).body == []
    assert function.annotate(encode(np.full((300, 300), 255, np.uint8))).boxes == [(0, 0, 300, 300)]


@pytest.mark.parametrize("low", [0, 90, 200])
def test_a_picture_of_few_grey_levels_is_answered_with_a_warning(function: Function, low: int) -> None:
    """A wrong depth, a lens cap, an empty frame: what no list of formats knows."""
    dull = encode((GREY // 8 + low).astype(np.uint8))
    assert "grey levels" in function.annotate(dull).headers["X-Pcb-Aoi-Warning"]
    assert "X-Pcb-Aoi-Warning" not in function.annotate(encode(GREY)).headers


# --- anything at all --------------------------------------------------------------------------------------------------

ANY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=8,
)
FIELDS = st.fixed_dictionaries(
    {"image": st.just(b64(PNG)) | st.binary(max_size=60).map(b64) | JSON},
    optional={"threshold": st.floats(0, 1) | JSON, "roi": JSON},
)


@ANY
@given(st.binary() | JSON | FIELDS | JSON.map(json.dumps) | FIELDS.map(json.dumps) | FIELDS.map(dict))
def test_any_body_gets_a_valid_answer(function: Function, body: object) -> None:
    # calling.Function checks the answer itself.
    assert function.post(body).status in STATUSES


@ANY
@given(
    st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F", "YCbCr", "LAB"]),
    st.sampled_from(["PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF", "PPM", "JPEG2000"]),
    st.tuples(st.integers(1, 150), st.integers(1, 150)),
    st.integers(0, 9),
    st.binary(min_size=1, max_size=200),
)
def test_any_image_is_answered(
    function: Function, mode: str, kind: str, size: tuple[int, int], orientation: int, seed: bytes
) -> None:
    """Every mode that Pillow can write into a format, any size and orientation; pixels from `seed`, repeated."""
    sample = {"I;16": 2, "I": 4, "F": 4, "1": 1}.get(mode, len(Image.new(mode, (1, 1)).getbands()))
    length = (size[0] + 7) // 8 * size[1] if mode == "1" else size[0] * size[1] * sample
    pixels = (seed * (length // len(seed) + 1))[:length]
    image = Image.frombytes(mode, size, pixels)
    try:
        data = oriented(image, orientation, kind)
    except (OSError, ValueError, TypeError, KeyError, SystemError):
        return  # that format has no such mode
    answer = function.annotate(data)
    assert answer.status == 200
    shown = size[::-1] if orientation in (5, 6, 7, 8) and kind not in WITH_EXIF else size
    facts = answer.log[-1]["with"]
    assert (facts["width"], facts["height"]) == shown
    for x1, y1, x2, y2 in answer.boxes:
        assert 0 <= x1 < x2 <= shown[0]
        assert 0 <= y1 < y2 <= shown[1]


FILES = [PNG, JPEG, *EXACT.values(), *LOSSY.values()]


@settings(ANY, max_examples=400)
@given(st.data())
def test_any_damage_to_a_file_gets_a_valid_answer(function: Function, data: st.DataObject) -> None:
    """Bytes changed, cut out and put in, anywhere: decoders raise what they like, and none of it gets out."""
    file = bytearray(data.draw(st.sampled_from(FILES)))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(file) - 1) | st.integers(0, min(len(file) - 1, 120)))
        end = at + data.draw(st.integers(0, 30))
        file[at:end] = data.draw(st.binary(max_size=8))
        if not file:
            break
    assert function.annotate(bytes(file)).status in STATUSES
