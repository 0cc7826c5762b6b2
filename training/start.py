"""What fine-tuning starts from: the weights in use, made ready for the labelmap, and boards that they know."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import onnx

from pcb_aoi.config import model_edit, previous, weights
from pcb_aoi.config.labelmap import Labelmap
from pcb_aoi.config.model_config import ModelConfig
from training.annotated.annotations import Report, decode_entry, index
from training.annotated.label_names import Names
from training.data.scene import Scene
from training.weights import grow, model_file


@dataclass(frozen=True)
class Start:
    """What fine-tuning starts from: the weights in use, made ready for the labelmap's labels."""

    folder: Path
    labelmap: Labelmap
    content: bytes  # of the weights in use
    model: onnx.ModelProto
    config: ModelConfig
    known: tuple[int, ...]  # labels that the weights knew already

    @classmethod
    def load(cls, root: Path, function: str, out: Path) -> Start:
        """Read function and labelmap; `out` gets a model.yaml with the labelmap's labels.

        Raises:
            VersionError: the weights are not this project's.
            ConfigError, MissingWeights, ModelFileError: a file is missing or wrong.
        """
        folder, labelmap = root / "functions" / function, Labelmap.load(root / "labelmaps" / f"{function}.yaml")
        config = ModelConfig.load(folder / "model.yaml")
        if config.head != "pcb":
            raise previous.VersionError(f"{folder}: head {config.head}: only weights of this project can be fine-tuned")
        content = weights.read(folder, config)
        old = onnx.load_from_string(content)
        text = model_edit.put_labels((folder / "model.yaml").read_text("utf-8"), labelmap.labels)
        (out / "model.yaml").write_text(text, "utf-8")
        config = ModelConfig.load(out / "model.yaml")
        had = model_file.slugs(old)
        known = tuple(number for number, slug in enumerate(config.slugs) if slug in had)
        return cls(folder, labelmap, content, grow.to_labels(old, config.slugs), config, known)

    @property
    def changed(self) -> list[str]:
        """Labels that come or go, with their sign."""
        had = model_file.slugs(onnx.load_from_string(self.content))
        new = [f"+{slug}" for slug in self.config.slugs if slug not in had]
        return new + [f"-{slug}" for slug in had if slug not in self.config.slugs]


def replayed(start: Start, path: Path, subset: str) -> list[Scene]:
    """Boards that the weights know, `train` or `known`; of new labels they teach nothing. None without the file."""
    if not path.is_file():
        return []
    entries = index([path], Names.of(start.labelmap), subset=subset)
    return [replace(decode_entry(entry, Report()), taught=start.known) for entry in entries]
