"""adopt: what is written, what is kept, what is said; and that no file runs under a head that misreads it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import layout_cases
import layouts
import numpy as np
import pytest
from layout_cases import FUNCTION, adopt
from layouts import SLUGS
from PIL import Image

from pcb_aoi.commands import frames
from pcb_aoi.config import model_edit
from pcb_aoi.config.function_file import FunctionFile
from pcb_aoi.config.model_config import ModelConfig
from pcb_aoi.config.settings import Settings
from pcb_aoi.engine import heads
from pcb_aoi.engine.detections import Detections
from pcb_aoi.engine.detector import Detector
from pcb_aoi.errors import ModelError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return layout_cases.make_root(tmp_path / "root")


@pytest.fixture
def brought(tmp_path: Path) -> Callable[..., str]:
    """Write a file with these class names and return its path."""

    def write(*names: str, name: str = "best.onnx", **changes: object) -> str:
        told = dict(enumerate(names or SLUGS))
        table = layouts.rows(layouts.centres(), layouts.scores(len(told), layouts.LABELS % len(told))).T
        metadata = layouts.ULTRALYTICS | {"names": repr(told)}
        (tmp_path / name).write_bytes(layouts.v8(outputs={"output0": table}, metadata=metadata, **changes))
        return str(tmp_path / name)

    return write


def folder_of(root: Path) -> Path:
    return root / "functions" / FUNCTION


def text_of(root: Path) -> str:
    return (folder_of(root) / "model.yaml").read_text("utf-8")


def found(root: Path) -> list[str]:
    """The slugs found, best first."""
    detector = Detector.load(folder_of(root))
    side = detector.config.tile
    labels = detector.detect(np.full((side, side), 90, np.uint8)).detections.labels
    return [detector.config.slugs[label] for label in labels]


def files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


ORDER = ("scratch", "short", "spur", "open", "nick", "foreign_object", "residual_copper", "pinhole")
WRITTEN = {
    "slugs, another order": ORDER,
    "Chinese": ("划伤", "短路", "毛刺", "开路", "缺口", "杂物", "残铜", "针孔"),
    "English": ("Scratch", "Short", "Spur", "Open", "Nick", "Foreign object", "Residual copper", "Pinhole"),
    "aliases": ("刮伤", "桥接", "Protrusion", "断线", "mouse_bite", "异物", "Spurious-Copper", "砂眼"),
    "a public set's words": (
        "Conductor Scratch",
        "short_circuit",
        "spur",
        "open_circuit",
        "mouse_bite",
        "foreign material",
        "spurious_copper",
        "pin-hole",
    ),
    "pinyin": ("huashang", "duan_lu", "Mao Ci", "KAILU", "quekou", "zawu", "canTong", "zhenkong"),
    "case and width": (
        "ＳＣＲＡＴＣＨ",
        "SHORT",
        "ｓｐｕｒ",
        " open ",
        "NICK",
        "Foreign-Object",
        "RESIDUAL_COPPER",
        "Pin hole",
    ),
}


@pytest.mark.parametrize("names", WRITTEN.values(), ids=WRITTEN)
def test_classes_are_matched_however_they_are_written(
    root: Path, brought: Callable[..., str], names: tuple[str, ...]
) -> None:
    status, text = adopt(root, brought(*names))
    assert status == 0, text
    assert found(root) == [ORDER[0], ORDER[3], ORDER[5]]  # the graph's three boxes are of classes 0, 3 and 5
    assert all(f"{number} " in text and name in text for number, name in enumerate(names))


def test_a_subset_of_the_labels_says_which_are_never_found(root: Path, brought: Callable[..., str]) -> None:
    status, text = adopt(root, brought("短路", "open", "Spur"))
    assert status == 0
    assert found(root) == ["short", "short", "spur"]
    assert "never found: nick 缺口, pinhole 针孔, residual_copper 铜渣, scratch 刮花, foreign_object 杂物_重" in text
    # CVAT is offered what these weights answer, and nothing else.
    spec = json.loads(FunctionFile.load(folder_of(root) / "function.yaml").metadata["annotations"]["spec"])
    assert [label["name"] for label in spec] == ["开路", "微短", "毛边单"]
    assert adopt(root, brought("板边", "open", "Film"))[0] == 0
    spec = json.loads(FunctionFile.load(folder_of(root) / "function.yaml").metadata["annotations"]["spec"])
    assert [label["name"] for label in spec] == ["开路", "胶膜", "板边"]


def test_classes_that_nothing_explains_are_named_at_once_with_the_cure(root: Path, brought: Callable[..., str]) -> None:
    before = files(folder_of(root))
    path = brought("open", "dent", "short", "class3", "", "spur")
    status, text = adopt(root, path)
    assert status == 1
    assert "nothing explains these classes: 1 'dent', 3 'class3', 4 ''" in text
    assert '--map "dent=SLUG" --map "class3=SLUG"' in text
    assert files(folder_of(root)) == before
    status, text = adopt(root, path, "--map", "dent=缺口", "--map", "class3=-", "--map", "4=-")
    assert status == 0, text
    assert found(root) == ["open", "spur"]
    assert '  "class3": "-"\n' in text_of(root)
    assert '  "dent": nick\n' in text_of(root)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (("--map", "hole=open"), "the weights have no class 'hole'"),
        (("--map", "open=hole"), "no label 'hole'; known: open, short"),
        (("--classes", "open,short"), "fewer classes than the file: 2 in place of 8"),
        (("--classes", "open,0=short"), "stands twice or has no name"),
        (("--scale", "0"), "scale: expected a number"),
        (("--image", "not-there.png"), "no such file: not-there.png"),
        (("--classes", "not-there.yaml"), "not-there.yaml"),
        (("--back", "--root", "/not/there"), "no such function"),
    ],
)
def test_words_that_fit_nothing_are_refused(
    root: Path, brought: Callable[..., str], told: tuple[str, ...], message: str
) -> None:
    before = files(folder_of(root))
    status, text = adopt(root, brought(), *told)
    assert status == 1
    assert message in text
    assert files(folder_of(root)) == before


def test_a_name_of_two_labels_is_not_decided(root: Path, brought: Callable[..., str]) -> None:
    path = root / "labelmaps" / f"{FUNCTION}.yaml"
    text = (
        path.read_text("utf-8")
        .replace("aliases: [断线", "aliases: [坏, 断线")
        .replace("aliases: [连线", "aliases: [坏, 连线")
    )
    path.write_text(text, "utf-8")
    status, said = adopt(root, brought("坏", "nick"))
    assert status == 1
    assert "? open / short" in said
    assert "nothing explains these classes: 0 '坏'" in said


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("data.yaml", "names: {0: short, 1: open, 2: nick, 3: spur, 4: pinhole, 5: scratch, 6: 杂物, 7: 残铜}\n"),
        ("data.yaml", "path: x\nnames: [short, open, nick, spur, pinhole, scratch, 杂物, 残铜]\n"),
        ("names.txt", "short\nopen\nnick\nspur\npinhole\nscratch\n杂物\n残铜\n"),
        ("names.json", '{"names": ["short", "open", "nick", "spur", "pinhole", "scratch", "杂物", "残铜"]}'),
    ],
)
def test_classes_are_read_from_the_files_of_training(root: Path, tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content, "utf-8")
    (tmp_path / "best.onnx").write_bytes(layouts.v8(metadata={}))
    status, text = adopt(root, str(tmp_path / "best.onnx"), "--classes", str(tmp_path / name))
    assert status == 0, text
    assert found(root) == ["short", "spur", "scratch"]
    assert "\n  0: short\n" in text_of(root)


def test_model_yaml_keeps_its_comments_and_gets_what_was_found(root: Path, brought: Callable[..., str]) -> None:
    before = text_of(root)
    data = Path(brought(shape=(1, 3, layouts.TILE, layouts.TILE))).read_bytes()
    assert adopt(root, brought(), "--frame", "whole")[0] == 0
    config, text = ModelConfig.load(folder_of(root) / "model.yaml"), text_of(root)
    digest = hashlib.sha256(data).hexdigest()
    assert (config.sha256, config.version) == (digest, f"own-{digest[:8]}")
    assert (config.head, config.tile, config.overlap) == ("yolov8", 128, 32)
    assert (config.frame, config.fixed_scale, config.threshold) == ("whole", 1, 0.25)
    assert config.classes == {slug: slug for slug in SLUGS}
    assert [line for line in before.splitlines() if "#" in line] == [
        line
        for line in text.replace("head: yolov8 #", "head: pcb #").splitlines()
        if "#" in line and "label\n" not in line and not line.startswith("classes")
    ]
    assert text.endswith(before[before.index("# Generated") :])
    # A second time changes what is there, doubles nothing, and keeps nothing of the weights before.
    assert adopt(root, brought(), "--um-per-px", "15", "--threshold", "0.4")[0] == 0
    config = ModelConfig.load(folder_of(root) / "model.yaml")
    assert (config.frame, config.fixed_scale, config.pitch.native, config.threshold) == ("tiles", None, 15, 0.4)
    assert text_of(root).count("classes:") == 1


def test_the_old_model_is_kept_and_comes_back(root: Path, brought: Callable[..., str]) -> None:
    assert adopt(root, brought("open", "short"))[0] == 0
    first = files(folder_of(root))
    assert adopt(root, brought("短路", "毛刺", name="second.onnx"))[0] == 0
    second = files(folder_of(root))
    assert first.keys() == second.keys() == {"model.onnx", "model.yaml", "function.yaml", "function-gpu.yaml"}
    kept = files(root / "functions" / "previous" / FUNCTION)
    assert kept == {name: first[name] for name in ("model.onnx", "model.yaml")}
    assert adopt(root, "--back")[0] == 0
    assert files(folder_of(root)) == first
    assert found(root) == ["open", "short", "short"]
    assert adopt(root, "--back")[0] == 0
    assert files(folder_of(root)) == second


def test_the_int8_twin_goes_and_comes_back_with_its_weights(root: Path, brought: Callable[..., str]) -> None:
    """Left behind, it would be deployed for nothing; and beside a later one the old weights could not start."""
    folder, shipped = folder_of(root), layout_cases.ROOT / "functions" / FUNCTION
    for name in ("model.onnx", "model-int8.onnx", "model.yaml"):
        shutil.copyfile(shipped / name, folder / name)
    first = files(folder)
    assert adopt(root, str(shipped / "model.onnx"), "--threshold", "0.4")[0] == 0  # the same weights keep it
    assert files(folder)["model-int8.onnx"] == first["model-int8.onnx"]
    assert ModelConfig.load(folder / "model.yaml").int8 is not None
    shutil.copyfile(shipped / "model.yaml", folder / "model.yaml")
    assert adopt(root, brought("open", "short"))[0] == 0
    assert "model-int8.onnx" not in files(folder)
    assert ModelConfig.load(folder / "model.yaml").int8 is None
    (folder / "model-int8.onnx").write_bytes(b"of the weights in use since")
    assert adopt(root, "--back")[0] == 0
    assert files(folder) == first
    assert Detector.load(folder, Settings(precision="int8")).precision[0] == "int8"


def test_the_projects_own_export_keeps_its_threshold_and_pitch(root: Path, brought: Callable[..., str]) -> None:
    before = ModelConfig.load(folder_of(root) / "model.yaml")
    shipped = layout_cases.ROOT / "functions" / FUNCTION / "model.onnx"
    status, text = adopt(root, str(shipped))
    assert status == 0, text
    after = ModelConfig.load(folder_of(root) / "model.yaml")
    assert (after.head, after.sha256, after.tile) == ("pcb", before.sha256, before.tile)
    assert (after.threshold, after.pitch, after.fixed_scale) == (before.threshold, before.pitch, None)
    assert after.exclusive == before.exclusive


def test_the_same_file_with_other_options_is_no_other_version(root: Path, brought: Callable[..., str]) -> None:
    """Going back after a second try at the frame must not end at the first try."""
    assert adopt(root, brought("open"))[0] == 0
    first = files(folder_of(root))
    path = brought("short", name="second.onnx")
    assert adopt(root, path)[0] == 0
    assert adopt(root, path, "--frame", "whole")[0] == 0
    assert adopt(root, "--back")[0] == 0
    assert files(folder_of(root)) == first


def test_there_is_nothing_to_go_back_to_at_first(root: Path) -> None:
    status, text = adopt(root, "--back")
    assert status == 1
    assert "no version before" in text


def test_a_dry_run_writes_nothing(root: Path, brought: Callable[..., str]) -> None:
    before = files(root)
    status, text = adopt(root, brought(), "--dry-run")
    assert status == 0
    assert "yolov8" in text
    assert files(root) == before


def test_a_picture_is_drawn_in_both_frames(
    root: Path, brought: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The graph finds its boxes at fixed places of the tile: a crop of half the side shows them at half of that."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.full((64, 64), 90, np.uint8)).save(tmp_path / "crop.png")
    before = files(root)
    status, text = adopt(root, brought(), "--image", "crop.png")
    assert status == 0, text
    assert "tiles 2, whole 3, in common 0" not in text  # one box lies outside of the crop, in tiles
    assert "框 boxes: tiles 2, whole 3, 相同 in common 0; 图 drawn: crop-inner-layer.png" in text
    assert "run again with --frame tiles or --frame whole" in text
    assert files(root) == before
    with Image.open(tmp_path / "crop-inner-layer.png") as drawn:
        assert drawn.size == (2 * 900 + 10, 900 + 24)
        colours = np.asarray(drawn)
    assert ((colours[:, :900] == (255, 77, 77)).all(axis=2)).any()
    assert ((colours[:, 910:] == (255, 77, 77)).all(axis=2)).any()
    assert adopt(root, brought(), "--image", "crop.png", "--frame", "whole")[0] == 0
    assert "frame: whole" in text_of(root)


def test_boxes_in_common_are_those_of_one_label_at_one_place() -> None:
    boxes = np.array([[0, 0, 10, 10], [20, 20, 30, 30], [40, 40, 50, 50]], np.float32)
    scores = np.ones(3, np.float32)
    one = Detections(boxes, scores, np.array([0, 1, 2], np.int32))
    moved = boxes + np.array([[1], [6], [0]], np.float32)
    assert frames.common(one, Detections(moved, scores, np.array([0, 1, 1], np.int32))) == 1
    assert frames.common(one, Detections.empty()) == 0


FOUND = [case for case in layout_cases.CASES if case.head and case.labels]


@pytest.mark.parametrize("case", FOUND, ids=lambda case: case.name)
def test_no_file_runs_under_a_head_that_misreads_it(case: layout_cases.Case, tmp_path: Path) -> None:
    """Whoever writes model.yaml by hand is refused as adopt refuses."""
    root, file = layout_cases.make_root(tmp_path / "root"), tmp_path / case.file
    file.write_bytes(case.data)
    assert adopt(root, str(file), *case.told)[0] == 0
    path = folder_of(root) / "model.yaml"
    written = path.read_text("utf-8")
    for other in heads.NAMES:
        if other == case.head:
            continue
        path.write_text(written.replace(f"head: {case.head} #", f"head: {other} #"), "utf-8")
        with pytest.raises(ModelError):
            Detector.load(folder_of(root))


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("YOLOv8, v5u, 11, 12, 26 and v10 by default", "yolov5", r"should be head: yolov8 \(\(1, 12, 336\): 4 \+ 8"),
        ("YOLOv5, YOLOv7 without NMS", "yolox", r"should be head: yolov5 .*3 anchor\(s\) a cell"),
        ("YOLOX, decoded", "yolov5", r"should be head: yolox .*1 anchor\(s\) a cell"),
        ("YOLO26, v10 with nms=False", "yolov8", "should be head: end2end"),
        ("boxes in 0 to 1", "yolov8", "should be head: yolov8-unit"),
        ("LibreYOLO yolo9", "yolov8", "should be head: yolo9 .*model_family yolo9"),
        ("YOLOv7 n x 7", "end2end", "no batch: head yolov7 or torchvision"),
    ],
)
def test_the_refusal_names_the_head_to_write(tmp_path: Path, name: str, wrong: str, message: str) -> None:
    case = next(case for case in layout_cases.CASES if case.name == name)
    root, file = layout_cases.make_root(tmp_path / "root"), tmp_path / case.file
    file.write_bytes(case.data)
    assert adopt(root, str(file), *case.told)[0] == 0
    path = folder_of(root) / "model.yaml"
    path.write_text(path.read_text("utf-8").replace(f"head: {case.head} #", f"head: {wrong} #"), "utf-8")
    with pytest.raises(ModelError, match=message):
        Detector.load(folder_of(root))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 3, 256, 256), r"feeds \(B, 3, 128, 128\), .*write tile: 256"),
        ((1, 3, 96, 128), "export it square, imgsz=128"),
    ],
)
def test_another_size_than_model_yaml_says_is_told(
    root: Path, brought: Callable[..., str], shape: tuple[int, ...], message: str
) -> None:
    assert adopt(root, brought())[0] == 0
    data, path = Path(brought(shape=shape)).read_bytes(), folder_of(root) / "model.yaml"
    (folder_of(root) / "model.onnx").write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    path.write_text(model_edit.put(path.read_text("utf-8"), {"sha256": f'"{digest}"'}), "utf-8")
    with pytest.raises(ModelError, match=message):
        Detector.load(folder_of(root))


def test_a_sound_of_two_labels_is_told_by_what_the_others_are(root: Path, brought: Callable[..., str]) -> None:
    """断路 (open) and 短路 (short) sound alike: where 开路 is there too, the other is the short."""
    status, text = adopt(root, brought("duanlu", "huashang"))
    assert status == 1
    assert "? open / short" in text
    status, text = adopt(root, brought("duanlu", "kailu"))
    assert status == 0, text
    assert "排除 elimination" in text
    assert found(root) == ["short", "open", "open"]


def test_a_number_that_classes_do_not_tell_is_an_error_and_no_box(root: Path, tmp_path: Path) -> None:
    """The file counts from 1 and model.yaml says so: a class 0 would be a label that nobody chose."""
    (tmp_path / "best.onnx").write_bytes(layouts.listed(0, metadata={}))
    status, text = adopt(root, str(tmp_path / "best.onnx"), "--classes", "1=" + ",".join(SLUGS))
    assert status == 0, text
    detector = Detector.load(folder_of(root))
    with pytest.raises(ModelError, match="the weights found class 0, of which classes says nothing"):
        detector.detect(np.full((128, 128), 90, np.uint8))
