"""Class names of weights matched with the labels of a function, in all the ways a factory writes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pcb_aoi.config.classes import plain
from pcb_aoi.config.labelmap import Label, Labelmap

try:
    import pypinyin
except ImportError:  # it comes with the extra `adopt`
    KNOWS_PINYIN = False
else:
    KNOWS_PINYIN = True

BY = {"slug": "slug", "zh": "中文名 Chinese", "en": "英文名 English", "alias": "别名 alias", "pinyin": "拼音 pinyin"}


@dataclass(frozen=True)
class Match:
    """What a class name is taken for."""

    name: str
    slugs: tuple[str, ...]
    """One: explained. None or several: not."""
    by: str
    """How, in words; empty where there is no slug."""


def match(name: str, labelmap: Labelmap) -> Match:
    """Return the labels that a class name may mean: those of the first way of writing that fits any.

    Names are compared in any case and width, whatever joins their words.
    """
    wanted = plain(name)
    for by, words in BY.items():
        slugs = tuple(label.slug for label in labelmap.labels if wanted and wanted in map(plain, _written(label, by)))
        if slugs:
            return Match(name, slugs, words)
    return Match(name, (), "")


def propose(names: Mapping[int, str], labelmap: Labelmap) -> dict[int, Match]:
    """Match every class name: class number -> match.

    A name that fits several labels means the one that no other class is: 断路 (open) and 短路 (short) are both duanlu,
    and beside kailu 开路 it is the short.
    """
    matches = {number: match(name, labelmap) for number, name in names.items()}
    taken = {found.slugs[0] for found in matches.values() if len(found.slugs) == 1}
    for number, found in matches.items():
        left = tuple(slug for slug in found.slugs if slug not in taken)
        if len(found.slugs) > 1 and len(left) == 1:
            matches[number] = Match(found.name, left, f"{found.by}，排除 elimination")
    return matches


def _written(label: Label, by: str) -> Iterator[str]:
    if by == "slug":
        yield label.slug
    elif by == "zh":
        yield label.name.zh
        if label.general is not None:
            yield label.general
    elif by == "en":
        yield label.name.en
    elif by == "alias":
        yield from label.aliases
    elif KNOWS_PINYIN:
        for text in (label.name.zh, label.general, *label.aliases):
            if text is not None and not text.isascii():
                yield pinyin(text)


def pinyin(text: str, between: str = "") -> str:
    """Return the pinyin of a Chinese text; call it where KNOWS_PINYIN only."""
    return between.join(pypinyin.lazy_pinyin(text))
