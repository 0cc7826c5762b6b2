"""labels --from: a project's labels are read from all that CVAT shows and exports, and brought into the labelmap."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import cvat
import pytest

from pcb_aoi import cli
from pcb_aoi.config import project_labels
from pcb_aoi.config.function_file import FunctionFile
from pcb_aoi.config.labelmap import Labelmap
from pcb_aoi.config.project_labels import ProjectLabel
from pcb_aoi.errors import ConfigError

ROOT = Path(__file__).parents[2]
NAME = "inner-layer"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "labelmaps", tmp_path / "labelmaps")
    folder = tmp_path / "functions" / NAME
    folder.mkdir(parents=True)
    for file in ("function.yaml", "function-gpu.yaml", "main.py", "model.yaml"):
        shutil.copy(ROOT / "functions" / NAME / file, folder / file)
    return tmp_path


@pytest.fixture
def bring(root: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Run `labels --from` on raw labels -> (exit status, what it printed)."""

    def run(labels: object, *words: str) -> tuple[int, str]:
        path = root / "project.json"
        path.write_text(json.dumps(labels, ensure_ascii=False), "utf-8")
        capsys.readouterr()
        status = cli.main(["labels", NAME, "--root", str(root), "--from", str(path), *words])
        said = capsys.readouterr()
        return status, said.out + said.err

    return run


def labelmap(root: Path) -> Labelmap:
    return Labelmap.load(root / "labelmaps" / f"{NAME}.yaml")


TWO = [ProjectLabel("刮花", "any", "#ff0000"), ProjectLabel("铜渣", "polygon", None)]
RAW = [{"name": "刮花", "type": "any", "color": "#FF0000", "attributes": []}, {"name": "铜渣", "type": "polygon"}]
XML = (
    "<annotations><version>1.1</version><meta><{0}><name>x</name><labels><label><name>刮花</name><color>#ff0000</color>"
    "<type>any</type></label><label><name>铜渣</name><type>polygon</type></label></labels></{0}></meta></annotations>"
)
COCO = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "刮花"}, {"id": 2, "name": "铜渣"}]}
FILES: dict[str, tuple[str, bytes]] = {
    "raw": ("raw.json", json.dumps(RAW).encode()),
    "raw with a byte order mark": ("raw.json", b"\xef\xbb\xbf" + json.dumps(RAW).encode()),
    "backup's project.json": ("project.json", json.dumps({"name": "x", "labels": RAW}).encode()),
    "task's annotations.xml": ("annotations.xml", XML.format("task").encode()),
    "project's annotations.xml": ("annotations.xml", XML.format("project").encode()),
    "job's annotations.xml": ("annotations.xml", XML.format("job").encode()),
}


def zipped(name: str, data: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("images/a.png", b"x")
        archive.writestr(name, data)
    return stream.getvalue()


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("zip_", [False, True], ids=["file", "zip"])
def test_a_projects_labels_are_read_from(kind: str, zip_: bool, tmp_path: Path) -> None:
    name, data = FILES[kind]
    path = tmp_path / ("export.zip" if zip_ else name)
    path.write_bytes(zipped(name, data) if zip_ else data)
    assert project_labels.read(path) == TWO


def test_a_coco_file_tells_names_only(tmp_path: Path) -> None:
    (tmp_path / "coco.zip").write_bytes(zipped("annotations/instances_default.json", json.dumps(COCO).encode()))
    assert project_labels.read(tmp_path / "coco.zip") == [ProjectLabel("刮花"), ProjectLabel("铜渣")]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.json", b"{"),
        ("a.json", b"[]"),
        ("a.json", b"[1]"),
        ("a.json", b'{"labels": 3}'),
        ("a.json", b"\xff\xfe"),
        ("annotations.xml", b"<annotations>"),
        ("annotations.xml", b"<annotations/>"),
        ("a.zip", zipped("labels.txt", b"x")),
        ("a.zip", b"PK\x03\x04cut off"),
    ],
)
def test_a_file_without_labels_is_refused(name: str, data: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ConfigError, match="labels"):
        project_labels.read(tmp_path / name)


def test_nothing_is_written_unasked(root: Path, bring: Callable[..., tuple[int, str]]) -> None:
    before = {path: path.read_bytes() for path in root.rglob("*.yaml")}
    status, text = bring([{"name": "划伤", "type": "any"}])
    assert status == 0
    assert "-    zh: 刮花\n+    zh: 划伤\n" in text
    assert "nothing written" in text
    assert {path: path.read_bytes() for path in root.rglob("*.yaml")} == before


