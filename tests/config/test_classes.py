"""classes: which class of the weights is which label, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import analytic
import pytest

from pcb_aoi.config import classes
from pcb_aoi.config.model_config import ModelConfig
from pcb_aoi.engine import merge
from pcb_aoi.errors import ConfigError, ModelError

TEXTUAL = json.dumps({str(i): f"c{i}" for i in sorted(range(12), key=str)})


def config(folder: Path, more: str = "") -> ModelConfig:
    """A model.yaml with the labels bright 亮 and blue 蓝."""
    path = analytic.write_function(folder / "analytic") / "model.yaml"
    path.write_text(path.read_text("utf-8").replace("labels:\n", f"{more}\nlabels:\n"), "utf-8")
    return ModelConfig.load(path)


@pytest.mark.parametrize("key", ['"scratch"', "2"])
def test_a_class_found_in_pieces_may_be_dropped(tmp_path: Path, key: str) -> None:
    metadata = {"slugs": '["bright", "blue", "scratch"]', "joined": '{"scratch": 20, "blue": 5}'}
    chosen = config(tmp_path, f'classes: {{0: bright, 1: blue, {key}: "-"}}')
    assert merge.Rules.of(chosen, metadata).gaps.tolist() == [-1, 5]


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"slugs": '["blue", "bright"]'}, "class 0 of the weights is 'blue', in model.yaml it is 'bright'"),
        ({"slugs": '["bright"]'}, "1 classes, model.yaml 2"),
        ({"names": "{0: 'bright', 1: 'green'}"}, "class 1 of the weights is 'green'"),
        ({"names": "{1: 'bright', 2: 'blue'}"}, "2 classes, model.yaml 2"),
        ({"names": "__import__('os').system('true')"}, "cannot be read"),
        ({"names": "{0: 'bright', 1: "}, "cannot be read"),
        ({"names": "{0: 'bright', -1: 'blue'}"}, "cannot be read"),
        ({"names": "{'0': 'bright', 0: 'blue'}"}, "cannot be read"),
        ({"names": "{'a': 'bright', 'b': 'blue'}"}, "cannot be read"),
        ({}, "cannot be verified: write classes"),
    ],
)
def test_other_classes_are_refused(tmp_path: Path, metadata: dict[str, str], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        classes.label_of(metadata, config(tmp_path))


@pytest.mark.parametrize(
    "metadata",
    [
        {"slugs": '["bright", "blue"]'},
        {"names": "{1: 'Blue', 0: '亮'}"},
        {"names": "['BRIGHT', 'blue']"},
        {"names": '{"1": "ｂｌｕｅ", "0": "Bright "}'},
    ],
)
def test_the_same_classes_pass_under_any_of_their_names(tmp_path: Path, metadata: dict[str, str]) -> None:
    assert classes.label_of(metadata, config(tmp_path)).tolist() == [0, 1]


@pytest.mark.parametrize("text", [TEXTUAL, repr({i: f"c{i}" for i in range(12)}), repr([f"c{i}" for i in range(12)])])
def test_names_come_in_numerical_order(text: str) -> None:
    """As texts, 10 and 11 sort before 2: every class from there on would be another one."""
    assert list((classes.names({"names": text}) or {}).items()) == [(i, f"c{i}") for i in range(12)]


@pytest.mark.parametrize(
    ("more", "names", "expected"),
    [
        ('classes: {0: blue, 1: bright, 2: "-"}', None, [1, 0, -1]),
        ("classes: {1: bright, 2: blue}", None, [-2, 0, 1]),
        ('classes: {"liang": bright, "lan": blue, "other": "-"}', {0: "other", 1: "Lan", 2: "LIANG"}, [-1, 1, 0]),
        ('classes: {0: blue, "b": blue}', {0: "a", 1: "b"}, [1, 1]),
        ('classes: {0: blue, "A": bright}', {0: "a", 1: "A"}, [1, 0]),
        ('classes: {0: blue, 1: bright, 2: "-"}', {0: "a", 1: "b"}, [1, 0, -1]),
    ],
)
def test_classes_say_which_is_which(
    tmp_path: Path, more: str, names: dict[int, str] | None, expected: list[int]
) -> None:
    metadata = {} if names is None else {"names": repr(names)}
    assert classes.label_of(metadata, config(tmp_path, more)).tolist() == expected


@pytest.mark.parametrize(
    ("more", "names", "message"),
    [
        ("classes: {0: blue}", {0: "a", 1: "b"}, "says nothing of 1 'b'.*to drop it"),
        ('classes: {"a": blue, "c": bright}', {0: "a", 1: "b"}, "0 classes of the weights are called 'c'"),
        ('classes: {"a": blue, 0: bright}', {0: "a"}, "class 0 is given twice"),
        ('classes: {"a": blue}', {0: "a", 1: "a"}, "2 classes of the weights are called 'a'"),
        ('classes: {"a": blue}', None, "write a number"),
    ],
)
def test_a_map_that_does_not_fit_is_refused(
    tmp_path: Path, more: str, names: dict[int, str] | None, message: str
) -> None:
    metadata = {} if names is None else {"names": repr(names)}
    with pytest.raises(ModelError, match=message):
        classes.label_of(metadata, config(tmp_path, more))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("classes: {0: green}", "'green' is none of the labels bright, blue"),
        ("classes: []", "must map classes"),
        ("classes: {on: blue}", "its name in quotes, got True"),
        ("classes: {-1: blue}", "a class's number"),
        ("frame: half", "must be one of tiles, whole"),
        ("scale: 0", "expected a number"),
    ],
)
def test_model_yaml_is_read_strictly(tmp_path: Path, more: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config(tmp_path, more)
