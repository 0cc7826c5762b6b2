"""Fine-tuning from an export to new weights in the function folder and back, on a board world of bright squares."""

# ruff: noqa: E402  (what may be absent is asked for before it is imported)
# mypy: disallow-untyped-calls=False

from __future__ import annotations

import argparse
import hashlib
import io
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from training_exports import Item, coco, cvat, zipped

from training.data import split

onnx = pytest.importorskip("onnx", reason="needs onnx")
pytest.importorskip("onnxruntime", reason="needs onnxruntime")
pytest.importorskip("pycocotools", reason="needs the extra `train` (pycocotools)")
torch = pytest.importorskip("torch", reason="needs the extra `train` (torch)")

from pcb_aoi.commands import check
from pcb_aoi.config import previous
from pcb_aoi.config.settings import Settings
from pcb_aoi.engine import runtime
from pcb_aoi.engine.detections import Detections
from pcb_aoi.exports.annotations import AnnotationError, Entry, Report
from pcb_aoi.exports.export_archive import Archive
from pcb_aoi.exports.formats import AnnotatedPicture
from pcb_aoi.exports.scene import IGNORED, Scene
from training import comparison, finetune
from training.comparison import Side
from training.net import loop, starting_weights
from training.net.architecture import Net
from training.start import Start, replayed
from training.weights import export, function_versions, model_file

ROOT = Path(__file__).resolve().parents[2]
FUNCTION = "acid-outer-layer"


@pytest.fixture(autouse=True)
def few_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting_weights, "STATISTICS", 1)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout of one function, with weights that know nothing."""
    (tmp_path / "labelmaps").mkdir()
    shutil.copy2(ROOT / "labelmaps" / f"{FUNCTION}.yaml", tmp_path / "labelmaps")
    folder = tmp_path / "functions" / FUNCTION
    folder.mkdir(parents=True)
    for name in ("main.py", "function.yaml", "function-gpu.yaml", "model.yaml"):
        shutil.copy2(ROOT / "functions" / FUNCTION / name, folder)
    slugs = [label["slug"] for label in yaml.safe_load((folder / "model.yaml").read_text())["labels"]]
    torch.manual_seed(0)
    model = export.to_onnx(Net(len(slugs)).eval(), len(slugs))
    model_file.write_calibration(model, np.full(len(slugs), 1.5, np.float32), np.full(len(slugs), 0.25, np.float32))
    details = {"model": FUNCTION, "version": "0.3.0", "slugs": str(slugs).replace("'", '"'), "provenance": "Made up."}
    onnx.helper.set_model_props(model, details)
    model_file.announce(folder / "model.onnx", model_file.save(model, folder / "model.onnx"), "0.3.0")
    return tmp_path


def board(number: int) -> tuple[Item, bytes]:
    """A dark board of 96 px with one or two bright squares: shorts."""
    rng = np.random.default_rng(number)
    pixels = rng.integers(0, 40, (96, 96), np.uint8)
    boxes = []
    for y in (10, 55)[: 1 + number % 2]:
        x = int(rng.integers(5, 60))
        pixels[y : y + 24, x : x + 24] = 220
        boxes.append(("短路", float(x), float(y), float(x + 24), float(y + 24)))
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return Item(f"b{number}.png", 96, 96, tuple(boxes)), buffer.getvalue()


def export_zip(path: Path, count: int, label: str = "短路") -> Path:
    """`label`: of the first board's defects."""
    boards = [board(number) for number in range(count)]
    first, content = boards[0]
    boards[0] = replace(first, boxes=tuple((label, *box[1:]) for box in first.boxes)), content
    members = cvat([item for item, _ in boards], images=False)
    return zipped(path, members | {f"images/{item.name}": content for item, content in boards})


