"""Label names as people write them -> slugs: slug, Chinese, English and aliases of labelmaps/<function>.yaml."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from pcb_aoi.config import yaml_file
from pcb_aoi.config.labelmap import Labelmap
from pcb_aoi.errors import ConfigError, PcbAoiError
from training.data.scene import IGNORED


class UnknownLabelError(PcbAoiError):
    """A label that the function does not have; names it, the known ones and the way out."""


def plain(name: str) -> str:
    """A name without its case, its width and the way its words are joined: `Ｍouse-Bite` -> `mouse bite`."""
    return re.sub(r"[\s_-]+", " ", unicodedata.normalize("NFKC", name).casefold()).strip()


@dataclass(frozen=True)
class Names:
    """What a function's labels may be called."""

    function: str
    slugs: tuple[str, ...]
    shown: tuple[str, ...]  # slug and Chinese name, for messages
    known: dict[str, int] = field(default_factory=dict)  # plain name -> index of the slug, or IGNORED

    @classmethod
    def load(cls, labelmap: Path) -> Self:
        """Read a labelmap; a name beats another label's alias."""
        content = Labelmap.load(labelmap)
        slugs = tuple(label.slug for label in content.labels)
        known = {plain(alias): i for i, label in enumerate(content.labels) for alias in label.aliases}
        known |= {plain(n): i for i, x in enumerate(content.labels) for n in (x.name.en, x.name.zh, x.slug)}
        return cls(content.function, slugs, tuple(f"{x.slug} {x.name.zh}" for x in content.labels), known)

    def with_rules(self, rules: list[str]) -> Names:
        """Add `name=slug` (the slug may be any known name) and `name=`, whose boxes teach nothing.

        Raises:
            UnknownLabelError: a rule without `=`, or for a label that the function does not have.
        """
        known = dict(self.known)
        for rule in rules:
            name, separator, target = rule.rpartition("=")
            if not separator or not name.strip():
                raise UnknownLabelError(f"--label {rule!r}: expected 名称=slug / name=slug, or name= to ignore it")
            known[plain(name)] = self.index(target) if target.strip() else IGNORED
        return Names(self.function, self.slugs, self.shown, known)

    def with_map(self, path: Path) -> Names:
        """Add the names of a file of labelmaps/published; those of labels that the function lacks are to be ignored.

        Raises:
            ConfigError: the file is no such map; names file and key.
        """
        content = yaml_file.check_keys(str(path), yaml_file.load(path), {"credit", "labels"})
        labels = content["labels"]
        if not isinstance(labels, dict):
            raise ConfigError(f"{path}: labels must be a mapping of class names to slugs, or null")
        known = dict(self.known)
        for name, slug in labels.items():
            known[plain(str(name))] = self.slugs.index(slug) if slug in self.slugs else IGNORED
        return Names(self.function, self.slugs, self.shown, known)

    def index(self, name: str) -> int:
        """Place of a label among the slugs, or IGNORED; raises UnknownLabelError."""
        if plain(name) not in self.known:
            raise UnknownLabelError(
                f"未知标签 / unknown label {name!r}; {self.function} has: {', '.join(self.shown)}. "
                f"Map it with --label '{name}=SLUG', or ignore it with --label '{name}='"
            )
        return self.known[plain(name)]

    def indices(self, names: list[str]) -> list[int]:
        """`index` of each name; raises UnknownLabelError."""
        return [self.index(name) for name in names]
