"""The weights of a function folder and the ones before them, which lie in functions/previous/<function>/.

They lie beside the function folders, not in one: nuclio puts all of a function folder into its image, and the
fingerprint by which deploy.sh knows what has changed covers all of it.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import onnx

from pcb_aoi.config import model_edit
from pcb_aoi.config.model_config import ModelConfig
from training.weights import model_file


class VersionError(ValueError):
    """There is nothing to go back to, or what is there does not fit together."""


def previous_folder(folder: Path) -> Path:
    """Where the weights before those of a function folder are kept."""
    return folder.parent / "previous" / folder.name


def next_version(folder: Path) -> str:
    """The version after the newest of the two, for example 0.3.1 after 0.3.0: no version names two files."""
    files = [place / "model.yaml" for place in (folder, previous_folder(folder))]
    versions = [ModelConfig.load(path).version for path in files if path.is_file()]
    newest = max(versions, key=_numbers)
    match = re.fullmatch(r"(.*?)(\d+)", newest)
    return f"{match[1]}{int(match[2]) + 1}" if match else f"{newest}.1"


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)]


def install(model: onnx.ModelProto, folder: Path) -> str:
    """Make a model the function's, keeping the one before; returns its SHA-256."""
    config = ModelConfig.load(folder / "model.yaml")
    kept = previous_folder(folder)
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    for name in (config.weights, "model.yaml"):
        shutil.copy2(folder / name, kept / name)
    digest = model_file.save(model, folder / config.weights)
    model_file.announce(folder / config.weights, digest, model_file.metadata(model)["version"])
    return digest


def roll_back(folder: Path) -> tuple[str, str]:
    """Swap the function's weights and model.yaml with the ones before -> (version left, version now in use).

    The language stays as it is: function.yaml is not swapped, and the two must agree.

    Raises:
        VersionError: nothing is kept, or not whole.
    """
    kept = previous_folder(folder)
    if not (kept / "model.yaml").is_file():
        raise VersionError(f"{folder.name} 没有旧版本 / has no version before this one: there is no {kept}")
    old, new = ModelConfig.load(kept / "model.yaml"), ModelConfig.load(folder / "model.yaml")
    for place, config in ((kept, old), (folder, new)):
        if not (place / config.weights).is_file():
            raise VersionError(f"{place / config.weights} is missing")
    aside = kept.with_name(f".{kept.name}.swap")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    for name in (new.weights, "model.yaml"):
        (folder / name).replace(aside / name)
    for name in (old.weights, "model.yaml"):
        (kept / name).replace(folder / name)
    for name in (new.weights, "model.yaml"):
        (aside / name).replace(kept / name)
    aside.rmdir()
    text = (folder / "model.yaml").read_text("utf-8")
    text = model_edit.put(text, {"language": new.language})
    (folder / "model.yaml").write_text(text, "utf-8")
    return new.version, old.version
