"""What the handler costs beyond the two things nobody can leave out: decoding the file and running the network."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import cvat
import nuclio_sdk
import numpy as np
from calling import Function
from files import encode
from PIL import Image

from pcb_aoi.engine import tiles


@dataclass(frozen=True)
class Overhead:
    """Medians of one size of image, in seconds."""

    side: int
    tiles: int
    bare: float
    handler: float

    @property
    def ratio(self) -> float:
        return self.handler / self.bare


def measure(function: Function, side: int, rounds: int) -> Overhead:
    """Time the handler against bare decoding and bare `session.run` on the same tiles, in turns.

    The bare side has its tiles cut beforehand, uses the very same ONNX Runtime session (a second one would bring a
    second pool of threads that fights the first), and looks at no output.
    """
    file = encode(texture(side), "JPEG", quality=95)
    detector = function.context.user_data.detector
    runtime, head = detector.model.runtime, detector.model._head
    session, name = runtime._session, runtime._input_name
    pixels = np.asarray(Image.open(io.BytesIO(file)))
    grid = tiles.plan(side, side, detector.config.tile, detector.config.overlap)
    batches = [head.prepare(batch) for _, batch in tiles.batches(pixels, grid, runtime.batch)]

    def bare() -> None:
        np.asarray(Image.open(io.BytesIO(file)))
        for batch in batches:
            session.run(None, {name: batch})

    def handler() -> None:
        response = function.module.handler(function.context, events.pop())
        assert response.status_code == 200

    events = [nuclio_sdk.Event(body=cvat.payload(file), method="POST") for _ in range(rounds + 1)]
    first, second = in_turns(bare, handler, rounds)
    return Overhead(side, len(grid), first, second)


def in_turns(a: Callable[[], object], b: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Return the median seconds of both; each runs once unmeasured, then they alternate, so that a machine that gets
    slower or faster does so for both."""
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(rounds + 1):
        for run, seconds in zip((a, b), times, strict=True):
            started = time.perf_counter()
            run()
            if turn:
                seconds.append(time.perf_counter() - started)
    return median(times[0]), median(times[1])


def texture(side: int) -> Image.Image:
    """Something between a flat image and noise, RGB."""
    noise = np.random.default_rng(0).integers(0, 256, (side // 8 + 1, side // 8 + 1, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((side, side), Image.Resampling.BICUBIC)
