"""FLOPs and parameters of tests/speed are counted right: on a stack of convolutions they are known."""

import pytest

pytest.importorskip("onnx", reason="needs onnx")
pytest.importorskip("onnxruntime", reason="needs onnxruntime")

from speed import network


def test_a_stack_of_convolutions_has_the_flops_it_was_built_for() -> None:
    model = network.stack(3)
    assert network.parameters(model) == 3 * 64 * 64 * 9
    assert network.flops(model, 1, 64, 80, 80) == 3 * 2 * 64 * 64 * 9 * 80 * 80
