"""functions/<name>/model.yaml: which weights a function runs, how they are fed, and what their classes are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from pcb_aoi.config import thresholds, yaml_file
from pcb_aoi.config.classes import DROP
from pcb_aoi.config.labelmap import LANGUAGES, TYPES, WORDS
from pcb_aoi.engine import heads
from pcb_aoi.errors import ConfigError

FRAMES = ("tiles", "whole")
OFF = 0.15
"""Of the native pitch: from there on, an image is scaled to it."""


@dataclass(frozen=True)
class Pitch:
    """The pixel pitches (um per pixel) that a model was trained for."""

    native: float
    min: float
    max: float

    def scale(self, um_per_px: float | None) -> float:
        """Return model pixels per image pixel.

        A pitch within OFF of the native one is taken as it is (resampling only loses detail there); one further off
        is brought to it. None, an unknown pitch, scales nothing.
        """
        if um_per_px is None or 1 - OFF <= um_per_px / self.native <= 1 + OFF:
            return 1.0
        return um_per_px / self.native


@dataclass(frozen=True)
class ModelConfig:
    """The content of one model.yaml; `slugs` and `names` are what the weights can answer, in class order."""

    model: str
    version: str
    weights: str
    sha256: str | None
    head: str
    tile: int
    overlap: int
    pitch: Pitch
    threshold: float
    language: str
    slugs: tuple[str, ...]
    names: tuple[str, ...]
    """What the labels are called towards CVAT, in the configured language."""
    spellings: tuple[tuple[str, ...], ...]
    """Per label: slug, Chinese and English."""
    types: tuple[str, ...]
    """Per label: the shape it is answered in, one of TYPES."""
    offered: tuple[bool, ...]
    """Per label: whether CVAT is offered it and answered with it; `offer: false` in model.yaml leaves one out."""
    words: str = WORDS[0]
    """Which Chinese names the labels have: see labelmap.WORDS."""
    score: bool = False
    """Whether the score is answered as an attribute, in whole percent."""
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """Slug -> score from which that label counts, whatever lower one is asked for."""
    exclusive: tuple[tuple[int, ...], ...] = ()
    """Groups of labels of which one object can only be one: of two boxes at one place the surer is answered."""
    classes: Mapping[int | str, str] | None = None
    """Number or name of a class of the weights -> slug, or DROP; None: the weights' classes are the labels."""
    frame: str = "tiles"
    """`tiles`: cut at the model's scale; `whole`: the whole picture brought to one tile."""
    fixed_scale: float | None = None
    """Model pixels per image pixel, whatever the pitch."""

    def scale(self, um_per_px: float | None) -> float:
        """Return model pixels per image pixel of tiles; `um_per_px` is the picture's pitch, None: unknown."""
        return self.pitch.scale(um_per_px) if self.fixed_scale is None else self.fixed_scale

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read one model.yaml.

        Raises:
            ConfigError: a key is missing, unknown, of the wrong type or out of range; names file and key.
        """
        keys = {"model", "version", "weights", "sha256", "head", "tile", "overlap", "um_per_px", "threshold"}
        data = yaml_file.check_keys(
            str(path),
            yaml_file.load(path),
            keys | {"language", "labels"},
            optional={"exclusive", "classes", "frame", "scale", "names", "score", "thresholds"},
        )
        sha256 = data["sha256"]
        if sha256 is not None and not re.fullmatch(r"[0-9a-f]{64}", str(sha256)):
            raise ConfigError(f"{path}: sha256 must be 64 lower-case hex digits or null, got {sha256!r}")
        weights = yaml_file.text(f"{path}: weights", data["weights"])
        if Path(weights).name != weights:
            raise ConfigError(f"{path}: weights must be a file in the function folder, got {weights!r}")
        language = yaml_file.choice(f"{path}: language", data["language"], LANGUAGES)
        tile = yaml_file.integer(f"{path}: tile", data["tile"], 32, 4096)
        if tile % 32:
            raise ConfigError(f"{path}: tile must be a multiple of 32, the coarsest stride; got {tile}")
        pitch = yaml_file.check_keys(f"{path}: um_per_px", data["um_per_px"], {"native", "min", "max"})
        low, native, high = (
            yaml_file.number(f"{path}: um_per_px: {key}", pitch[key], 0.1, 1000) for key in ("min", "native", "max")
        )
        if not low <= native <= high:
            raise ConfigError(f"{path}: um_per_px must hold min <= native <= max")
        labels = data["labels"]
        if not isinstance(labels, list) or not labels:
            raise ConfigError(f"{path}: labels must be a list of at least one label")
        for i, label in enumerate(labels):
            yaml_file.check_keys(f"{path}: label {i}", label, {"slug", *LANGUAGES}, {"type", "offer"})
            for key in ("slug", *LANGUAGES):
                yaml_file.text(f"{path}: label {i}: {key}", label[key])
        types = tuple(yaml_file.choice(f"{path}: type", label.get("type", TYPES[0]), TYPES) for label in labels)
        slugs, names = ([label[key] for label in labels] for key in ("slug", language))
        yaml_file.unique(f"{path}: slug", slugs)
        yaml_file.unique(f"{path}: {language}", names)
        spellings = tuple((label["slug"], label["zh"], label["en"]) for label in labels)
        exclusive = _exclusive(f"{path}: exclusive", data.get("exclusive", []), slugs)
        return cls(
            model=yaml_file.text(f"{path}: model", data["model"]),
            version=yaml_file.text(f"{path}: version", data["version"]),
            weights=weights,
            sha256=sha256,
            head=yaml_file.choice(f"{path}: head", data["head"], heads.NAMES),
            tile=tile,
            # At least one pixel of stride must stay; half a tile is already four times the work.
            overlap=yaml_file.integer(f"{path}: overlap", data["overlap"], 0, tile // 2),
            pitch=Pitch(native, low, high),
            threshold=yaml_file.number(f"{path}: threshold", data["threshold"], 0, 1),
            language=language,
            slugs=tuple(slugs),
            names=tuple(names),
            spellings=spellings,
            types=types,
            offered=tuple(yaml_file.flag(f"{path}: offer", label.get("offer", True)) for label in labels),
            words=yaml_file.choice(f"{path}: names", data.get("names", WORDS[0]), WORDS),
            score=yaml_file.flag(f"{path}: score", data.get("score", False)),
            thresholds=thresholds.by_slug(f"{path}: thresholds", data.get("thresholds", {}), spellings),
            exclusive=exclusive,
            classes=_classes(f"{path}: classes", data["classes"], slugs) if "classes" in data else None,
            frame=yaml_file.choice(f"{path}: frame", data.get("frame", "tiles"), FRAMES),
            fixed_scale=yaml_file.number(f"{path}: scale", data["scale"], 0.05, 20) if "scale" in data else None,
        )


def _classes(where: str, data: object, slugs: list[str]) -> dict[int | str, str]:
    if not isinstance(data, dict) or not data:
        raise ConfigError(f'{where} must map classes of the weights (number or name) to slugs or "{DROP}"')
    for key, slug in data.items():
        if isinstance(key, bool) or not isinstance(key, int | str) or (isinstance(key, int) and not 0 <= key < 10_000):
            raise ConfigError(f"{where}: a key must be a class's number or its name in quotes, got {key!r}")
        if slug not in (*slugs, DROP):
            raise ConfigError(f'{where}: {key!r}: {slug!r} is none of the labels {", ".join(slugs)}, nor "{DROP}"')
    return data


def _exclusive(where: str, groups: object, slugs: list[str]) -> tuple[tuple[int, ...], ...]:
    if not isinstance(groups, list) or not all(isinstance(group, list) and len(group) > 1 for group in groups):
        raise ConfigError(f"{where} must be a list of lists of at least two slugs")
    for slug in (slug for group in groups for slug in group):
        if slug not in slugs:
            raise ConfigError(f"{where}: {slug!r} is none of the labels {', '.join(slugs)}")
    return tuple(tuple(slugs.index(slug) for slug in group) for group in groups)
