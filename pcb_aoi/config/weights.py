"""Weights from disk: the bytes that were hashed are the bytes that are loaded."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pcb_aoi.config.model_config import ModelConfig
from pcb_aoi.errors import MissingWeights, ModelError


def read(folder: Path, config: ModelConfig) -> bytes:
    """Return the model file of a function folder.

    Raises:
        MissingWeights: model.yaml names no hash or the file is not there.
        ModelError: the file's SHA-256 is not the one in model.yaml.
    """
    return _read(folder / config.weights, config.sha256, config.model)


def read_twin(folder: Path, config: ModelConfig) -> bytes:
    """Return the int8 twin of a function's weights.

    Raises:
        MissingWeights, ModelError: as `read`.
    """
    return _read(folder / twin_name(config.weights), config.int8, config.model)


def twin_name(weights: str) -> str:
    """Return the file name of the int8 twin of a file of weights."""
    return f"{weights.removesuffix('.onnx')}-int8.onnx"


def _read(path: Path, sha256: str | None, model: str) -> bytes:
    if sha256 is None or not path.is_file():
        raise MissingWeights(f"{model} has no weights yet", detail=f"{path} with its sha256 in model.yaml")
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise ModelError(
            f"{model}: {path.name} is not the file that model.yaml names (SHA-256 differs)",
            detail=f"{path}: expected {sha256}, found {found}; restore the file or update model.yaml",
        )
    return data
