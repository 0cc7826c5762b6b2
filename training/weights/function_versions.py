"""The versions of a function's weights, and the fine-tuned ones put in place of those in use."""

from __future__ import annotations

import re
from pathlib import Path

import onnx

from pcb_aoi.config import previous
from pcb_aoi.config.model_config import ModelConfig
from training.weights import model_file


def next_version(folder: Path) -> str:
    """The version after the newest of the two, for example 0.3.1 after 0.3.0: no version names two files."""
    files = [place / "model.yaml" for place in (folder, previous.previous_folder(folder))]
    versions = [ModelConfig.load(path).version for path in files if path.is_file()]
    newest = max(versions, key=numbers)
    match = re.fullmatch(r"(.*?)(\d+)", newest)
    return f"{match[1]}{int(match[2]) + 1}" if match else f"{newest}.1"


def numbers(version: str) -> list[int]:
    """To sort by: 0.10.0 is newer than 0.9.0."""
    return [int(part) for part in re.findall(r"\d+", version)]


def install(model: onnx.ModelProto, folder: Path) -> str:
    """Make a model the function's, keeping the one before; returns its SHA-256."""
    config = ModelConfig.load(folder / "model.yaml")
    previous.keep(folder)
    digest = model_file.save(model, folder / config.weights)
    model_file.announce(folder / config.weights, digest, model_file.metadata(model)["version"])
    previous.drop_twin(folder, config)
    return digest