def arguments(root: Path, *more: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    finetune.add_arguments(parser)
    small = ["--iterations", "2", "--minutes", "0", "--batch", "4"]
    own = ["--function", FUNCTION, "--root", str(root), "--out", str(root / "runs")]
    return parser.parse_args([*own, *small, *more])


def state(root: Path) -> tuple[str, str]:
    """Version and hash of the weights in use, which must be what model.yaml says."""
    folder = root / "functions" / FUNCTION
    config = yaml.safe_load((folder / "model.yaml").read_text())
    assert hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest() == config["sha256"]
    (finding,) = check.check(root, [FUNCTION], load_weights=False)
    assert finding.state == "ok"
    return config["version"], config["sha256"]


def test_from_an_export_to_new_weights_and_back(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = export_zip(root / "export.zip", 30)
    first = state(root)
    assert finetune.finetune(arguments(root, "--data", str(data), "--accept")) == 0
    shown = capsys.readouterr().out
    for text in (
        "CVAT for images 1.1",
        "short 45",
        "held out in turn by 图片 / image: 4 runs",
        "too few to tell",
        "without replay/",
        "old weights, 0.3.0",
        "new weights, 0.3.1",
        "deploy.sh up",
    ):
        assert text in shown
    assert shown.count("| short |") == 2
    second = state(root)
    assert second[0] == "0.3.1"
    model = onnx.load(root / "functions" / FUNCTION / "model.onnx")
    details = model_file.metadata(model)
    assert details["version"] == "0.3.1"
    assert details["provenance"].startswith("Made up. Fine-tuned from 0.3.0 on ")
    # Few images calibrate nothing: what the old weights had stays.
    assert [values.tolist() for values in model_file.read_calibration(model)] == [[1.5] * 9, [0.25] * 9]
    # Old weights lie outside the folder that nuclio puts into its image.
    assert sorted(p.name for p in (root / "functions" / FUNCTION).iterdir()) == [
        "function-gpu.yaml",
        "function.yaml",
        "main.py",
        "model.onnx",
        "model.yaml",
    ]
    for expected in (first, second, first):
        assert finetune.run(arguments(root, "--rollback")) == 0
        assert state(root) == expected
    assert function_versions.next_version(root / "functions" / FUNCTION) == "0.3.2"


def test_worse_weights_are_not_taken_and_a_second_call_goes_on_where_the_first_ended(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = export_zip(root / "export.zip", 30)
    before = state(root)
    monkeypatch.setattr(comparison, "verdict", lambda *_: (False, ["not better"]))
    assert finetune.finetune(arguments(root, "--data", str(data))) == 1
    assert state(root) == before
    assert "未替换" in capsys.readouterr().out
    assert not (root / "functions" / "previous").exists()
    monkeypatch.setattr(starting_weights, "read", lambda *_: pytest.fail("a finished run starts anew"))
    assert finetune.finetune(arguments(root, "--data", str(data), "--accept")) == 0
    assert "continuing" in capsys.readouterr().out
    assert state(root)[0] == "0.3.1"
    with pytest.raises(pytest.fail.Exception, match="anew"):  # other weights, other run
        finetune.finetune(arguments(root, "--data", str(data)))


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (["--data", "absent.zip"], "no such file"),
        (["--data", "{export}", "--function", "acid-outer-layer", "--label", "x"], "--label 'x'"),
        ([], "--data is missing"),
        (["--data", "{few}"], "too few images"),
        (["--rollback"], "no version before"),
    ],
)
def test_what_the_user_can_put_right_is_told_in_a_line(
    more: list[str], complaint: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "restart_with_allocator", lambda: None)
    paths = {"export": export_zip(root / "export.zip", 3), "few": export_zip(root / "few.zip", 4)}
    before = state(root)
    with pytest.raises(SystemExit, match=complaint):
        finetune.run(arguments(root, *[text.format(**paths) for text in more]))
    assert state(root) == before


def entry(name: str, task: str = "", label: int = 0) -> Entry:
    return Entry(
        Archive(Path("x"), ()),
        name,
        AnnotatedPicture(name, task=task),
        (label,),
        hashlib.sha256(name.encode()).hexdigest(),
    )


def names_in(part: list[Entry]) -> set[str]:
    return {one.picture.name for one in part}


def test_the_split_goes_by_task_then_folder_then_image_and_fills_its_parts() -> None:
    tasks = [entry(f"{number}.png", task=str(number % 20)) for number in range(200)]
    parts = split.split(tasks, 0.2)
    assert "task" in parts.rule
    ((learnt, held_out),) = parts.folds
    assert not {e.picture.task for e in held_out} & {e.picture.task for e in learnt}
    assert (len(held_out), len(parts.calibration), len(learnt)) == (40, 30, 130)
    folders = [entry(f"{number % 20}/{number}.png", task="1") for number in range(200)]
    parts = split.split(folders, 0.2)
    assert "sub-folder" in parts.rule
    assert not {e.folder for e in parts.folds[0][1]} & {e.folder for e in parts.folds[0][0]}
    names = [entry(f"{number}.png") for number in range(400)]
    parts = split.split(names, 0.2)
    assert "image" in parts.rule
    assert (len(parts.folds[0][1]), len(parts.calibration)) == (80, 60)
    assert names_in(parts.all) == names_in(names)
    # More images move few of those that were held out.
    fewer = names_in(split.split(names[:360], 0.2).folds[0][1])
    assert len(fewer - names_in(parts.folds[0][1])) <= 10
    assert split.split(names[::-1], 0.2).folds[0][1] == parts.folds[0][1]  # whatever the order


@pytest.mark.parametrize("count", [5, 20, 59])
def test_few_images_are_held_out_in_turn(count: int) -> None:
    images = [entry(f"{number}.png", task=str(number % 7)) for number in range(count)]
    parts = split.split(images, 0.2)
    assert parts.crossed
    assert not parts.calibration
    held_out = [one for _, own in parts.folds for one in own]
    assert len(held_out) == count
    assert names_in(held_out) == names_in(images) == names_in(parts.all)
    for learnt, own in parts.folds:
        assert not {one.picture.task for one in learnt} & {one.picture.task for one in own}
        assert len(learnt) + len(own) == count
        assert own


def test_images_without_defects_do_not_count_as_defects() -> None:
    with pytest.raises(AnnotationError, match="with 0 defects"):
        split.split([entry(f"{number}.png", label=IGNORED) for number in range(100)], 0.2)


def test_large_images_are_cut_so_that_every_defect_is_whole_somewhere(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    corners = rng.integers(0, 3900, (60, 2)).astype(np.float32)
    boxes = np.concatenate((corners, corners + 100), axis=1)
    scene = Scene(np.zeros((4000, 4000), np.uint8), boxes, np.arange(60))  # each with a label of its own
    found = list(split.pieces(scene, True, frozenset(), rng))
    assert max(max(piece.image.shape) for piece in found) == split.LARGEST_PX
    whole: set[int] = set()
    for piece in found:
        whole |= set(piece.labels[((piece.boxes[:, 2:] - piece.boxes[:, :2]) >= 99.9).all(1)].tolist())
    assert whole == set(range(60))
    apart = list(split.pieces(scene, False, frozenset(), rng))
    assert sum(piece.image.size for piece in apart) >= scene.image.size
    clean = Scene(np.zeros((5000, 5000), np.uint8), boxes[:0], np.zeros(0, np.int64))
    assert len(list(split.pieces(clean, True, frozenset(), rng))) == 4


def test_scenes_come_at_the_pitch_of_the_model() -> None:
    scene = Scene(np.zeros((100, 200), np.uint8), np.array([[10, 20, 30, 40]], np.float32), np.array([1]))
    half = split.scaled(scene, 0.5)
    assert half.image.shape == (50, 100)
    assert half.boxes.tolist() == [[5, 10, 15, 20]]
    assert split.scaled(scene, 1.0) is scene


def test_the_language_stays_when_weights_go_back(root: Path) -> None:
    folder = root / "functions" / FUNCTION
    function_versions.install(onnx.load(folder / "model.onnx"), folder)
    text = (folder / "model.yaml").read_text().replace("language: zh", "language: en")
    (folder / "model.yaml").write_text(text)
    previous.swap(folder)
    assert "language: en # `pcb-aoi sync" in (folder / "model.yaml").read_text()
    assert "language: en" in (previous.previous_folder(folder) / "model.yaml").read_text()


def test_a_report_names_what_was_left_out() -> None:
    report = Report(["COCO 1.0"], images=2, dropped=1)
    assert "dropped as outside or empty 1" in "\n".join(report.lines(("a",)))


def side(found: list[bool]) -> Side:
    """Pictures with one defect each, found or not."""
    box = np.array([[0, 0, 9, 9]], np.float32)
    scene = Scene(np.zeros((9, 9), np.uint8), box, np.zeros(1, np.int64))
    call = Detections(box, np.ones(1, np.float32), np.zeros(1, np.int32))
    return Side([scene] * len(found), [call if one else Detections.empty() for one in found])


@pytest.mark.parametrize(
    ("old", "new", "known", "taken", "told"),
    [
        ([False] * 20, [True] * 20, None, True, ""),
        ([True] * 20, [False] * 20, None, False, ""),
        ([False, True] * 10, [True, True] + [False, True] * 9, None, True, "too few to tell"),
        ([False] * 20, [True] * 20, ([True] * 100, [True] * 99 + [False]), True, "what it knew before"),
        ([False] * 20, [True] * 20, ([True] * 100, [True] * 95 + [False] * 5), False, "forgotten"),
    ],
)
def test_new_weights_are_taken_if_they_are_no_worse_and_forget_nothing(
    old: list[bool], new: list[bool], known: tuple[list[bool], list[bool]] | None, taken: bool, told: str
) -> None:
    pair = (side(known[0]), side(known[1])) if known else None
    better, lines = comparison.verdict((side(old), side(new)), pair, 1)
    assert better == taken
    text = "\n".join(lines)
    assert told in text
    assert ("too few" in text) == (told == "too few to tell")
    assert ("forgotten" in text) == (told == "forgotten")


def test_a_new_label_grows_the_net_and_the_others_answer_as_before(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labelmap = root / "labelmaps" / f"{FUNCTION}.yaml"
    more = """  - slug: brand_new
    zh: 新缺陷
    en: Brand new
    color: "#123456"
    aliases: []
    definition: {zh: 新, en: new}
"""
    folder, data = root / "functions" / FUNCTION, export_zip(root / "export.zip", 12, "新缺陷")
    replay(root, [board(number) for number in range(50, 54)])
    before = state(root)
    old = onnx.load(folder / "model.onnx")
    labelmap.write_text(labelmap.read_text("utf-8") + more, "utf-8")
    start = Start.load(root, FUNCTION, root, ["brand_new"])
    assert start.known == tuple(range(9))
    image = np.random.default_rng(0).integers(0, 256, (1, 64, 96, 3), np.uint8)
    told, grown = (run_model(one.SerializeToString(), image) for one in (old, start.model))
    assert np.array_equal(grown[0], told[0])
    assert np.array_equal(grown[1][..., :9], told[1])
    assert (grown[1][..., 9] < 0.01).all()
    assert replayed(start, root / "replay" / f"{FUNCTION}.zip", "train")[0].taught == start.known
    assert finetune.finetune(arguments(root, "--data", str(data), "--accept")) == 0
    shown = capsys.readouterr().out
    assert "new labels: brand_new" in shown
    assert "what it knew before (4)" in shown
    new = onnx.load(folder / "model.onnx")
    assert model_file.slugs(new)[-1] == "brand_new"
    assert state(root)[0] == "0.3.1"  # function.yaml and model.yaml have the label, too: `check` says ok
    assert "新缺陷" in (folder / "function.yaml").read_text("utf-8")
    assert before[0] == "0.3.0"


def run_model(content: bytes, image: np.ndarray) -> list[np.ndarray]:
    """Boxes and scores."""
    found: list[np.ndarray] = runtime.create(content, Settings(threads=1)).run(["boxes", "scores"], {"images": image})
    return found


def replay(root: Path, boards: list[tuple[Item, bytes]]) -> None:
    """Boards that the weights know, in both subsets."""
    members: dict[str, bytes] = {}
    for subset in ("train", "known"):
        own = [replace(item, subset=subset) for item, _ in boards]
        members |= coco(own, images=False) | {f"images/{subset}/{item.name}": content for item, content in boards}
    # The same file in both would count once.
    members = {
        name: content + subset_mark(name) if name.startswith("images") else content for name, content in members.items()
    }
    (root / "replay").mkdir()
    zipped(root / "replay" / f"{FUNCTION}.zip", members)


def subset_mark(name: str) -> bytes:
    return name.split("/")[1].encode()
