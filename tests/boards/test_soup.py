"""soup: the mean of weights by their shares, and of what they learnt nothing is forgotten."""

import argparse
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from boards import soup
from training.weights import model_file
from training.weights.model_file import ModelFileError


def file(path: Path, value: float, width: int = 3, **metadata: str) -> Path:
    """A graph of an export's names: two labels, one tensor that is kept once and pointed to twice."""
    tensors = {
        "detector.stem.weight": np.full(width, value, np.float32),
        "detector.head8.labels.bias": np.full(2, value, np.float32),
        model_file.SLOPE: np.full(2, 2 * value, np.float32),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Identity", ["detector.stem.weight"], ["detector.neck.weight"]),
            helper.make_node("Add", ["detector.stem.weight", "detector.neck.weight"], ["sum"]),
        ],
        "net",
        [],
        [helper.make_tensor_value_info("sum", TensorProto.FLOAT, [width])],
        [numpy_helper.from_array(array, name) for name, array in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    given = {"slugs": '["a", "b"]', "version": "1", "joined": '["b"]', "copper": "bright", "provenance": "one."}
    helper.set_model_props(model, given | metadata)
    model_file.save(model, path)
    return path


def test_weights_are_averaged_by_their_shares_and_the_rest_is_the_firsts(tmp_path: Path) -> None:
    one = file(tmp_path / "a.onnx", 1.0, version="3")
    other = file(tmp_path / "b.onnx", 5.0, version="10")
    mean = soup.average([soup.parse(f"{one}=3"), soup.parse(str(other))])
    assert {name: value.tolist() for name, value in model_file.read_weights(mean).items()} == {
        "stem.weight": [2.0, 2.0, 2.0],
        "neck.weight": [2.0, 2.0, 2.0],
        "head8.labels.bias": [2.0, 2.0],
    }
    assert numpy_helper.to_array(model_file.find(mean, model_file.SLOPE)).tolist() == [2.0, 2.0]
    assert model_file.metadata(mean)["version"] == "10"
    onnx.checker.check_model(mean, full_check=True)


def test_tensors_that_were_equal_in_one_file_alone_are_told_apart(tmp_path: Path) -> None:
    one, other = file(tmp_path / "a.onnx", 1.0), file(tmp_path / "b.onnx", 1.0)
    model = onnx.load(other)
    weights = model_file.read_weights(model)
    model_file.write_weights(model, weights | {"neck.weight": np.full(3, 9.0, np.float32)})
    model_file.save(model, other)
    for parts in ([one, other], [other, one]):
        mean = model_file.read_weights(soup.average([(part, 1.0) for part in parts]))
        assert mean["stem.weight"].tolist() == [1.0, 1.0, 1.0]
        assert mean["neck.weight"].tolist() == [5.0, 5.0, 5.0]


def test_a_label_that_one_learnt_in_pieces_keeps_its_outputs(tmp_path: Path) -> None:
    one, other = file(tmp_path / "a.onnx", 1.0, joined='{"b": 40.0}'), file(tmp_path / "b.onnx", 5.0, joined="[]")
    mean = soup.average([(one, 1.0), (other, 1.0)])
    assert model_file.read_weights(mean)["head8.labels.bias"].tolist() == [3.0, 1.0]
    assert json.loads(model_file.metadata(mean)["joined"]) == {"b": 40.0}


def test_the_mean_has_learnt_what_all_have_and_says_it_once(tmp_path: Path) -> None:
    texts = ("New. Before that: Old. Before that: Oldest.", "Other.", "Old. Before that: Oldest.")
    files = [file(tmp_path / f"{text[:3]}.onnx", 1.0, provenance=text) for text in texts]
    mean = soup.average([(path, 1.0) for path in files])
    assert model_file.metadata(mean)["provenance"] == "New. Other. Old. Before that: Oldest."


def test_what_cannot_be_averaged_is_refused(tmp_path: Path) -> None:
    one = file(tmp_path / "a.onnx", 1.0)
    for wrong, message in (
        (file(tmp_path / "b.onnx", 1.0, slugs='["a", "c"]'), "different labels"),
        (file(tmp_path / "c.onnx", 1.0, copper="dark"), "copper is bright"),
        (file(tmp_path / "d.onnx", 1.0, width=4), "different nets"),
    ):
        with pytest.raises(ModelFileError, match=message):
            soup.average([(one, 1.0), (wrong, 1.0)])
    with pytest.raises(ModelFileError, match="positive"):
        soup.average([(one, 1.0), (one, -1.0)])
    with pytest.raises(argparse.ArgumentTypeError, match=r"MODEL\.ONNX=SHARE"):
        soup.parse("a.onnx=much")


def test_the_command_writes_the_mean_and_its_version(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other, out = file(tmp_path / "a.onnx", 1.0), file(tmp_path / "b.onnx", 3.0), tmp_path / "mean.onnx"
    parser = argparse.ArgumentParser()
    soup.add_arguments(parser)
    assert soup.run(parser.parse_args([f"{one}=1", f"{other}=1", "--out", str(out), "--version", "2.0.0"])) == 0
    written = onnx.load(out)
    assert model_file.read_weights(written)["stem.weight"].tolist() == [2.0, 2.0, 2.0]
    assert model_file.metadata(written)["version"] == "2.0.0"
    assert "calibrate" in capsys.readouterr().out
