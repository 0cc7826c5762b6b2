"""Weights from disk: the bytes that were hashed are the bytes that are loaded, and their classes are the labels."""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Mapping
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


def check_classes(metadata: Mapping[str, str], config: ModelConfig) -> None:
    """Compare the class names inside the model file, where it carries any, with the labels, in order.

    Reads `slugs` (this project, JSON) or `names` (Ultralytics, the text of a Python dict). A class may be called by
    its slug, its Chinese or its English name. A silent shift of classes is the worst fault an annotator can meet.

    Raises:
        ModelError: another number of classes, or another name at some position.
    """
    classes = _class_names(metadata)
    if classes is None:
        return
    if len(classes) != len(config.slugs):
        raise ModelError(f"{config.model}: the weights have {len(classes)} classes, model.yaml {len(config.slugs)}")
    for i, (name, allowed) in enumerate(zip(classes, config.spellings, strict=True)):
        if name.strip().casefold() not in {spelling.casefold() for spelling in allowed}:
            raise ModelError(
                f"{config.model}: class {i} of the weights is {name!r}, in model.yaml it is {config.slugs[i]!r}"
            )


def _class_names(metadata: Mapping[str, str]) -> list[str] | None:
    try:
        if "slugs" in metadata:
            return [str(name) for name in json.loads(metadata["slugs"])]
        if "names" in metadata:
            # literal_eval reads constants only: a model file must not be able to run code.
            names = ast.literal_eval(metadata["names"])
            return [str(names[i]) for i in sorted(names)] if isinstance(names, dict) else [str(n) for n in names]
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise ModelError("the class names in the weights' metadata cannot be read", detail=str(error)) from error
    return None
