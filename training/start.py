"""What fine-tuning starts from: the weights in use, made ready for the labelmap, and boards that they know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import onnx

from pcb_aoi.config import generated, model_edit, previous, weights
from pcb_aoi.config.labelmap import Labelmap
from pcb_aoi.config.model_config import ModelConfig
from pcb_aoi.exports.annotations import Report, decode_entry, index
from pcb_aoi.exports.label_names import Names
from pcb_aoi.exports.scene import Scene
from training.weights import function_versions, grow, model_file


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
    def load(cls, root: Path, function: str, out: Path, new: Sequence[str] = ()) -> Start:
        """Read function and labelmap, and add the labels `new`; `out` gets the model.yaml of all of them.

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
        had = tuple(model_file.slugs(old))
        if had != config.slugs:
            raise previous.VersionError(f"{folder}: the labels of the weights are not those of model.yaml")
        labelmap = labelmap.worded(config.words).only([*had, *new])
        hidden = {slug for slug, offer in zip(had, config.offered, strict=True) if not offer}
        text = model_edit.put_labels((folder / "model.yaml").read_text("utf-8"), labelmap.labels, hidden)
        (out / "model.yaml").write_text(text, "utf-8")
        config = ModelConfig.load(out / "model.yaml")
        return cls(folder, labelmap, content, grow.to_labels(old, config.slugs), config, tuple(range(len(had))))

    def install(self, model: onnx.ModelProto, labelmap: Path) -> str:
        """Make a model the function's, with what follows from its labels; returns its SHA-256."""
        digest = function_versions.install(model, self.folder)
        if len(self.known) < len(self.config.slugs):
            path, own = self.folder / "model.yaml", (self.config.slugs, self.config.offered)
            hidden = {slug for slug, offer in zip(*own, strict=True) if not offer}
            path.write_text(model_edit.put_labels(path.read_text("utf-8"), self.labelmap.labels, hidden), "utf-8")
            generated.write(self.folder, Labelmap.load(labelmap))
        return digest


def replayed(start: Start, path: Path, subset: str) -> list[Scene]:
    """Boards that the weights know, `train` or `known`; of new labels they teach nothing. None without the file."""
    if not path.is_file():
        return []
    entries = index([path], Names.of(start.labelmap), subset=subset)
    return [replace(decode_entry(entry, Report()), taught=start.known) for entry in entries]
