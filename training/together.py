"""One net for several functions at once: each crop teaches only the labels of its own function.

Nine tenths of a net is seeing edges, holes and grain, which all functions need alike; learnt together, those layers
see the crops of all. `export` takes a function's own labels out of the result.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from training.scene import Scene, Source


def union(slugs: list[list[str]]) -> list[str]:
    """All labels in order of first mention; labels of the same slug are one."""
    return list(dict.fromkeys(slug for own in slugs for slug in own))


@dataclass(frozen=True)
class Member:
    """The scenes of one function, their labels numbered as in the union."""

    source: Source
    numbers: np.ndarray  # int64 (own labels,): place of each in the union

    def draw(self, rng: np.random.Generator) -> Scene:
        """A scene that says which labels it can teach: of the others it has none, or has them unlabelled."""
        scene = self.source.draw(rng)
        labels = np.where(scene.labels >= 0, self.numbers[scene.labels.clip(0)], scene.labels)
        taught = self.numbers if scene.taught is None else self.numbers[list(scene.taught)]
        return replace(scene, labels=labels, taught=tuple(taught.tolist()))
