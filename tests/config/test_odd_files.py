"""What chance and typing errors make of the files of a function: `check` ends in findings that name the file.

Two mutators: values and keys of the file as data, and its letters as text. 2,000 by hand: HYPOTHESIS_PROFILE=long.
"""

from __future__ import annotations

import contextlib
import datetime
import math
import os
import shutil
from pathlib import Path
from typing import Any

import analytic
import onnx
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from pcb_aoi.commands import check
from pcb_aoi.commands.check import Finding
from pcb_aoi.engine import chains
from pcb_aoi.engine.detector import Detector
from pcb_aoi.errors import ModelError, PcbAoiError

ROOT = Path(__file__).parents[2]
NAME = "inner-layer"
FILES = {
    "map": f"labelmaps/{NAME}.yaml",
    **{file: f"functions/{NAME}/{file}" for file in ("model.yaml", "function.yaml", "function-gpu.yaml")},
}
TEXTS = {kind: (ROOT / path).read_text("utf-8") for kind, path in FILES.items()}
EXAMPLES = 2000 if os.environ.get("HYPOTHESIS_PROFILE") == "long" else 80

ODD: list[Any] = [
    None, True, 0, -1, 1, 2**64, 16**50, 0.5, float("inf"), float("nan"), "", " ", "1", "yes", "-", "'", "\0x", "内",
    [], [[]], [None], [1], ["a"], [{}], {}, {"a": 1}, {None: None}, {1: {}}, {"name": "x"}, [{"kind": "http"}],
    datetime.date(2026, 11, 28), datetime.datetime(2026, 11, 28, 1), b"x", {"a", "b"}, "[" * 50,
]  # fmt: skip
SCALARS = [
    "2026-02-30", "2026-99-99", "0x_", "0b_", "190:61:30", "1e999", ".nan", "~", "!!int x", "!!binary ====", "&a b",
    "*a", "<<: 1", "? [1, 2]\n: 3", "!!python/name:os.system", "!!set {a, b}", "[" * 3000, "{" * 3000, "=", "!!bool x",
    "!!float x", "!!timestamp x", "1" * 5000, "0x" + "f" * 5000, "\t", "%", "@", "`", "- - - -", "!!omap [a]", "\x85",
]  # fmt: skip


def places(data: object, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every value below a mapping or list, by its path."""
    below = list(data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ())
    return [(*at, key) for key, _ in below] + [one for key, value in below for one in places(value, (*at, key))]


def change(data: Any, path: tuple[Any, ...], how: str, odd: Any) -> None:  # noqa: ANN401
    """Put an odd value at a place, take the place away, or give it another key."""
    for key in path[:-1]:
        data = data[key]
    if how == "put":
        data[path[-1]] = odd
    elif how == "remove":
        data.pop(path[-1])
    elif isinstance(data, dict) and isinstance(odd, str | int | float | None):
        data[odd] = data.pop(path[-1])


@st.composite
def data_mutants(draw: st.DrawFn) -> tuple[str, str]:
    """Which file, and its text with one to three values that are odd, gone, or under another key."""
    kind = draw(st.sampled_from(sorted(TEXTS)))
    data = yaml.safe_load(TEXTS[kind])
    for _ in range(draw(st.integers(1, 3))):
        if found := places(data):
            path, odd = draw(st.sampled_from(found)), draw(st.sampled_from(ODD))
            change(data, path, draw(st.sampled_from(["put", "put", "put", "remove", "rename"])), odd)
    return kind, yaml.dump(data, allow_unicode=True, sort_keys=False)


@st.composite
def text_mutants(draw: st.DrawFn) -> tuple[str, str]:
    """Which file, and its text with an odd scalar in place of a value, or letters changed."""
    kind = draw(st.sampled_from(sorted(TEXTS)))
    lines = TEXTS[kind].splitlines()
    number = draw(st.integers(0, len(lines) - 1))
    line = lines[number]
    if ":" in line and draw(st.booleans()):
        lines[number] = f"{line.partition(':')[0]}: {draw(st.sampled_from(SCALARS))}"
    else:
        at = draw(st.integers(0, len(line)))
        lines[number] = line[:at] + draw(st.text(max_size=3)) + line[at + draw(st.integers(0, 3)) :]
    return kind, "\n".join(lines)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One function, without weights: they are looked at when all else is right."""
    root = tmp_path_factory.mktemp("odd")
    (root / "labelmaps").mkdir()
    folder = root / "functions" / NAME
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "functions" / NAME / "main.py", folder)
    return root


def finding(root: Path, kind: str, text: str) -> Finding:
    for name, path in FILES.items():
        (root / path).write_text(text if name == kind else TEXTS[name], "utf-8", errors="surrogatepass")
    (found,) = check.check(root, [NAME], load_weights=False)
    return found


def test_the_files_as_they_are_have_no_fault(root: Path) -> None:
    assert finding(root, "", "").state == "missing"


@given(data_mutants())
@settings(max_examples=EXAMPLES, deadline=None)
def test_odd_values_end_in_findings(root: Path, mutant: tuple[str, str]) -> None:
    found = finding(root, *mutant)
    assert not found.text.startswith(check.UNFORESEEN), found.text


@given(text_mutants())
@settings(max_examples=EXAMPLES, deadline=None)
def test_odd_text_ends_in_findings(root: Path, mutant: tuple[str, str]) -> None:
    found = finding(root, *mutant)
    assert not found.text.startswith(check.UNFORESEEN), found.text


