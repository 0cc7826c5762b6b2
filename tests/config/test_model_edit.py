"""model_edit: one key is another, and every other byte of model.yaml stays."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest
import yaml

from pcb_aoi.config import model_edit
from pcb_aoi.config.labelmap import Labelmap
from pcb_aoi.errors import ConfigError

ROOT = Path(__file__).parents[2]
TEXT = """\
# sha256: "not this one"
weights: model.onnx # the file
sha256: "abc" # hash # of it
 sha256: indented
head: pcb#7 # c
version: 1.2.3
empty:
nothing: # yet
quoted: 'a # b'   # c
labels:
  - {slug: a, zh: 甲, en: A}
"""


@pytest.mark.parametrize(
    ("key", "new", "line"),
    [
        ("weights", "other.onnx", "weights: other.onnx # the file"),
        ("sha256", '"def"', 'sha256: "def" # hash # of it'),
        ("version", "2.0.0", "version: 2.0.0"),
        ("quoted", "x", "quoted: x   # c"),
        ("version", r"\1", r"version: \1"),
        ("head", "yolov8", "head: yolov8 # c"),
        ("empty", "x", "empty: x"),
        ("nothing", "x", "nothing: x # yet"),
    ],
)
def test_one_value_is_put_and_all_else_stays(key: str, new: str, line: str) -> None:
    after = model_edit.put(TEXT, {key: new})
    changed = [text for text in difflib.ndiff(TEXT.splitlines(), after.splitlines()) if text[0] == "+"]
    assert changed == [f"+ {line}"]


def test_values_are_read_without_quotes_and_comments() -> None:
    keys = ("weights", "sha256", "version", "head", "empty", "nothing", "quoted")
    assert [model_edit.value(TEXT, key) for key in keys] == ["model.onnx", "abc", "1.2.3", "pcb#7", "", "", "a # b"]


@pytest.mark.parametrize(("key", "count"), [("tile", 0), ("twice", 2)])
def test_a_key_must_stand_in_one_line(key: str, count: int) -> None:
    with pytest.raises(ConfigError, match=f"one line `{key}:`, found {count}"):
        model_edit.put(TEXT + "twice: 1\ntwice: 2\n", {key: "1"})


def test_labels_are_written_anew_to_the_end() -> None:
    labels = Labelmap.load(ROOT / "labelmaps/inner-layer.yaml").labels
    after = model_edit.put_labels(TEXT, labels)
    assert after.startswith(TEXT[: TEXT.index("labels:")])
    read = yaml.safe_load(after.replace(" sha256: indented\n", ""))["labels"]
    assert [label["slug"] for label in read] == [label.slug for label in labels]
    with pytest.raises(ConfigError, match="`labels:`, found 0"):
        model_edit.put_labels("model: a\n", labels)


@pytest.mark.parametrize("path", sorted(ROOT.glob("functions/*/model.yaml")), ids=lambda path: path.parent.name)
def test_shipped_files_can_be_edited(path: Path) -> None:
    text = path.read_text("utf-8")
    before = yaml.safe_load(text)
    after = yaml.safe_load(model_edit.put(text, {"version": "9.9.9", "sha256": '"0"', "language": "en"}))
    assert after == {**before, "version": "9.9.9", "sha256": "0", "language": "en"}
    same = {key: model_edit.value(text, key) for key in ("model", "version", "weights", "head", "language")}
    assert same == {key: before[key] for key in same}
    assert model_edit.put(text, {"version": before["version"]}) == text


def test_keys_that_need_not_be_there_come_and_go() -> None:
    text = "head: pcb\nlanguage: zh # c\nlabels:\n  - {slug: a, zh: 甲, en: A}\n"
    with_scale = model_edit.put_optional(text, "scale", "0.5")
    assert with_scale == text.replace("language", "scale: 0.5\nlanguage")
    assert model_edit.put_optional(with_scale, "scale", "2") == with_scale.replace("0.5", "2")
    assert model_edit.put_optional(with_scale, "scale", None) == text
    assert model_edit.put_optional(text, "scale", None) == text


def test_classes_are_written_anew() -> None:
    text = "head: pcb\nlanguage: zh\nlabels:\n  - {slug: a, zh: 甲, en: A}\n"
    one = model_edit.put_classes(text, ['"x": a'])
    assert yaml.safe_load(one)["classes"] == {"x": "a"}
    two = model_edit.put_classes(one, ["0: a", '1: "-"'])
    assert yaml.safe_load(two)["classes"] == {0: "a", 1: "-"}
    assert two.replace('classes: # class of the weights: label\n  0: a\n  1: "-"\n', "") == text
