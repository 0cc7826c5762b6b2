"""What a run learns from, and its batches of crops, made a few ahead of the training loop."""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from pcb_aoi.exports.scene import PADDING, Source
from training.data import augment
from training.data.pieces import Pieces
from training.net.architecture import Blocks
from training.net.assign import PieceBatch
from training.traits import BRIDGES, COUNTERPARTS, LINES, LONG

ITERATIONS = 20_000  # of a run that nothing else ends
WIDE_SHARE = 0.15  # of the batches, with rendered boards: crops of a whole tile, for scratches that cross it
AHEAD = 6  # batches that the thread, or each process, makes before they are asked for


@dataclass(frozen=True)
class TrainingPlan:
    """What a run does; stored in its checkpoints."""

    slugs: tuple[str, ...]
    iterations: int  # 0: no limit but `minutes`
    minutes: float  # 0: no limit but `iterations`
    batch: int = 8
    side: int = 320
    wide_share: float = 0.0  # share of batches of a quarter as many crops twice as wide: defects as long as a tile
    rate: float = 2.5e-3
    seed: int = 1
    blocks: Blocks | None = None  # of the net; None: as many as what it starts from has
    learnt: tuple[str, ...] = ()  # sentences on what the run learns from, for the weights' provenance
    fragments: tuple[str, ...] = LONG
    joined: tuple[str, ...] = LINES  # of these, those learnt in pieces where their trail is known
    bright_copper: bool = False  # thresholded boards, whose copper is black, are learnt as negatives
    counterparts: tuple[tuple[str, str], ...] = COUNTERPARTS
    bridges: tuple[str, ...] = BRIDGES

    @property
    def end(self) -> float:
        """Batches after which the schedule ends, if it is not over sooner."""
        return self.iterations or (math.inf if self.minutes else ITERATIONS)


class Batch(NamedTuple):
    images: Tensor  # uint8 (B, S, S, 3)
    boxes: Tensor  # float32 (B, M, 4)
    labels: Tensor  # int64 (B, M), padded with PADDING
    taught: Tensor  # bool (B, C): labels that the image can teach
    pieces: PieceBatch


def collate(crops: list[augment.Crop], classes: int) -> Batch:
    """Stack crops; `classes` is the number of labels."""
    most = max(1, *(len(crop.boxes) for crop in crops))
    boxes = np.zeros((len(crops), most, 4), np.float32)
    labels = np.full((len(crops), most), PADDING, np.int64)
    taught = np.zeros((len(crops), classes), bool)
    for row, crop in enumerate(crops):
        taught[row, slice(None) if crop.taught is None else list(crop.taught)] = True
        boxes[row, : len(crop.boxes)] = crop.boxes
        labels[row, : len(crop.labels)] = crop.labels
    images = np.stack([crop.image for crop in crops])
    return Batch(
        torch.from_numpy(images),
        torch.from_numpy(boxes),
        torch.from_numpy(labels),
        torch.from_numpy(taught),
        collate_pieces([crop.pieces for crop in crops]),
    )


def collate_pieces(parts: list[Pieces]) -> PieceBatch:
    """Stack the pieces of crops."""
    most = max(1, *(len(part.cells) for part in parts))
    shape = (len(parts), most)
    cells, of = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    labels, boxes = np.full(shape, PADDING, np.int64), np.zeros((*shape, 4), np.float32)
    for row, part in enumerate(parts):
        used = slice(len(part.cells))
        cells[row, used], labels[row, used], boxes[row, used], of[row, used] = part
    return PieceBatch(*(torch.from_numpy(array) for array in (cells, labels, boxes, of)))


class Numbered(Dataset[Batch]):
    """Batch number i of a plan; it depends on the plan's seed and i alone."""

    def __init__(self, plan: TrainingPlan, sources: list[tuple[float, Source]]) -> None:
        self.plan, self.sources = plan, [source for _, source in sources]
        shares = np.array([share for share, _ in sources])
        self.shares = shares / shares.sum()
        self.fragments, self.joined, self.bridges = (
            frozenset(plan.slugs.index(slug) for slug in slugs if slug in plan.slugs)
            for slugs in (plan.fragments, plan.joined, plan.bridges)
        )
        pairs = [(plan.slugs.index(a), plan.slugs.index(b)) for a, b in plan.counterparts if {a, b} <= set(plan.slugs)]
        self.exchanged = {one: other for pair in pairs for one, other in (pair, pair[::-1])}
        if len(pairs) < len(plan.counterparts):
            self.exchanged = {}  # a label without its counterpart would be taught under a wrong name

    def __getitem__(self, number: int) -> Batch:
        plan = self.plan
        rng = np.random.default_rng((plan.seed, number))
        wide = rng.random() < plan.wide_share
        count, side = (plan.batch // 4, plan.side * 2) if wide else (plan.batch, plan.side)
        picked = rng.choice(len(self.sources), size=count, p=self.shares)
        how = (self.fragments, self.exchanged, self.joined, plan.bright_copper, self.bridges)
        crops = [augment.crop(self.sources[i].draw(rng), side, rng, *how) for i in picked]
        return collate(crops, len(plan.slugs))


def batches(
    plan: TrainingPlan, sources: list[tuple[float, Source]], start: int = 0, workers: int = 0
) -> Generator[Batch, None, None]:
    """Endless batches in order, made a few ahead by a thread, or by `workers` processes with copies of the sources.

    With workers, OpenCV keeps to one thread from now on.

    Raises:
        whatever a source raises.
    """
    numbered = Numbered(plan, sources)
    if workers:
        cv2.setNumThreads(1)  # ends its threads: a process forked beside them would wait for them for ever
        yield from DataLoader(
            numbered,
            batch_size=None,
            sampler=itertools.count(start),
            num_workers=workers,
            prefetch_factor=AHEAD,
            collate_fn=lambda batch: batch,
        )
        return
    numbers = itertools.count(start)
    with ThreadPoolExecutor(1) as thread:
        ahead = deque(thread.submit(numbered.__getitem__, number) for number in itertools.islice(numbers, AHEAD))
        try:
            while True:
                batch = ahead.popleft().result()
                ahead.append(thread.submit(numbered.__getitem__, next(numbers)))
                yield batch
        finally:  # a thread still at work when the interpreter ends aborts the process
            thread.shutdown(cancel_futures=True)