@pytest.mark.parametrize("scalar", SCALARS, ids=lambda scalar: repr(scalar[:20]))
@pytest.mark.parametrize("kind", sorted(TEXTS))
def test_an_odd_scalar_is_named_with_its_file(root: Path, kind: str, scalar: str) -> None:
    key = {"map": "port", "model.yaml": "tile"}.get(kind, "numWorkers")
    text = "\n".join(
        f"{line.partition(':')[0]}: {scalar}" if line.strip().startswith(f"{key}:") else line
        for line in TEXTS[kind].splitlines()
    )
    assert text != TEXTS[kind]
    found = finding(root, kind, text)
    assert (found.state, Path(FILES[kind]).name in found.text) == ("error", True), found.text


@pytest.mark.parametrize(
    ("kind", "old", "new", "said"),
    [
        ("function-gpu.yaml", "nvidia.com/gpu: 1", 'nvidia.com/gpu: "1"', "nvidia.com/gpu"),
        ("function.yaml", "maxRequestBodySize: 268435456", 'maxRequestBodySize: "268435456"', "maxRequestBodySize"),
        ("function.yaml", "eventTimeout: 120s", "eventTimeout: 120", "eventTimeout"),
        ("function.yaml", "maxRequestBodySize: 268435456", "maxRequestBodySize: .inf", "maxRequestBodySize"),
        ("function.yaml", "    - name: PCB_AOI_DEVICE\n      value: cpu", "    - value: cpu", "env"),
    ],
)
def test_a_value_of_another_type_is_named(root: Path, kind: str, old: str, new: str, said: str) -> None:
    assert old in TEXTS[kind]
    found = finding(root, kind, TEXTS[kind].replace(old, new))
    assert (found.state, said in found.text, kind in found.text) == ("error", True, True), found.text


def test_a_fault_that_nobody_foresaw_is_a_finding_too(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object) -> None:
        raise ZeroDivisionError("odd")

    monkeypatch.setattr("pcb_aoi.config.function_yaml.check", breaks)
    found = finding(root, "", "")
    assert (found.state, found.text) == ("error", f"{check.UNFORESEEN} ZeroDivisionError: odd")


VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda below: st.lists(below) | st.dictionaries(st.text(max_size=5), below),
)
METADATA = st.one_of(
    st.sampled_from(["[" * 100_000, "{" * 100_000, "1" * 10_000, "NaN", "null", '{"bright": 1e999}', "[[]]", '["x"]']),
    st.sampled_from(['{"bright": ' + "9" * 400 + "}", '{"bright": null}', '{"bright": [1]}', "(" * 5000, '"']),
    st.text(max_size=20),
    VALUES.map(repr),
)
KEYS = st.sampled_from(["joined", "names", "slugs", "copper", "imgsz", "tile", "task", "args", "version", "end2end"])


@given(st.dictionaries(KEYS, METADATA, max_size=4))
@settings(max_examples=EXAMPLES // 2, deadline=None)
def test_odd_metadata_of_weights_are_refused_or_read(
    tmp_path_factory: pytest.TempPathFactory, metadata: dict[str, str]
) -> None:
    folder = analytic.write_function(tmp_path_factory.mktemp("odd"))
    model = onnx.load(folder / "model.onnx")
    known = {prop.key: prop.value for prop in model.metadata_props}
    helper.set_model_props(model, known | metadata)
    with contextlib.suppress(PcbAoiError):
        load(folder, model.SerializeToString())


UNREADABLE = ["[" * 100_000, '{"a": ' + "9" * 400 + "}", "1", '{"a": null}', '{"a": -1}']


@pytest.mark.parametrize("joined", UNREADABLE, ids=lambda text: text[:8])
def test_metadata_that_cannot_be_read_are_said(joined: str) -> None:
    with pytest.raises(ModelError, match="joined"):
        chains.gaps({"joined": joined}, ["a"])


SHAPES: list[tuple[int, ...]] = [(), (1,), (1, 0, 0), (1, 1, 1, 1, 1, 1, 1), (0,)]
HEADS = ["pcb", "yolov8", "end2end", "yolov7", "efficientnms", "rtdetr", "yolox", "torchvision"]


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_outputs_of_odd_shapes_are_refused(tmp_path: Path, head: str, count: int, shape: tuple[int, ...]) -> None:
    folder = analytic.write_function(tmp_path / "odd")
    sides: list[str | int | None] = ["B", 64, 64, 3] if head == "pcb" else ["B", 3, 64, 64]
    kind = TensorProto.UINT8 if head == "pcb" else TensorProto.FLOAT
    values = [helper.make_tensor(f"c{i}", TensorProto.FLOAT, shape, [0.5] * math.prod(shape)) for i in range(count)]
    nodes = [helper.make_node("Constant", [], [f"o{i}"], value=value) for i, value in enumerate(values)]
    outputs = [helper.make_tensor_value_info(f"o{i}", TensorProto.FLOAT, list(shape)) for i in range(count)]
    graph = helper.make_graph(nodes, "odd", [helper.make_tensor_value_info("images", kind, sides)], outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, {"slugs": '["bright", "blue"]'})
    text = (folder / "model.yaml").read_text("utf-8")
    (folder / "model.yaml").write_text(text.replace("head: pcb", f"head: {head}"), "utf-8")
    with pytest.raises(ModelError):
        load(folder, model.SerializeToString())


def load(folder: Path, weights: bytes) -> Detector:
    """Load the folder with these weights."""
    (folder / "model.onnx").write_bytes(weights)
    model = folder / "model.yaml"
    lines = ["sha256: null" if line.startswith("sha256:") else line for line in model.read_text("utf-8").splitlines()]
    model.write_text("\n".join(lines), "utf-8")
    return Detector.load(folder)
