"""The second door gives what nuclio's gives: the same frames through cvat-sdk's own driver, and through the handler.

No CVAT server stands behind these tests: the driver's task and its upload are stand-ins, all between is cvat-sdk's.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import analytic
import cvat
import cvat_sdk.auto_annotation as cvataa
import numpy as np
import pytest
from calling import Function
from cvat_sdk.auto_annotation import driver
from cvat_sdk.datasets.common import MediaElement, Sample
from PIL import Image

from pcb_aoi import cvat_function
from pcb_aoi.errors import FrameError

ROOT = Path(__file__).parents[1]
BOARD = analytic.board(112, 192, [(8, 12, 30, 40), (60, 50, 150, 70)])


def encode(pixels: Any, kind: str, **options: Any) -> bytes:  # noqa: ANN401
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **options)
    return stream.getvalue()


def colour(pixels: Any) -> Any:  # noqa: ANN401
    return np.stack([pixels] * 3, axis=2)


FRAMES = {
    "grey.png": encode(BOARD, "PNG"),
    "colour.jpg": encode(colour(BOARD), "JPEG", quality=95),
    "16 bits.png": encode(BOARD.astype(np.uint16) * 257, "PNG"),
    "palette.gif": encode(BOARD, "GIF"),
    "clean.png": encode(analytic.board(64, 64, []), "PNG"),
}


class Media(MediaElement):  # type: ignore[misc]
    """A frame as cvat-sdk hands it over: loaded, or, of a frame fetched by itself, not yet."""

    def __init__(self, data: bytes, loaded: bool) -> None:
        self._data, self._loaded = data, loaded

    def load_image(self) -> Image.Image:
        image = Image.open(io.BytesIO(self._data))
        if self._loaded:
            image.load()
        return image


Drive = Callable[..., list[Any]]


@pytest.fixture(params=[True, False], ids=["loaded", "not loaded"])
def drive(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Drive:
    """Run cvat-sdk's driver over frames -> the shapes that it would upload."""

    def run(function: object, labels: Sequence[tuple[str, str]], frames: dict[str, bytes], **options: Any) -> list[Any]:  # noqa: ANN401
        samples = [
            Sample(frame_index=i, frame_name=name, annotations=None, media=Media(data, request.param))
            for i, (name, data) in enumerate(frames.items())
        ]
        task = [
            SimpleNamespace(name=name, type=kind, id=100 + i, attributes=[], sublabels=[])
            for i, (name, kind) in enumerate(labels)
        ]
        monkeypatch.setattr(driver, "TaskDataset", lambda *_, **__: SimpleNamespace(labels=task, samples=samples))
        sent: list[Any] = []
        api = SimpleNamespace(
            partial_update_annotations=lambda action, task_id, patched_labeled_data_request: sent.append(
                patched_labeled_data_request
            )
        )
        client = SimpleNamespace(logger=logging.getLogger("cvat"), tasks=SimpleNamespace(api=api))
        cvataa.annotate_task(client, 7, function, **options)
        names = {label.id: label.name for label in task}
        return [
            (shape.frame, names[shape.label_id], shape.type.value, list(shape.points), shape.score)
            for shape in sent[0].shapes
        ]

    return run


def through_nuclio(folder: Path, frames: dict[str, bytes], threshold: float | None = None) -> list[Any]:
    function = Function(folder)
    return [
        (number, shape["label"], shape["type"], shape["points"], shape["confidence"])
        for number, data in enumerate(frames.values())
        for shape in function.post(cvat.payload(data, threshold)).body
    ]


@pytest.fixture(params=["rectangle", "polygon"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A function whose label 亮 is answered as a box, or as a contour."""
    return analytic.write_function(
        tmp_path / "functions" / "analytic", analytic.model(masks=True), bright=request.param
    )


@pytest.mark.parametrize("threshold", [None, 0.3, 1.0])
def test_both_doors_give_the_same_shapes(folder: Path, drive: Drive, threshold: float | None) -> None:
    function = cvat_function.create("analytic", root=str(folder.parents[1]))
    task = [("蓝", "any"), ("亮", "any")]
    shapes = drive(function, task, FRAMES, conf_threshold=threshold)
    assert shapes == through_nuclio(folder, FRAMES, threshold)
    assert len(shapes) == 7
    assert {shape[2] for shape in shapes} == {label.type for label in function.spec.labels if label.name == "亮"}


def test_a_task_of_another_type_is_refused_by_the_driver(folder: Path, drive: Drive) -> None:
    function = cvat_function.create("analytic", root=str(folder.parents[1]))
    with pytest.raises(cvataa.BadFunctionError, match="亮"):
        drive(function, [("蓝", "any"), ("亮", "ellipse")], FRAMES)


def test_labels_that_the_task_lacks_are_dropped_where_allowed(folder: Path, drive: Drive) -> None:
    function = cvat_function.create("analytic", root=str(folder.parents[1]))
    assert drive(function, [("蓝", "any")], FRAMES, allow_unmatched_labels=True) == []


def test_a_label_that_is_not_offered_is_not_in_the_spec(folder: Path) -> None:
    path = folder / "model.yaml"
    path.write_text(path.read_text("utf-8").replace("en: Blue}", "en: Blue, offer: false}"), "utf-8")
    function = cvat_function.create("analytic", root=str(folder.parents[1]))
    assert [label.name for label in function.spec.labels] == ["亮"]


CONTEXT = SimpleNamespace(frame_name="a.png", conf_threshold=None, conv_mask_to_poly=False)


def test_16_bits_of_colour_are_read_from_the_file(folder: Path) -> None:
    """Pillow keeps the high byte of each sample; a picture of 10 used bits would be black."""
    import imagecodecs

    data = bytes(imagecodecs.png_encode(colour(BOARD.astype(np.uint16) * 4)))
    function = cvat_function.create("analytic", root=str(folder.parents[1]))
    found = function.detect(CONTEXT, Image.open(io.BytesIO(data)))
    assert [list(shape.points) for shape in found] == [shape[3] for shape in through_nuclio(folder, {"a": data})]
    assert len(found) == 2


def test_a_damaged_frame_is_skipped_or_ends_the_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    data = FRAMES["colour.jpg"]
    cut = data[: data.index(b"\xff\xda")]
    function = cvat_function.create("analytic", root=str(folder.parents[1]))
    assert function.detect(CONTEXT, Image.open(io.BytesIO(cut))) == []
    assert "a.png skipped" in caplog.text
    monkeypatch.setenv("PCB_AOI_BAD_FRAME", "error")
    function = cvat_function.create("analytic", root=str(folder.parents[1]))
    with pytest.raises(FrameError):
        function.detect(CONTEXT, Image.open(io.BytesIO(cut)))


def test_a_region_of_interest_has_no_file(folder: Path) -> None:
    function = cvat_function.create("analytic", root=str(folder.parents[1]))
    region = Image.open(io.BytesIO(FRAMES["grey.png"])).crop((0, 0, 50, 60))
    assert len(function.detect(CONTEXT, region)) == 1


def test_a_shipped_function_gives_the_same_boxes(drive: Drive) -> None:
    folder = ROOT / "functions" / "inner-layer"
    frames = {"bus.png": (ROOT / "samples" / "inner-layer" / "bus.png").read_bytes()}
    function = cvat_function.create("inner-layer", root=str(ROOT))
    shapes = drive(function, [(label.name, "any") for label in function.spec.labels], frames)
    assert shapes == through_nuclio(folder, frames)
    assert shapes
