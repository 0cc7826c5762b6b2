"""Artwork of real boards (Gerber and KiCad), rasterised once and cut into pictures; split by board family."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from boards.copper import gerber, kicad
from boards.copper.artwork import Artwork
from boards.copper.design_rules import obey
from boards.pixels.noise import Mask

_UM_PER_PX = 12.5  # pitch of the stored raster
_LARGEST_MM = 200.0
_FINEST_UM = 80.0  # of copper and of laminate: finer is a fault of the raster


@dataclass(frozen=True, slots=True)
class BoardLayer:
    """One copper layer of one board."""

    family: str  # boards of one maker share parts of their layout: never split them
    name: str
    mask: Mask  # uint8 (H, W), 1 is copper
    vias: NDArray[np.float32]  # (N, 4): x, y, pad radius, hole radius in pixels of the mask
    pads: NDArray[np.float32]  # (M, 4): x, y, width, height

    def crop(self, size: tuple[int, int], um_per_px: float, rng: np.random.Generator) -> Artwork:
        """Random window of (height, width) pixels at a pitch, turned by quarter turns and mirrored.

        Boards smaller than the window are surrounded by laminate.
        """
        zoom = _UM_PER_PX / um_per_px
        height, width = (int(np.ceil(side / zoom)) for side in size)
        rows, columns = self.mask.shape
        best, corner = -1.0, (0, 0)
        for _ in range(6):  # prefer windows with something in them
            y = int(rng.integers(min(0, rows - height), max(rows - height, 0) + 1))
            x = int(rng.integers(min(0, columns - width), max(columns - width, 0) + 1))
            share = float(self.mask[max(y, 0) : y + height, max(x, 0) : x + width].mean())
            if min(share, 0.6) > best:
                best, corner = min(share, 0.6), (y, x)
        y, x = corner
        window = np.zeros((height, width), np.uint8)
        part = self.mask[max(y, 0) : y + height, max(x, 0) : x + width]
        window[max(-y, 0) : max(-y, 0) + part.shape[0], max(-x, 0) : max(-x, 0) + part.shape[1]] = part
        interpolation = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR
        soft = cv2.resize(window * np.uint8(255), (size[1], size[0]), interpolation=interpolation)
        copper = obey((np.asarray(soft) > 127).astype(np.uint8), _FINEST_UM / um_per_px, _FINEST_UM / um_per_px)
        shift = np.array([x, y, 0, 0], np.float32)
        artwork = Artwork(copper, (self.vias - shift) * np.float32(zoom), (self.pads - shift) * np.float32(zoom))
        return _turn(artwork, bool(rng.random() < 0.5), int(rng.integers(4)) if size[0] == size[1] else 0)


def load_artwork(folder: Path, held_out: bool | None = None, inner: bool | None = None) -> list[BoardLayer]:
    """Every copper layer of every board below `folder` (one sub-folder a board).

    held_out: only the families kept for tests (True) or for training (False); None takes all. inner: only inner
    layers (True) or only the two outer ones (False). Raises FileNotFoundError when no board is found.
    """
    layers: list[BoardLayer] = []
    found = False
    for board in sorted(path for path in folder.iterdir() if path.is_dir()):
        family = family_of(board.name)
        if held_out is not None and is_held_out(family) != held_out:
            continue
        found = True
        for path in sorted(board.glob("*.kicad_pcb")):
            layers += _from_kicad(path, family)
        layers += _from_gerber(board, family)
    if not found:
        raise FileNotFoundError(f"no board folders below {folder}")
    if inner is None:
        return layers
    return [layer for layer in layers if _is_inner(layer.name) == inner]


def family_of(board: str) -> str:
    """Maker or product line of a board folder: `maker__board`, or `product-rev-x`."""
    name = board.lower()
    return "esp32" if "esp32" in name else name.split("__")[0].split("-rev")[0]


def is_held_out(family: str) -> bool:
    """One family in four, chosen by the checksum of its name, is kept for tests for good."""
    return zlib.crc32(family.encode()) % 4 == 3


def _is_inner(name: str) -> bool:
    return not any(outer in name for outer in ("F.Cu", "B.Cu", "F_Cu", "B_Cu", "Front", "Bottom", "L4"))


def _from_kicad(path: Path, family: str) -> list[BoardLayer]:
    board = kicad.read_kicad(path)
    x1, y1, x2, y2 = kicad.extent(board)
    scale = 1000 / _UM_PER_PX
    if max(x2 - x1, y2 - y1) > _LARGEST_MM:
        return []
    size = (int((y2 - y1) * scale), int((x2 - x1) * scale))
    holes = np.array(board.holes, np.float32).reshape(-1, 4)
    vias = (holes - np.array([x1, y1, 0, 0], np.float32)) * np.float32(scale)
    layers = []
    for name, copper in board.layers.items():
        mask = kicad.draw_layer(copper, (x1, y1), size, scale)
        rectangles = [(pad[1] - x1, pad[2] - y1, *_upright(pad)) for pad in copper.pads if pad[0] != "circle"]
        pads = np.array(rectangles, np.float32).reshape(-1, 4) * np.float32(scale)
        if mask.mean() > 0.02:
            layers.append(BoardLayer(family, f"{path.parent.name}/{name}", mask, vias, pads))
    return layers


def _upright(pad: tuple[str, float, float, float, float, float]) -> tuple[float, float]:
    """Width and height of a pad as it lies."""
    width, height, angle = pad[3], pad[4], pad[5]
    return (height, width) if abs(np.sin(angle)) > 0.7 else (width, height)


def _from_gerber(board: Path, family: str) -> list[BoardLayer]:
    layers = []
    files = [path for path in sorted(board.glob("*.gbr")) if "Cu" in path.stem and "Cuts" not in path.stem]
    holes = [
        hole for path in sorted(board.glob("*.drl")) if "NPTH" not in path.name for hole in gerber.read_drill(path)
    ]
    scale = 1000 / _UM_PER_PX
    for path in files:
        primitives, (x1, y1, x2, y2) = gerber.read_gerber(path)
        if max(x2 - x1, y2 - y1) > _LARGEST_MM:
            continue
        mask = gerber.draw_gerber(primitives, (x1, y1, x2, y2), scale)
        # The drill file does not know the pad: rings of 0.15 mm are the commonest.
        vias = np.array([((x - x1), (y2 - y), r + 0.15, r) for x, y, r in holes], np.float32).reshape(-1, 4)
        empty = np.zeros((0, 4), np.float32)
        layers.append(BoardLayer(family, f"{board.name}/{path.stem}", mask, vias * np.float32(scale), empty))
    return layers


def _turn(artwork: Artwork, mirror: bool, quarters: int) -> Artwork:
    """Mirror left to right, then turn counter-clockwise by quarters (square pictures only)."""
    copper, vias, pads = artwork.copper, artwork.vias.copy(), artwork.pads.copy()
    if mirror:
        copper = copper[:, ::-1]
        vias[:, 0], pads[:, 0] = copper.shape[1] - vias[:, 0], copper.shape[1] - pads[:, 0]
    for _ in range(quarters):
        width = copper.shape[1]
        copper = np.rot90(copper)
        for shapes in (vias, pads):
            shapes[:, 0], shapes[:, 1] = shapes[:, 1].copy(), width - shapes[:, 0]
        pads[:, 2], pads[:, 3] = pads[:, 3].copy(), pads[:, 2].copy()
    return Artwork(np.ascontiguousarray(copper), vias, pads)
