"""Copper layers of a KiCad board file, drawn to masks. Old and new file versions, no KiCad needed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from boards.pixels.drawing import disc, line, polygon, rectangle
from boards.pixels.noise import Mask, Points

# A list is [keyword, item, ...], an item a string or a list.
Node = list["str | Node"]

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[()]|[^\s()"]+')


@dataclass(slots=True)
class Copper:
    """One layer in millimetres, as shapes to draw."""

    lines: list[tuple[Points, float]] = field(default_factory=list)  # path (N, 2), width
    areas: list[Points] = field(default_factory=list)
    pads: list[tuple[str, float, float, float, float, float]] = field(default_factory=list)
    # shape, x, y, width, height, angle in radians


@dataclass(frozen=True, slots=True)
class KicadBoard:
    """Copper layers by name, and holes as x, y, pad radius, hole radius in millimetres."""

    layers: dict[str, Copper]
    holes: list[tuple[float, float, float, float]]


def parse(text: str) -> Node:
    """S-expression to nested lists. Raises ValueError for unbalanced brackets."""
    stack: list[Node] = [[]]
    for token in _TOKEN.findall(text):
        if token == "(":
            stack.append([])
        elif token == ")":
            if len(stack) < 2:
                raise ValueError("a bracket closes that was never opened")
            done = stack.pop()
            stack[-1].append(done)
        else:
            stack[-1].append(token.strip('"'))
    if len(stack) != 1 or not stack[0]:
        raise ValueError("brackets are not balanced")
    return stack[0]


def read_kicad(path: Path) -> KicadBoard:
    """Read a .kicad_pcb file. Raises ValueError when it is not one."""
    root = parse(path.read_text(encoding="utf-8", errors="replace"))[0]
    if not isinstance(root, list) or not root or root[0] != "kicad_pcb":
        raise ValueError(f"{path.name} is not a KiCad board")
    names = _copper_names(root)
    board = KicadBoard({name: Copper() for name in names}, [])
    for node in root[1:]:
        if not isinstance(node, list) or not node:
            continue
        if node[0] in {"segment", "gr_line"}:
            layer = _word(node, "layer")
            if layer in board.layers:
                path_mm = np.array([_numbers(node, "start")[:2], _numbers(node, "end")[:2]])
                board.layers[layer].lines.append((path_mm, _numbers(node, "width", (0.2,))[0]))
        elif node[0] == "via":
            x, y = _numbers(node, "at")[:2]
            size = _numbers(node, "size", (0.6,))[0]
            board.holes.append((x, y, size / 2, _numbers(node, "drill", (size / 2,))[0] / 2))
            for copper in board.layers.values():
                copper.pads.append(("circle", x, y, size, size, 0.0))
        elif node[0] == "zone":
            _zone(node, board)
        elif node[0] in {"module", "footprint"}:
            _footprint(node, board, names)
    return board


def draw_layer(copper: Copper, origin: tuple[float, float], size: tuple[int, int], px_per_mm: float) -> Mask:
    """Draw a layer: uint8 (H, W), 0 or 1; `origin` is the board position of the corner in millimetres."""
    canvas = np.zeros(size, np.uint8)
    shift = np.array(origin)
    for area in copper.areas:
        polygon(canvas, (area - shift) * px_per_mm)
    for path, width in copper.lines:
        line(canvas, (path - shift) * px_per_mm, width * px_per_mm)
    for shape, x, y, width, height, angle in copper.pads:
        px, py = (x - origin[0]) * px_per_mm, (y - origin[1]) * px_per_mm
        w, h = width * px_per_mm, height * px_per_mm
        if shape == "circle":
            disc(canvas, px, py, w / 2)
        elif abs(np.sin(2 * angle)) < 1e-3:
            if abs(np.sin(angle)) > 0.5:
                w, h = h, w
            rectangle(canvas, px, py, w, h, min(w, h) / 2 if shape == "oval" else 0.0)
        else:
            corners = np.array([(-w, -h), (w, -h), (w, h), (-w, h)]) / 2
            turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            polygon(canvas, corners @ turn.T + np.array([px, py]))
    return (canvas > 127).astype(np.uint8)


def extent(board: KicadBoard) -> tuple[float, float, float, float]:
    """Bounding box of all copper in millimetres: x1, y1, x2, y2. Raises ValueError for an empty board."""
    points = [path for copper in board.layers.values() for path, _ in copper.lines]
    points += [area for copper in board.layers.values() for area in copper.areas]
    points += [np.array([[pad[1], pad[2]]]) for copper in board.layers.values() for pad in copper.pads]
    if not points:
        raise ValueError("the board has no copper")
    every = np.concatenate(points)
    x1, y1 = (float(value) for value in every.min(0) - 1)
    x2, y2 = (float(value) for value in every.max(0) + 1)
    return x1, y1, x2, y2


def _copper_names(root: Node) -> list[str]:
    """Names of the copper layers: those of the kinds that carry nets."""
    for node in root:
        if isinstance(node, list) and node and node[0] == "layers":
            return [
                str(entry[1])
                for entry in node[1:]
                if isinstance(entry, list) and len(entry) > 2 and entry[2] in {"signal", "power", "mixed", "jumper"}
            ]
    return ["F.Cu", "B.Cu"]


def _zone(node: Node, board: KicadBoard) -> None:
    layer = _word(node, "layer")
    for part in node:
        if isinstance(part, list) and part and part[0] == "filled_polygon":
            target = _word(part, "layer") or layer
            points = _find(part, "pts")
            if points is not None and target in board.layers:
                xy = [[float(str(p[1])), float(str(p[2]))] for p in points[1:] if isinstance(p, list)]
                board.layers[target].areas.append(np.array(xy))


def _footprint(node: Node, board: KicadBoard, names: list[str]) -> None:
    """Pads of a part, turned and moved with it."""
    at = _numbers(node, "at")
    turn = np.deg2rad(at[2]) if len(at) > 2 else 0.0
    for pad in node:
        if not isinstance(pad, list) or len(pad) < 4 or pad[0] != "pad":
            continue
        dx, dy, *rest = _numbers(pad, "at")
        x = at[0] + dx * np.cos(turn) + dy * np.sin(turn)
        y = at[1] - dx * np.sin(turn) + dy * np.cos(turn)
        angle = -np.deg2rad(rest[0]) if rest else 0.0  # the file's y axis points down
        size = _numbers(pad, "size", (1.0, 1.0))
        width, height = size[0], size[-1]
        drill = _find(pad, "drill")
        bores = [float(str(v)) for v in (drill or [])[1:] if isinstance(v, str) and _is_number(v)]
        if bores:
            board.holes.append((x, y, min(width, height) / 2, min(bores) / 2))
        if pad[2] == "np_thru_hole":
            continue
        layers = [str(value) for value in (_find(pad, "layers") or [])[1:]]
        every = "*.Cu" in layers or bool(bores)
        for name in names:
            front_or_back = (name == names[0] and "F.Cu" in layers) or (name == names[-1] and "B.Cu" in layers)
            if every or name in layers or front_or_back:
                board.layers[name].pads.append((str(pad[3]), x, y, width, height, float(angle)))


def _find(node: Node, keyword: str) -> Node | None:
    for part in node:
        if isinstance(part, list) and part and part[0] == keyword:
            return part
    return None


def _word(node: Node, keyword: str) -> str:
    part = _find(node, keyword)
    return str(part[1]) if part is not None and len(part) > 1 else ""


def _numbers(node: Node, keyword: str, default: tuple[float, ...] = (0.0, 0.0)) -> tuple[float, ...]:
    part = _find(node, keyword)
    values = tuple(float(v) for v in (part or [])[1:] if isinstance(v, str) and _is_number(v))
    return values or default


def _is_number(text: str) -> bool:
    return bool(re.fullmatch(r"[+-]?\d*\.?\d+(?:[eE][+-]?\d+)?", text))