def test_renames_types_and_new_labels_are_written(root: Path, bring: Callable[..., tuple[int, str]]) -> None:
    path = root / "labelmaps" / f"{NAME}.yaml"
    path.write_text(path.read_text("utf-8").replace("labels:\n", "labels: # ours\n", 1), "utf-8")
    project = [
        {"name": "划伤", "type": "any"},
        {"name": "Ｍouse-bite", "type": "polygon"},
        {"name": "铜渣", "type": "rectangle"},
        {"name": "折痕: 深", "type": "mask", "color": "#00FF00"},
        {"name": "on", "type": "any"},
        {"name": "骨架", "type": "skeleton"},
    ]
    status, text = bring(project, "--write")
    assert status == 0, text
    labels = {label.slug: label for label in labelmap(root).labels}
    assert labels["scratch"].name.zh == "划伤"
    assert "刮花" in labels["scratch"].aliases
    assert (labels["nick"].name.zh, labels["nick"].type) == ("Ｍouse-bite", "polygon")
    assert (
        labels["residual_copper"]
        == {x.slug: x for x in Labelmap.load(ROOT / path.relative_to(root)).labels}["residual_copper"]
    )
    new = list(labels.values())[-2:]
    assert [(label.name.zh, label.type) for label in new] == [("折痕: 深", "polygon"), ("on", "rectangle")]
    assert new[0].color == "#00ff00"
    assert "labels: # ours\n" in path.read_text("utf-8")
    # CVAT is offered the new names of what the weights know, and no label without weights.
    model = cvat.listed(FunctionFile.load(root / "functions" / NAME / "function.yaml").record(), "2026")
    task = tuple(cvat.Label(str(x["name"]), str(x["type"])) for x in project)
    assert list(cvat.default_mapping(model, task)) == ["Ｍouse-bite", "铜渣", "划伤"]
    assert not {"on", "折痕: 深"} & {label.name for label in model}
    assert "will match by themselves: 3 / 8" in text
    # A second time there is nothing to do.
    assert "the labelmap is as the project" in bring(project)[1]
    assert cli.main(["check", "--root", str(root), "--function", NAME, "--static"]) == 0


def test_two_names_of_one_label_are_two_labels(root: Path, bring: Callable[..., tuple[int, str]]) -> None:
    """毛边微短1 to 12 of a project are no other names of one; an equal name comes before an alias."""
    assert bring([{"name": "划伤", "type": "any"}, {"name": "刮花", "type": "any"}], "--write")[0] == 0
    names = [label.name.zh for label in labelmap(root).labels]
    assert names.count("刮花") == names.count("划伤") == 1
    assert labelmap(root).labels[6].name.zh == "刮花"


def test_the_factorys_inner_layer_changes_no_name(root: Path, bring: Callable[..., tuple[int, str]]) -> None:
    before = labelmap(root)
    names = [label.name.zh for label in before.labels]
    assert "the labelmap is as the project" in bring([{"name": name, "type": "any"} for name in names])[1]


@pytest.mark.parametrize(("words", "key"), [(("--language", "en"), "en"), (("--names", "general"), "general")])
def test_the_name_that_cvat_is_shown_is_the_one_renamed(
    root: Path, bring: Callable[..., tuple[int, str]], words: tuple[str, ...], key: str
) -> None:
    assert cli.main(["sync", NAME, "--root", str(root), *words]) == 0
    assert bring([{"name": "刮伤", "type": "any"}], "--write")[0] == 0
    label = labelmap(root).labels[6]
    assert (label.name.zh, label.name.en if key == "en" else label.general) == ("刮花", "刮伤")


def test_write_needs_a_project(root: Path) -> None:
    assert cli.main(["labels", NAME, "--root", str(root), "--write"]) == 1


def test_what_is_by_hand_only_is_told(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["labels", NAME, "--root", str(root)]) == 0
    said = capsys.readouterr()
    assert [label["name"] for label in json.loads(said.out)] == [label.name.zh for label in labelmap(root).labels]
    assert "finds: 开路 微短 缺口 针孔 毛边单 铜渣 刮花 杂物_重\n" in said.err
    assert "by hand only: 毛边微短 夹角铜渣" in said.err
