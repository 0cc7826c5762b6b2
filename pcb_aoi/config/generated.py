"""What follows from a labelmap in the function's folder: the texts that `pcb-aoi sync` writes and `check` compares.

Generated parts: the `spec` annotation in both function files, their `name` and `description`, the version in the tags
of their images, and in model.yaml how CVAT is to see the labels: `language`, `names`, `score`, and the names and types
in `labels`. Which labels stand there, and in what order, is the weights' affair: sync adds none and drops none. The
rest of these files belongs to whoever deploys and is left as it is, comments included, which is why they are edited as
text.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from pcb_aoi import __version__
from pcb_aoi.config import model_edit
from pcb_aoi.config.labelmap import Labelmap
from pcb_aoi.config.model_config import ModelConfig
from pcb_aoi.config.yaml_file import scalar
from pcb_aoi.errors import ConfigError

FUNCTION_FILES = ("function.yaml", "function-gpu.yaml")


@dataclass(frozen=True)
class Choices:
    """How CVAT is to see the labels; None keeps what model.yaml says."""

    language: str | None = None
    """`zh` or `en`."""
    words: str | None = None
    """`factory` or `general`: see labelmap.WORDS."""
    score: bool | None = None
    """Whether every label has the attribute that shows the score."""


KEEP = Choices()


def offered(labelmap: Labelmap, config: ModelConfig) -> Labelmap:
    """Return the labels that CVAT is offered: the weights can answer them, and nobody has left them out.

    Raises:
        ConfigError: the labelmap lacks one of them.
    """
    slugs = (slug for slug, offer in zip(config.slugs, config.offered, strict=True) if offer)
    return labelmap.worded(config.words).only(slugs)


def without_weights(labelmap: Labelmap, config: ModelConfig) -> list[str]:
    """Return the names of the labels that no output of the weights stands behind, in the configured language."""
    labels = labelmap.worded(config.words).labels
    return [label.name.get(config.language) for label in labels if label.slug not in config.slugs]


def contents(folder: Path, labelmap: Labelmap, choices: Choices = KEEP) -> dict[Path, str]:
    """Return the content that each generated file of a function folder should have.

    Args:
        folder: functions/<name>.
        labelmap: what the function is called and may detect.
        choices: what to change.

    Raises:
        ConfigError: a file is missing or has no place for the generated part, or the labelmap lacks a label that the
            weights answer.
    """
    model = folder / "model.yaml"
    config = ModelConfig.load(model)
    language, words = choices.language or config.language, choices.words or config.words
    score = config.score if choices.score is None else choices.score
    labelmap = labelmap.worded(words)
    hidden = {slug for slug, offer in zip(config.slugs, config.offered, strict=True) if not offer}
    try:
        text = model_edit.put(model.read_text("utf-8"), {"language": language})
        # What is as by default need not be said.
        text = model_edit.put_optional(text, "names", words if words != "factory" else None)
        text = model_edit.put_optional(text, "score", "true" if score else None)
        result = {model: model_edit.put_labels(text, labelmap.only(config.slugs).labels, hidden)}
    except ConfigError as error:
        raise ConfigError(f"{model}: {error}") from None
    shown = labelmap.only(slug for slug in config.slugs if slug not in hidden)
    # One line of JSON a label: a change of one label is a change of one line.
    lines = (json.dumps(label, ensure_ascii=False) for label in shown.cvat_spec(language, score))
    spec = ",\n".join(f"        {line}" for line in lines)
    for name in FUNCTION_FILES:
        path = folder / name
        if not path.is_file():
            raise ConfigError(f"{path}: file is missing")
        text = path.read_text("utf-8")
        text = _replace(path, text, r"^    name: .*$", f"    name: {scalar(labelmap.name.get(language))}")
        text = _replace(
            path, text, r"^  description: .*$", f"  description: {scalar(labelmap.description.get(language))}"
        )
        # Images of another name are the deployer's own.
        text = re.sub(r"(?m)^(    (?:image|baseImage): pcb-aoi-[\w-]+:)[\d.]+(?=-)", rf"\g<1>{__version__}", text)
        result[path] = _replace(
            path, text, r"^    spec: \|\n(?:      .*\n)+", f"    spec: |\n      [\n{spec}\n      ]\n"
        )
    return result


def write(folder: Path, labelmap: Labelmap, choices: Choices = KEEP) -> list[Path]:
    """Write what differs from `contents`, and return those files.

    Raises:
        ConfigError: see contents.
    """
    changed = [
        (path, text) for path, text in contents(folder, labelmap, choices).items() if path.read_text("utf-8") != text
    ]
    for path, text in changed:
        path.write_text(text, "utf-8")
    return [path for path, _ in changed]


def _replace(path: Path, text: str, pattern: str, new: str) -> str:
    result, count = re.subn(pattern, lambda _: new, text, count=1, flags=re.MULTILINE)
    if not count:
        raise ConfigError(f"{path}: found no place for {new.splitlines()[0]!r}")
    return result
