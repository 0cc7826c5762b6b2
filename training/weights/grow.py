"""Weights changed as a file: for other labels, and as the mean of two.

A label that the weights know keeps its outputs, a new one gets outputs that say nothing yet. The mean of weights before
and after fine-tuning keeps most of what either knows (Wortsman et al., CVPR 2022).
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray

from training.weights import model_file

SILENT = -6.0  # logit of a new label everywhere: a score of 0.0025, under all that is looked at


def to_labels(model: onnx.ModelProto, slugs: Sequence[str]) -> onnx.ModelProto:
    """A copy of a model for these labels, in this order; what it answers for those that it knows stays the same.

    Raises:
        ModelFileError: not a file by `python -m boards export`.
    """
    known = model_file.slugs(model)
    rows = [known.index(slug) if slug in known else -1 for slug in slugs]
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    weights = {
        name: _taken(value, rows, SILENT if name.endswith(".bias") else 0.0) if ".labels." in name else value
        for name, value in model_file.read_weights(model).items()
    }
    model_file.write_weights(copy, weights)
    slope, offset = model_file.read_calibration(model)
    for name, values, new in ((model_file.SLOPE, slope, 1.0), (model_file.OFFSET, offset, 0.0)):
        model_file.find(copy, name).CopyFrom(onnx.numpy_helper.from_array(_taken(values, rows, new), name))
    # The number of labels stands in the declared shapes, too: what is between is inferred anew.
    del copy.graph.value_info[:]
    for output in copy.graph.output:
        if output.name == "scores":
            output.type.tensor_type.shape.dim[-1].dim_value = len(slugs)
    model_file.update_metadata(copy, slugs=json.dumps(list(slugs)))
    return copy


def mixed(old: onnx.ModelProto, new: onnx.ModelProto, share: float) -> onnx.ModelProto:
    """A copy of `new` with `share` of its weights and the rest of `old`'s; nets and labels are the same."""
    copy = onnx.ModelProto()
    copy.CopyFrom(new)
    before, after = model_file.read_weights(old), model_file.read_weights(new)
    means = {name: np.asarray((1 - share) * before[name] + share * after[name], np.float32) for name in after}
    model_file.write_weights(copy, means)
    return copy


def _taken(values: NDArray[np.float32], rows: Sequence[int], new: float) -> NDArray[np.float32]:
    """(K, ...) -> (len(rows), ...): the rows named, `new` where the row is -1."""
    taken = values[[max(row, 0) for row in rows]]
    taken[[row < 0 for row in rows]] = new
    return np.asarray(taken, np.float32)
