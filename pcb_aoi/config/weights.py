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
    path = folder / config.weights
    if config.sha256 is None or not path.is_file():
        raise MissingWeights(f"{config.model} has no weights yet", detail=f"{path} with its sha256 in model.yaml")
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != config.sha256:
        raise ModelError(
            f"{config.model}: {config.weights} is not the file that model.yaml names (SHA-256 differs)",
            detail=f"{path}: expected {config.sha256}, found {found}; restore the file or update model.yaml",
        )
    return data
