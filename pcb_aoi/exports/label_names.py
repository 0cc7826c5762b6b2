"""Label names as people write them -> slugs: slug, Chinese, English and aliases of labelmaps/<function>.yaml."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from pcb_aoi.config import spelling, yaml_file
from pcb_aoi.config.classes import plain
from pcb_aoi.config.labelmap import Labelmap
from pcb_aoi.errors import ConfigError, PcbAoiError
from pcb_aoi.exports.scene import IGNORED


class UnknownLabelError(PcbAoiError):
    """Labels that the function does not have; names them, the known ones and the ways out."""


@dataclass(frozen=True)
class Names:
    """What a function's labels may be called."""

    labelmap: Labelmap
    known: Mapping[str, int]  # plain name -> index of the slug, or IGNORED

    @classmethod
    def load(cls, labelmap: Path, slugs: Sequence[str] | None = None) -> Self:
        """Read a labelmap, of it the labels `slugs` in this order or all.

        Raises:
            ConfigError: it is no labelmap, or lacks one of `slugs`.
        """
        content = Labelmap.load(labelmap)
        return cls.of(content if slugs is None else content.only(slugs))

    @classmethod
    def of(cls, content: Labelmap) -> Self:
        """What a labelmap says; a name beats another label's alias."""
        known = {plain(alias): i for i, label in enumerate(content.labels) for alias in label.aliases}
        known |= {plain(label.general): i for i, label in enumerate(content.labels) if label.general is not None}
        known |= {plain(n): i for i, x in enumerate(content.labels) for n in (x.name.en, x.name.zh, x.slug)}
        return cls(content, known)

    @property
    def slugs(self) -> tuple[str, ...]:
        """The labels, in class order."""
        return tuple(label.slug for label in self.labelmap.labels)

    def with_rules(self, rules: list[str]) -> Self:
        """Add `name=slug` (the slug may be any known name) and `name=`, whose boxes teach nothing.

        Raises:
            UnknownLabelError: a rule without `=`, or for a label that the function does not have.
        """
        known = dict(self.known)
        for rule in rules:
            name, separator, target = rule.rpartition("=")
            if not separator or not name.strip():
                raise UnknownLabelError(f"--label {rule!r}: expected 名称=slug / name=slug, or name= to ignore it")
            self.check({target: 1} if target.strip() else {})
            known[plain(name)] = self.known[plain(target)] if target.strip() else IGNORED
        return replace(self, known=known)

    def with_map(self, path: Path) -> Self:
        """Add the names of a file of labelmaps/published; those of labels that the function lacks are to be ignored.

        Raises:
            ConfigError: the file is no such map; names file and key.
        """
        content = yaml_file.check_keys(str(path), yaml_file.load(path), {"credit", "labels"})
        labels = content["labels"]
        if not isinstance(labels, dict):
            raise ConfigError(f"{path}: labels must be a mapping of class names to slugs, or null")
        given = {str(name): self.slugs.index(slug) if slug in self.slugs else IGNORED for name, slug in labels.items()}
        return replace(self, known={**self.known, **{plain(name): index for name, index in given.items()}})

    def check(self, names: Mapping[str, int]) -> None:
        """Raise UnknownLabelError, which names all of these labels (name -> boxes) that nothing explains."""
        unknown = {name: count for name, count in names.items() if plain(name) not in self.known}
        if not unknown:
            return
        proposed = spelling.propose(dict(enumerate(unknown)), self.labelmap)
        slugs = [found.slugs[0] if len(found.slugs) == 1 else "SLUG" for found in proposed.values()]
        rules = [f"--label {shlex.quote(f'{name}={slug}')}" for name, slug in zip(unknown, slugs, strict=True)]
        ignored = [f"--label {shlex.quote(f'{name}=')}" for name in unknown]
        raise UnknownLabelError(
            f"未知标签 / unknown labels: {', '.join(f'{name} ({count})' for name, count in unknown.items())}\n"
            f"  {self.labelmap.function} 有 / has: "
            f"{', '.join(f'{label.slug} {label.name.zh}' for label in self.labelmap.labels)}\n"
            f"  对应 / to map them:    {' '.join(rules)}\n"
            f"  忽略 / to ignore them: {' '.join(ignored)}\n"
            f"  新增 / to add them: 写进 / write them into labelmaps/{self.labelmap.function}.yaml and run this again; "
            "finetune 为新标签增加输出 / finetune gives the net an output for each"
        )

    def indices(self, names: list[str]) -> list[int]:
        """Places of labels among the slugs, or IGNORED; all of them passed `check`."""
        return [self.known[plain(name)] for name in names]
