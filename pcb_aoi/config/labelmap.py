"""labelmaps/<function>.yaml: the one source of what each model is called and which labels it has."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from pcb_aoi.config import yaml_file
from pcb_aoi.errors import ConfigError

LANGUAGES = ("zh", "en")

TYPES = ("rectangle", "polygon")
"""What a label is answered as. CVAT offers a rectangle label of a model for task labels of type rectangle and any, a
polygon label for polygon, mask and any. `any` is no type of a model's label: CVAT 2.15 would match it to nothing else.
"""

WORDS = ("factory", "general")
"""Which Chinese name a label is offered under: the factory's, or the general word where it has one."""

# What the score attribute is called. CVAT's automatic annotation stores no score: an attribute shows it.
CONFIDENCE = {"zh": "置信度", "en": "confidence"}


@dataclass(frozen=True)
class Text:
    """One text in both languages."""

    zh: str
    en: str

    @classmethod
    def from_mapping(cls, where: str, data: object) -> Self:
        """Raise ConfigError unless `data` is {zh: text, en: text}."""
        data = yaml_file.check_keys(where, data, set(LANGUAGES))
        return cls(*(yaml_file.text(f"{where}: {language}", data[language]) for language in LANGUAGES))

    def get(self, language: str) -> str:
        """Return the text in `zh` or `en`."""
        return self.en if language == "en" else self.zh


@dataclass(frozen=True)
class Label:
    """One defect label. Which of a map's labels some weights can answer, model.yaml says."""

    slug: str
    name: Text
    color: str
    aliases: tuple[str, ...]
    definition: Text
    type: str = TYPES[0]
    general: str | None = None
    """The general Chinese word, where the factory has one of its own."""

    @classmethod
    def from_mapping(cls, where: str, data: object) -> Self:
        """Raise ConfigError when a key is missing, unknown or malformed."""
        keys = {"slug", "zh", "en", "color", "aliases", "definition"}
        data = yaml_file.check_keys(where, data, keys, {"type", "general"})
        slug = yaml_file.text(f"{where}: slug", data["slug"])
        where = f"{where} ({slug})"
        if not re.fullmatch(r"[a-z][a-z0-9_]*", slug):
            raise ConfigError(f"{where}: slug must be lower-case words joined by '_'")
        color = yaml_file.text(f"{where}: color", data["color"])
        if not re.fullmatch(r"#[0-9a-f]{6}", color):
            raise ConfigError(f"{where}: color must look like '#rrggbb', got {color!r}")
        if not isinstance(data["aliases"], list):
            raise ConfigError(f"{where}: aliases must be a list")
        return cls(
            slug=slug,
            name=Text.from_mapping(where, {language: data[language] for language in LANGUAGES}),
            color=color,
            aliases=tuple(yaml_file.text(f"{where}: aliases", alias) for alias in data["aliases"]),
            definition=Text.from_mapping(f"{where}: definition", data["definition"]),
            type=yaml_file.choice(f"{where}: type", data.get("type", TYPES[0]), TYPES),
            general=yaml_file.text(f"{where}: general", data["general"]) if "general" in data else None,
        )


@dataclass(frozen=True)
class Labelmap:
    """One model's identity towards CVAT, and the labels that weights for it may have."""

    function: str
    id: str
    name: Text
    description: Text
    port: int
    labels: tuple[Label, ...]

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read one labelmap file.

        Raises:
            ConfigError: the file is not a labelmap; names file, label and key.
        """
        keys = {"function", "id", "name", "description", "port", "labels"}
        data = yaml_file.check_keys(str(path), yaml_file.load(path), keys)
        if not isinstance(data["labels"], list) or not data["labels"]:
            raise ConfigError(f"{path}: labels must be a list of at least one label")
        labels = tuple(Label.from_mapping(f"{path}: label {i}", item) for i, item in enumerate(data["labels"]))
        # CVAT answers 404 for the whole model list when one model names a label twice.
        yaml_file.unique(f"{path}: slug", [label.slug for label in labels])
        for language in LANGUAGES:
            yaml_file.unique(f"{path}: {language}", [label.name.get(language) for label in labels])
        yaml_file.unique(f"{path}: zh, general", [label.general or label.name.zh for label in labels])
        function_id = yaml_file.text(f"{path}: id", data["id"])
        if not re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", function_id):
            raise ConfigError(f"{path}: id must be lower-case letters, digits and '-', got {function_id!r}")
        return cls(
            function=yaml_file.text(f"{path}: function", data["function"]),
            id=function_id,
            name=Text.from_mapping(f"{path}: name", data["name"]),
            description=Text.from_mapping(f"{path}: description", data["description"]),
            # Below the kernel's ephemeral ports, above the privileged ones.
            port=yaml_file.integer(f"{path}: port", data["port"], 1024, 32767),
            labels=labels,
        )

    def worded(self, words: str) -> Labelmap:
        """Return the map with its labels under the factory's or the general Chinese names; see WORDS."""
        if words == WORDS[0]:
            return self
        return replace(
            self,
            labels=tuple(replace(x, name=replace(x.name, zh=x.general or x.name.zh)) for x in self.labels),
        )

    def only(self, slugs: Iterable[str]) -> Labelmap:
        """Return the map with the labels of these slugs alone, in this order.

        Raises:
            ConfigError: it has no such label.
        """
        by_slug = {label.slug: label for label in self.labels}
        slugs = list(slugs)
        for slug in slugs:
            if slug not in by_slug:
                raise ConfigError(
                    f"labelmaps/{self.function}.yaml 没有标签 {slug!r}，而 model.yaml 的权重会给出它；不想要它，请在 "
                    f"model.yaml 的该标签上写 offer: false / the labelmap has no label {slug!r}, which the weights of "
                    "model.yaml answer: put it back, and to leave it out of CVAT write offer: false in model.yaml"
                )
        return replace(self, labels=tuple(by_slug[slug] for slug in slugs))

    def cvat_spec(self, language: str, score: bool = False) -> list[dict[str, Any]]:
        """Return the label spec that CVAT reads from a function's `annotations.spec`.

        `type` is concrete because "any" matches nothing in CVAT 2.15. `score`: with the attribute that shows it;
        without, CVAT's dialog is a row a label.
        """
        attributes = [_attribute(language)] if score else []
        return [
            {"id": i, "name": label.name.get(language), "type": label.type, "attributes": attributes}
            for i, label in enumerate(self.labels)
        ]

    def cvat_raw_labels(self, language: str, score: bool = False) -> list[dict[str, Any]]:
        """Return the JSON for the "Raw" tab of CVAT's label editor: these labels match the model by name."""
        attributes = [_attribute(language) | {"default_value": "0"}] if score else []
        return [
            {"name": label.name.get(language), "color": label.color, "type": label.type, "attributes": attributes}
            for label in self.labels
        ]


def _attribute(language: str) -> dict[str, Any]:
    """The score as a whole percent: CVAT can filter by a number, and drops one with decimals without a word."""
    return {"name": CONFIDENCE[language], "input_type": "number", "mutable": False, "values": ["0", "100", "1"]}
