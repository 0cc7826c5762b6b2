"""A threshold a label, on top of the request's: a detection counts from the larger of the two.

Written in model.yaml as `thresholds`, or in the variable PCB_AOI_THRESHOLDS as JSON, which goes before it label by
label. One environment may serve several functions, so the JSON may also name models: {"inner-layer": {"open": 0.6}}.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pcb_aoi.config import yaml_file
from pcb_aoi.config.classes import plain
from pcb_aoi.errors import ConfigError

if TYPE_CHECKING:
    from pcb_aoi.config.model_config import ModelConfig
    from pcb_aoi.config.settings import Settings

VARIABLE = "PCB_AOI_THRESHOLDS"


def parse(text: str) -> dict[str, Any]:
    """Read the variable's text; which labels there are is not known here.

    Raises:
        ConfigError: it is no JSON object, or names something twice.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        yaml_file.unique(VARIABLE, [key for key, _ in pairs])
        return dict(pairs)

    try:
        given = json.loads(text, object_pairs_hook=once)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise ConfigError(f'{VARIABLE} must be JSON such as {{"open": 0.6}}, got {text!r}')
    return given


def by_slug(where: str, given: object, spellings: Sequence[Sequence[str]]) -> dict[str, float]:
    """Return slug -> threshold; `spellings`: of each label its slug and names, any of which may stand in `given`.

    Raises:
        ConfigError: not a mapping, not a number in [0, 1], or a label that is not there, or that is there twice.
    """
    if not isinstance(given, dict):
        raise ConfigError(f"{where} must map labels to numbers, got {given!r}")
    found: dict[str, float] = {}
    for name, value in given.items():
        slugs = [words[0] for words in spellings if plain(str(name)) in map(plain, words)]
        if not slugs:
            known = ", ".join(words[0] for words in spellings)
            raise ConfigError(f"{where}: 没有标签 {name!r}，有 / {name!r} is none of the labels {known}")
        if slugs[0] in found:
            raise ConfigError(f"{where}: {slugs[0]!r} is given twice, the second time as {name!r}")
        found[slugs[0]] = yaml_file.number(f"{where}: {name}", value, 0, 1)
    return found


def of(config: ModelConfig, settings: Settings) -> dict[str, float]:
    """Return slug -> threshold of the labels that have one, from model.yaml and the variable.

    Raises:
        ConfigError: see by_slug. The variable speaks of labels of this model, or of models and theirs.
    """
    given: Mapping[str, Any] = settings.thresholds or {}
    where = VARIABLE
    flat = [name for name, value in given.items() if not isinstance(value, dict)]
    if len(flat) < len(given):
        if flat:
            raise ConfigError(f"{where}: some entries name a model, {flat[0]!r} does not: write them all so")
        where, given = f"{where}: {config.model}", given.get(config.model, {})
    try:
        return {**config.thresholds, **by_slug(where, given, config.spellings)}
    except ConfigError as error:
        if where != VARIABLE:
            raise
        raise ConfigError(
            f"{error}；一个变量用于几个功能时，请写明模型 / where one variable serves several functions, name the "
            f'model: {{"{config.model}": {{"...": 0.6}}}}'
        ) from None
