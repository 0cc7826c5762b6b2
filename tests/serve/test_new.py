"""new: a sixth function, made from a user's labels and weights, is checked, served, planned for and answers a frame."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import analytic
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from serving import Client

from deploy import plan
from deploy.options import Options
from pcb_aoi import cli
from pcb_aoi.config.function_file import FunctionFile
from pcb_aoi.config.labelmap import Labelmap

ROOT = Path(__file__).parents[2]
PROJECT = [
    {"name": "盲孔偏", "type": "any", "color": "#ff0000"},
    {"name": "铜渣", "type": "any"},
    {"name": "划伤", "type": "rectangle"},
    {"name": "骨架", "type": "skeleton"},
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with the five functions, of which the inner layer has weights."""
    shutil.copytree(ROOT / "labelmaps", tmp_path / "labelmaps")
    for name in sorted(path.parent.name for path in (ROOT / "functions").glob("*/function.yaml")):
        folder = tmp_path / "functions" / name
        folder.mkdir(parents=True)
        for file in ("function.yaml", "function-gpu.yaml", "main.py", "model.yaml"):
            shutil.copy(ROOT / "functions" / name / file, folder / file)
    shutil.copy(ROOT / "functions" / "inner-layer" / "model.onnx", tmp_path / "functions" / "inner-layer")
    (tmp_path / "project.json").write_text(json.dumps(PROJECT, ensure_ascii=False), "utf-8")
    return tmp_path


@pytest.fixture
def new(root: Path) -> Callable[..., int]:
    return lambda *words: cli.main(["new", "blind-via", "--name", "盲孔", "--root", str(root), *words])


def png(pixels: npt.NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def files(root: Path) -> dict[Path, str]:
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in root.rglob("*") if path.is_file()}


def test_new_is_checked_and_served_and_answers_a_frame(
    root: Path, new: Callable[..., int], serve_folder: Callable[..., Client], capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(root)
    weights = root / "best.onnx"
    weights.write_bytes(analytic.model(metadata={"slugs": json.dumps(["盲孔偏", "划伤"])}))
    words = ["--labels", str(root / "project.json"), "--weights", str(weights), "--tile", "64", "--head", "pcb"]
    assert new(*words) == 0, capsys.readouterr()
    said = capsys.readouterr().out
    assert "骨架" in said
    assert "/tmp" not in said.replace(str(root), "")
    assert cli.main(["check", "--root", str(root), "--function", "blind-via"]) == 0
    assert {path: digest for path, digest in files(root).items() if path in before} == before

    client = serve_folder(root / "functions", ["blind-via"])
    listed = client("GET", "/api/functions")[1]["pcb-blind-via"]
    assert listed["metadata"]["annotations"]["name"] == "盲孔"
    spec = json.loads(listed["metadata"]["annotations"]["spec"])
    assert [(label["name"], label["type"]) for label in spec] == [("盲孔偏", "rectangle"), ("划伤", "rectangle")]
    image = png(analytic.board(64, 64, [(10, 12, 40, 44)]))
    status, shapes, _ = client.invoke("pcb-blind-via", {"image": base64.b64encode(image).decode()})
    assert (status, [(shape["label"], shape["points"]) for shape in shapes]) == (200, [("盲孔偏", [10, 12, 40, 44])])


@pytest.mark.parametrize("gpu", [False, True])
def test_every_platform_finds_it_by_its_folder(root: Path, new: Callable[..., int], gpu: bool) -> None:
    shutil.copytree(ROOT / "functions" / "requirements", root / "functions" / "requirements")
    for name in ("pcb_aoi", "deploy"):
        (root / name).mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "functions/Dockerfile"):
        shutil.copy(ROOT / name, root / name)
    assert new("--labels", str(root / "project.json"), "--from", "inner-layer") == 0
    options = Options(root=root, cwd=root, command="up", platform="local", gpu=gpu)
    functions = {function.folder: function for function in plan.read(options)}
    assert len(functions) == 6
    made = functions["blind-via"]
    assert (made.name, made.port, made.has_weights) == ("pcb-blind-via", 32106, True)
    assert made.image.startswith("pcb-aoi-blind-via:")
    assert len({function.port for function in functions.values()}) == 6
    assert made in plan.deployable(list(functions.values()))


def test_from_takes_the_weights_for_the_labels_that_they_know(root: Path, new: Callable[..., int]) -> None:
    assert new("--labels", str(root / "project.json"), "--from", "inner-layer") == 0
    labels = {label.slug: label for label in Labelmap.load(root / "labelmaps" / "blind-via.yaml").labels}
    assert list(labels) == ["mang_kong_pian", "residual_copper", "scratch"]
    assert (labels["scratch"].name.zh, labels["scratch"].name.en) == ("划伤", "Scratch")
    folder = root / "functions" / "blind-via"
    assert (folder / "model.onnx").read_bytes() == (root / "functions" / "inner-layer" / "model.onnx").read_bytes()
    spec = json.loads(FunctionFile.load(folder / "function.yaml").metadata["annotations"]["spec"])
    assert [label["name"] for label in spec] == ["铜渣", "划伤"]


def test_without_weights_it_waits_for_some(root: Path, new: Callable[..., int]) -> None:
    assert new("--labels", str(root / "project.json")) == 0
    assert cli.main(["check", "--root", str(root), "--function", "blind-via"]) == 0
    words = ["--root", str(root), "--function", "blind-via", "--map", "nick=-", "--map", "foreign_object=-"]
    words += [f"--map={slug}=-" for slug in ("open", "short", "pinhole", "spur")]
    assert cli.main(["adopt", str(root / "functions" / "inner-layer" / "model.onnx"), *words]) == 0
    assert cli.main(["check", "--root", str(root), "--function", "blind-via"]) == 0


def test_the_weights_own_names_are_labels_where_no_project_is_given(root: Path, new: Callable[..., int]) -> None:
    weights = root / "best.onnx"
    weights.write_bytes(analytic.model(metadata={"slugs": json.dumps(["崩孔", "胶"])}))
    assert new("--weights", str(weights), "--tile", "64") == 0
    labels = Labelmap.load(root / "labelmaps" / "blind-via.yaml").labels
    assert [label.name.zh for label in labels] == ["崩孔", "胶"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["blind-via", "--name", "盲孔"], "name the labels with --labels"),
        (["Blind", "--name", "盲孔", "--labels", "{project}"], "lower-case letters"),
        (["previous", "--name", "盲孔", "--labels", "{project}"], "already"),
        (["gold-osp", "--name", "盲孔", "--labels", "{project}"], "already"),
        (["blind-via", "--name", "盲孔", "--labels", "{project}", "--from", "gold"], "known: acid-outer-layer"),
        (
            ["blind-via", "--name", "盲孔", "--labels", "{strange}", "--from", "inner-layer"],
            "know none of these labels",
        ),
        (["blind-via", "--name", "盲孔", "--labels", "{project}", "--weights", "{weights}"], "--map"),
    ],
)
def test_what_cannot_be_made_is_said_and_leaves_nothing(
    root: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "strange.json").write_text('[{"name": "杯突"}]', "utf-8")
    (root / "weights.onnx").write_bytes(analytic.model(metadata={"slugs": json.dumps(["甲", "乙"])}))
    before = files(root)
    paths = {path.stem: path for path in root.iterdir()}
    assert cli.main(["new", "--root", str(root), *(word.format(**paths) for word in words)]) == 1
    assert message in capsys.readouterr().err
    assert files(root) == before
