"""The weights and model.yaml of a function before those in use, in functions/previous/<function>/.

They lie beside the function folders, not in one: nuclio puts all of a function folder into its image, and the
fingerprint by which deploy.sh knows what has changed covers all of it.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from pcb_aoi.config import generated, model_edit
from pcb_aoi.config.labelmap import Labelmap
from pcb_aoi.config.model_config import ModelConfig
from pcb_aoi.config.weights import twin_name
from pcb_aoi.errors import ConfigError


class VersionError(ConfigError):
    """There is nothing to go back to, or what is there does not fit together."""


def previous_folder(folder: Path) -> Path:
    """Where the weights before those of a function folder are kept."""
    return folder.parent / "previous" / folder.name


def files(config: ModelConfig) -> tuple[str, ...]:
    """Return the names of what makes a version: model.yaml, the weights, and their int8 twin where there is one."""
    twin = (twin_name(config.weights),) if config.int8 is not None else ()
    return ("model.yaml", config.weights, *twin)


def drop_twin(folder: Path, kept: ModelConfig) -> None:
    """Remove the int8 twin of the weights that were kept, once others are in their place: it would only be deployed."""
    if kept.int8 is not None:
        (folder / twin_name(kept.weights)).unlink(missing_ok=True)


def keep(folder: Path) -> None:
    """Copy the function's weights, where it has any, and model.yaml to where `swap` finds them."""
    kept, config = previous_folder(folder), ModelConfig.load(folder / "model.yaml")
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    for name in files(config):
        if (folder / name).is_file():
            shutil.copy2(folder / name, kept / name)


def swap(folder: Path) -> tuple[str, str]:
    """Swap the function's weights and model.yaml with the ones before -> (version left, version in use since).

    What CVAT is shown in stays as it is, language and words. Other weights may answer other labels: function.yaml is
    written for those in use since.

    Raises:
        VersionError: nothing is kept, or not whole.
    """
    kept = previous_folder(folder)
    if not (kept / "model.yaml").is_file():
        raise VersionError(f"{folder.name} 没有旧版本 / has no version before this one: there is no {kept}")
    old, new = ModelConfig.load(kept / "model.yaml"), ModelConfig.load(folder / "model.yaml")
    for place, config in ((kept, old), (folder, new)):
        missing = [name for name in files(config)[1:] if not (place / name).is_file()]
        if config.sha256 is not None and missing:
            raise VersionError(f"{place / missing[0]} is missing")
    aside = kept.with_name(f".{kept.name}.swap")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    for source, target, moved in ((folder, aside, new), (kept, folder, old), (aside, kept, new)):
        for name in files(moved):
            if (source / name).is_file():
                (source / name).replace(target / name)
    aside.rmdir()
    text = (folder / "model.yaml").read_text("utf-8")
    text = model_edit.put(text, {"language": new.language})
    (folder / "model.yaml").write_text(text, "utf-8")
    labelmap = folder.parents[1] / "labelmaps" / f"{folder.name}.yaml"
    if labelmap.is_file():  # a function folder alone has nothing to be generated
        generated.write(folder, Labelmap.load(labelmap), generated.Choices(new.language, new.words, new.score))
    return new.version, old.version
