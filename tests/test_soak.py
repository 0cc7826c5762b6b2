"""Hundreds of mixed requests in one process: memory and file descriptors stay where they were."""

from __future__ import annotations

import gc
from pathlib import Path

import analytic
import numpy as np
import psutil
from calling import Function
from files import UInt8, bomb_png, encode, png

ROUNDS = 40
WARM_UP = 10


def noise(side: int, seed: int) -> UInt8:
    return np.random.default_rng(seed).integers(0, 256, (side, side), dtype=np.uint8)


def mixed(turn: int) -> list[bytes]:
    """Good frames of several kinds and sizes, truncated ones, and ones that are refused."""
    board = analytic.board(100, 150, [(10, 10, 40, 30)])
    return [
        encode(board),
        encode(noise(100 + turn, turn), "JPEG"),
        encode(np.repeat(noise(700, 0)[..., None] // 4, 3, 2), "TIFF", compression="tiff_lzw"),
        png(board.astype(np.uint16) * 257),
        encode(noise(300, turn), "JPEG")[:-2000],
        encode(noise(64, turn))[:300],
        bomb_png(20_000, 20_000),
        b"no image" * turn,
    ]


def test_memory_and_descriptors_stay_constant(tmp_path: Path) -> None:
    function = Function(analytic.write_function(tmp_path / "analytic"), {"PCB_AOI_BAD_FRAME": "error"})
    process, rss, descriptors = psutil.Process(), [], []
    for turn in range(ROUNDS):
        statuses = [function.annotate(data).status for data in mixed(turn)]
        assert statuses[:5] == [200] * 5
        assert statuses[6:] == [413, 415 if turn else 400]
        function.post(b"{}")
        gc.collect()
        rss.append(process.memory_info().rss / 2**20)
        descriptors.append(process.num_fds())
    steady = np.array(rss[WARM_UP:])
    slope = np.polyfit(np.arange(len(steady)), steady, 1)[0]
    # A round's frames are 2 MiB as files and 2 MiB as pixels.
    assert slope < 0.2, f"{slope:.2f} MiB a round: {[round(value) for value in rss]}"
    assert len(set(descriptors[1:])) == 1, descriptors
