"""`pcb-aoi evaluate` and `calibrate` on an export of CVAT, without PyTorch and what belongs to it."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path

import analytic
import numpy as np
import pytest
import yaml
from PIL import Image
from training_exports import cvat_xml, zipped

pytest.importorskip("onnxruntime", reason="needs onnxruntime")

from pcb_aoi.exports.annotations import read_export
from pcb_aoi.exports.export_archive import Archive
from training.measure import operating_point

LABELMAP = """\
function: known
id: pcb-known
name: {zh: 已知, en: Known}
description: {zh: 亮块, en: bright}
port: 32200
labels:
  - {slug: bright, zh: 亮, en: Bright, color: "#e02020", aliases: [], definition: {zh: 亮, en: bright}}
  - {slug: blue, zh: 蓝, en: Blue, color: "#20a0e0", aliases: [], definition: {zh: 蓝, en: blue}}
"""
META = (
    "<meta><task><id>12</id><segments><segment><id>34</id><start>0</start><stop>19</stop></segment>"
    "<segment><id>35</id><start>20</start><stop>99</stop></segment></segments></task></meta>"
)
# What runs without the extra `train`.
WITHOUT = "import sys; sys.modules.update(dict.fromkeys(('torch', 'onnx', 'scipy', 'cv2', 'pycocotools')));"


def board(number: int, *places: tuple[int, int, int]) -> bytes:
    """A dark board with bright rectangles of 20 x 10 px, (x, y, brightness); no two numbers give the same file."""
    pixels = np.zeros((analytic.TILE, analytic.TILE, 3), np.uint8)
    pixels[0, 0, 1] = number
    for x, y, value in places:
        pixels[y : y + 10, x : x + 20, 0] = value
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A function that finds bright rectangles with the score brightness / 255, and an export of 30 boards.

    Each has a defect of brightness 150 (score .59), every second one a false call of 140 (score .55).
    """
    analytic.write_function(tmp_path / "functions" / "known", analytic.model())
    (tmp_path / "labelmaps").mkdir()
    (tmp_path / "labelmaps" / "known.yaml").write_text(LABELMAP)
    body, members = META, {}
    for number in range(30):
        name = f"b{number}.png"
        places = [(8, 8, 150), (32, 40, 140)][: 1 + number % 2]
        members[f"images/{name}"] = board(number, *places)
        body += f'<image id="{number}" name="{name}" width="64" height="64">'
        body += '<box label="亮" xtl="8" ytl="8" xbr="28" ybr="18"/></image>'
    zipped(tmp_path / "export.zip", members | {"annotations.xml": cvat_xml(body)})
    return tmp_path


def run(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    code = f"{WITHOUT} from pcb_aoi.cli import main; sys.exit(main({list(words)}))"
    return subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)


def test_evaluate_prints_figures_and_writes_a_page_that_leads_to_cvat(root: Path) -> None:
    done = run(root, "evaluate", "known", "--data", "export.zip", "--cvat", "http://cvat:8080/")
    assert done.returncode == 0, done.stderr
    assert re.search(r"\| bright \| 30 \| – \| – \| 0\.667 \| 1\.000 \| 0\.800", done.stdout)
    page = (root / "out" / "evaluate-known.html").read_text("utf-8")
    assert page.count("<figure") == 15  # boards with a mistake
    assert 'href="http://cvat:8080/tasks/12/jobs/34?frame=1"' in page
    assert 'href="http://cvat:8080/tasks/12/jobs/35?frame=21"' in page  # the second job of the task
    assert re.search(r'<td class="wrong"><a href="#c0-2">15</a>', page)  # bright, called on nothing
    assert re.search(r'<td class="right"><a href="#c0-0">30</a>', page)
    assert page.count("data:image/jpeg;base64,") == 15


def test_calibrate_writes_a_threshold_a_label(root: Path) -> None:
    done = run(root, "calibrate", "known", "--data", "export.zip")
    assert done.returncode == 0, done.stderr
    content = yaml.safe_load((root / "functions" / "known" / "model.yaml").read_text())
    assert list(content["thresholds"]) == ["bright"]  # blue has no defects: it keeps what it has
    assert 0.55 < content["thresholds"]["bright"] <= 0.59
    assert "precision 0.667 -> 1.000, recall 1.000 -> 1.000" in done.stdout


def test_calibrate_writes_nothing_where_there_is_too_little(root: Path) -> None:
    before = (root / "functions" / "known" / "model.yaml").read_text()
    body = META + '<image id="0" name="a.png" width="64" height="64"></image>'
    zipped(root / "few.zip", {"annotations.xml": cvat_xml(body), "images/a.png": board(0)})
    done = run(root, "calibrate", "known", "--data", "few.zip")
    assert done.returncode == 1
    assert "annotate more" in done.stdout
    assert (root / "functions" / "known" / "model.yaml").read_text() == before


def test_without_pictures_or_with_a_wrong_file_a_line_tells_it(root: Path) -> None:
    for words, complaint in ((["--data", "absent.zip"], "no such file"), ([], "no pictures")):
        done = run(root, "evaluate", "known", *words)
        assert done.returncode == 1
        assert complaint in done.stderr
        assert "Traceback" not in done.stderr


def test_frames_of_a_project_belong_to_their_task(tmp_path: Path) -> None:
    two = META + META.replace(">12<", ">13<").replace(">34<", ">40<").replace(">35<", ">41<")
    body = two + "".join(f'<image id="3" name="{t}.png" task_id="{t}" width="9" height="9"/>' for t in ("12", "13"))
    export = read_export(Archive.open(zipped(tmp_path / "x.zip", {"annotations.xml": cvat_xml(body)})))
    assert [one.frame for one in export.pictures] == ["tasks/12/jobs/34?frame=3", "tasks/13/jobs/40?frame=3"]


@pytest.mark.parametrize("deviation", [0.4, 3.0, 30.0])
def test_the_blur_is_scipys(deviation: float) -> None:
    ndimage = pytest.importorskip("scipy.ndimage", reason="needs scipy")
    values = np.random.default_rng(0).random(200)
    assert np.allclose(
        operating_point.blurred(values, deviation), ndimage.gaussian_filter1d(values, deviation, mode="nearest")
    )
