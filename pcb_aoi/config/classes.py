"""Which class of the weights is which label: the names that a file carries, and `classes` of model.yaml."""

from __future__ import annotations

import ast
import json
import unicodedata
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pcb_aoi.errors import ModelError

if TYPE_CHECKING:
    from pcb_aoi.config.model_config import ModelConfig

DROP = "-"
"""In `classes`, in place of a slug: what the weights call this is not answered."""
DROPPED, UNKNOWN = -1, -2
"""In place of a label's position: dropped by model.yaml; a number that no class has."""


def names(metadata: Mapping[str, str]) -> dict[int, str] | None:
    """Return class number -> name as the model file tells them, in numerical order, or None if it does not.

    Reads `slugs` (this project, a JSON list) or `names` (Ultralytics: the text of a Python dict; LibreYOLO: JSON,
    whose keys are texts, which sorted as such would put class 10 before class 2).

    Raises:
        ModelError: there are names, but they cannot be read.
    """
    text = metadata.get("slugs") or metadata.get("names")
    if text is None:
        return None
    try:
        try:
            found = json.loads(text)
        except ValueError:
            # literal_eval reads constants only: a model file must not be able to run code.
            found = ast.literal_eval(text)
        entries = found.items() if isinstance(found, dict) else enumerate(found)
        by_number = {int(number): str(name) for number, name in entries}
    except (ValueError, SyntaxError, TypeError, OverflowError, RecursionError, MemoryError) as error:
        raise ModelError("the class names in the weights' metadata cannot be read", detail=str(error)) from error
    if not by_number or min(by_number) < 0 or len(by_number) != len(found):
        raise ModelError("the class names in the weights' metadata cannot be read", detail=text[:200])
    return dict(sorted(by_number.items()))


def dropped(metadata: Mapping[str, str], config: ModelConfig) -> set[str]:
    """Return the names, in the weights, of the classes that model.yaml's `classes` drops.

    Raises:
        ModelError: as `label_of`.
    """
    found, labels = names(metadata), label_of(metadata, config)
    return {name for number, name in (found or {}).items() if labels[number] == DROPPED}


def plain(name: str) -> str:
    """Return a name as it is compared: any case, any width, words joined by anything."""
    text = unicodedata.normalize("NFKC", name).casefold()
    return "".join(character for character in text if character.isalnum())


def label_of(metadata: Mapping[str, str], config: ModelConfig) -> npt.NDArray[np.int32]:
    """Return int32 (K,): for each class number of the weights the label's position, DROPPED or UNKNOWN.

    Without `classes` in model.yaml, the names in the file must be the labels, in order. A silent shift of classes is
    the worst fault an annotator can meet, so a file without names is not believed to have that order either.

    Raises:
        ModelError: the names are not the labels; `classes` does not tell of every class, or tells of one that the
            file does not have; or neither names nor `classes` are there.
    """
    found = names(metadata)
    if config.classes is None:
        return _in_order(found, config)
    slugs = [*config.slugs, DROP]
    chosen: dict[int, int] = {}
    for key, slug in config.classes.items():
        number = _number(key, found, config)
        if number in chosen:
            raise ModelError(f"{config.model}: classes: class {number} is given twice, the second time as {key!r}")
        chosen[number] = DROPPED if slug == DROP else slugs.index(slug)
    left = [f"{number} {name!r}" for number, name in (found or {}).items() if number not in chosen]
    if left:
        raise ModelError(
            f"{config.model}: model.yaml 的 classes 没有说明权重的这些类别：{', '.join(left)}；请写标签的 slug，"
            f'或写 "-" 不要它 / classes in model.yaml says nothing of {", ".join(left)}: '
            'write the slug of a label, or "-" to drop it'
        )
    result = np.full(max(chosen) + 1, UNKNOWN, np.int32)
    for number, label in chosen.items():
        result[number] = label
    return result


def _number(key: int | str, found: dict[int, str] | None, config: ModelConfig) -> int:
    """Return the class number that a key of `classes` means."""
    if isinstance(key, int):
        return key  # perhaps one that has no name: RF-DETR has more columns than classes
    if found is None:
        raise ModelError(
            f"{config.model}: classes: 权重没有类别名，请用编号代替 {key!r} / the weights name no classes: "
            f"write a number in place of {key!r}"
        )
    numbers = [number for number, name in found.items() if plain(name) == plain(key)]
    exact = [number for number in numbers if found[number] == key] or numbers
    if len(exact) != 1:
        raise ModelError(
            f"{config.model}: classes: {len(exact)} classes of the weights are called {key!r}; they have "
            f"{_listed(found)}; write the number of one"
        )
    return exact[0]


def _in_order(found: dict[int, str] | None, config: ModelConfig) -> npt.NDArray[np.int32]:
    if found is None:
        raise ModelError(
            f"{config.model}: 权重没有类别名，顺序无法核对。请在 model.yaml 写 classes（编号: slug），或用 "
            "`pcb-aoi adopt --classes` / the weights name no classes, so their order cannot be verified: write "
            "classes (number: slug) into model.yaml, or use `pcb-aoi adopt --classes`"
        )
    if list(found) != list(range(len(config.slugs))):
        raise ModelError(
            f"{config.model}: the weights have {len(found)} classes, model.yaml {len(config.slugs)}; "
            "`pcb-aoi adopt` writes which is which"
        )
    for i, allowed in enumerate(config.spellings):
        if plain(found[i]) not in {plain(spelling) for spelling in allowed}:
            raise ModelError(
                f"{config.model}: class {i} of the weights is {found[i]!r}, in model.yaml it is {config.slugs[i]!r}; "
                "`pcb-aoi adopt` writes which is which"
            )
    return np.arange(len(config.slugs), dtype=np.int32)


def _listed(found: Mapping[int, str]) -> str:
    return ", ".join(f"{number} {name!r}" for number, name in found.items())
