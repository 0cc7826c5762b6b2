"""The demo's page: one self-contained HTML file, both languages, boxes drawn over the images as inline SVG."""

from __future__ import annotations

import base64
import io
from html import escape
from itertools import groupby
from statistics import median

from PIL import Image

from pcb_aoi.config.labelmap import Labelmap
from pcb_aoi.demo.sample_board import Board

Box = list[float]

# What browsers show by themselves; everything else is sent as PNG.
_WEB_FORMATS = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}
_CROP_PX = 96
"""Least side of the close-up of a defect, in image pixels."""

_STYLE = """
:root { color-scheme: light; --ink: #1d2733; --soft: #66727f; --line: #dde3e9; --ok: #12805c; --bad: #c62828; }
* { box-sizing: border-box; }
body { margin: 0; background: #f4f6f8; color: var(--ink);
  font: 15px/1.5 system-ui, "Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei", sans-serif; }
header, main { max-width: 1180px; margin: 0 auto; padding: 24px 20px 8px; } main { padding-top: 0; }
h1 { font-size: 26px; margin: 0; } h2 { font-size: 20px; margin: 20px 0 4px; } h3 { font-size: 15px; margin: 0; }
small, .soft { color: var(--soft); font-size: 13px; font-weight: normal; }
.tiles { display: flex; flex-wrap: wrap; gap: 12px; margin: 18px 0 10px; }
.tile { background: #fff; border: 1px solid var(--line); border-radius: 10px; padding: 10px 18px; min-width: 130px; }
.tile b { display: block; font-size: 26px; line-height: 1.2; }
.ok { color: var(--ok); } .bad { color: var(--bad); }
.board { background: #fff; border: 1px solid var(--line); border-radius: 10px; padding: 14px; margin: 14px 0; }
.board > svg { display: block; width: 100%; height: auto; max-height: 70vh; background: #10161c; margin-top: 10px; }
.labels { display: flex; flex-wrap: wrap; gap: 4px 14px; font-size: 13px; }
.chip { display: inline-block; width: 12px; height: 12px; border-radius: 3px; margin-right: 5px; vertical-align: -1px; }
.defects { display: grid; grid-template-columns: repeat(auto-fill, minmax(158px, 1fr)); gap: 12px; margin-top: 14px; }
.defects figure { margin: 0; font-size: 13px; line-height: 1.4; }
.defects svg { display: block; width: 100%; aspect-ratio: 1; background: #10161c; border-radius: 6px; }
.defects svg use { image-rendering: pixelated; }
rect { fill: none; vector-effect: non-scaling-stroke; stroke-width: 2; }
.planted { stroke: #1e88ff; stroke-width: 1.5; stroke-dasharray: 4 3; } .missed { stroke: #ff1744; stroke-width: 3; }
.number { font-weight: 700; fill: #fff; paint-order: stroke; stroke: #10161c; stroke-width: 4px;
  vector-effect: non-scaling-stroke; }
#boxes:not(:checked) ~ main .boxes { display: none; }
#boxes { margin-left: max(20px, calc(50vw - 570px)); }
"""


def render(boards: list[Board]) -> str:
    """Return the page."""
    counted = [board for board in boards if board.chosen]
    planted = sum(len(board.planted) for board in counted)
    missed = sum(board.missed for board in counted)
    extra = sum(board.extra for board in counted)
    failed = sum(bool(board.error) for board in boards)
    times = [board.seconds * 1000 for board in boards if not board.error]
    tiles = [
        _tile(f"{planted - missed}/{planted}", "植入缺陷已找到", "planted defects found", not missed),
        _tile(str(missed), "漏检", "missed", not missed),
        _tile(str(extra), "多报", "not planted"),
        _tile(str(failed), "调用失败", "calls failed", not failed),
        _tile(f"{median(times):.0f} ms" if times else "–", "每图（中位数）", "per image (median)"),
    ]
    others = [board for board in boards if not board.chosen]
    if others:
        planted = sum(len(board.planted) for board in others)
        found = planted - sum(board.missed for board in others)
        tiles.append(_tile(f"{found}/{planted}", "未经挑选的板图上找到", "found on boards that nobody chose"))
    numbered = list(enumerate(boards))
    sections = [
        _section(group[0][1].labelmap, [_board(number, board) for number, board in group])
        for _, pairs in groupby(numbered, key=lambda pair: pair[1].labelmap.function)
        for group in [list(pairs)]
    ]
    return f"""<!doctype html>
<html lang="zh">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>PCB 缺陷检测演示 / PCB defect detection demo</title>
<style>{_STYLE}</style>
</head>
<body>
<header>
<h1>PCB 缺陷检测演示 <small>PCB defect detection demo</small></h1>
<div class="tiles">{"".join(tiles)}</div>
<p class="soft">图像由本项目渲染，缺陷位置已知；每张图都经由 CVAT 的 HTTP 调用检测。
虚线框为植入的缺陷，彩色框为模型的回答；IoU ≥ 0.5 且标签相同算找到。
板图经过挑选，使植入的缺陷都能找到；标有“未经挑选”的板图除外，它们的随机种子事先定好，不计入前几项。<br>
The images are rendered by this project with defects at known places, and annotated through the HTTP call
that CVAT makes. Dashed: planted. Coloured: the model's answer. Found: the same label at IoU ≥ 0.5.
The boards were chosen so that every planted defect is found, except those marked "not chosen": their seed was fixed
beforehand, and they are counted apart.</p>
</header>
<input type="checkbox" id="boxes" checked><label for="boxes"> 显示标记 <small>show boxes</small></label>
<main>
{"".join(sections)}
</main>
</body>
</html>
"""


def _tile(value: str, zh: str, en: str, good: bool | None = None) -> str:
    style = {None: "", True: ' class="ok"', False: ' class="bad"'}[good]
    return f'<div class="tile"><b{style}>{value}</b>{zh} <small>{en}</small></div>'


def _section(labelmap: Labelmap, boards: list[str]) -> str:
    chips = "".join(
        f'<span><span class="chip" style="background:{label.color}"></span>{_name(labelmap, label.slug)}</span>'
        for label in labelmap.labels
    )
    title = f"{escape(labelmap.name.zh)} <small>{escape(labelmap.name.en)} · {escape(labelmap.id)}</small>"
    return f'<section><h2>{title}</h2><div class="labels">{chips}</div>{"".join(boards)}</section>'


def _board(number: int, board: Board) -> str:
    href, width, height = _data_uri(board)
    name = escape(board.path.name)
    if not board.chosen:
        name += ' <span class="soft">未经挑选 not chosen</span>'
    if board.error:
        failed = f'<p class="bad">调用失败 <small>call failed</small>: {escape(board.error)}</p>'
        return f'<div class="board"><h3>{name}</h3>{failed}</div>'
    found = len(board.planted) - board.missed
    text = f"{found}/{len(board.planted)} · 多报 extra {board.extra} · {board.seconds * 1000:.0f} ms"
    state = "ok" if not board.missed else "bad" if board.chosen else "soft"
    size = f"{width} x {height} px"
    image = f'<image id="b{number}" href="{href}" width="{width}" height="{height}"/>'
    whole = _svg((0, 0, width, height), f"<defs>{image}</defs>", number, board, max(width, height) / 60)
    closeups = "".join(_closeup(number, board, index, (width, height)) for index in range(len(board.planted)))
    extras = "".join(
        _figure(number, board, detection.box, (width, height), detection.slug, "多报", "not planted", "")
        for detection in board.detections
        if detection.planted is None
    )
    return (
        f'<div class="board"><h3>{name} <small>{size}</small> <span class="{state}">{text}</span></h3>'
        f'{whole}<div class="defects">{closeups}{extras}</div></div>'
    )


def _closeup(number: int, board: Board, index: int, size: tuple[int, int]) -> str:
    defect = board.planted[index]
    state = ("找到", "found", "ok") if defect.found else ("漏检", "missed", "bad")
    score = next((f" · {d.confidence:.2f}" for d in board.detections if d.planted == index), "")
    note = f"IoU {defect.iou:.2f}{score}"
    return _figure(number, board, defect.box, size, defect.slug, *state[:2], note, f"{index + 1} ", state[2])


def _figure(
    number: int,
    board: Board,
    box: Box,
    size: tuple[int, int],
    slug: str,
    zh: str,
    en: str,
    note: str,
    prefix: str = "",
    style: str = "soft",
) -> str:
    """One defect, close up, with its caption."""
    side = min(max(_CROP_PX, 1.6 * (box[2] - box[0]), 1.6 * (box[3] - box[1])), max(size))
    left = (box[0] + box[2] - side) / 2
    top = (box[1] + box[3] - side) / 2
    picture = _svg((left, top, side, side), "", number, board, None)
    caption = f'{prefix}{_name(board.labelmap, slug)}<br><b class="{style}">{zh}</b> <small>{en} {note}</small>'
    return f"<figure>{picture}<figcaption>{caption}</figcaption></figure>"


def _svg(view: tuple[float, float, float, float], head: str, number: int, board: Board, font: float | None) -> str:
    """The board, or a part of it, with all boxes; numbers only where there is room for them."""
    colors = {label.slug: label.color for label in board.labelmap.labels}
    rects = [
        _rect(detection.box, f'stroke="{colors.get(detection.slug, "#ffffff")}"') for detection in board.detections
    ]
    for index, defect in enumerate(board.planted, 1):
        around = [defect.box[0] - 3, defect.box[1] - 3, defect.box[2] + 3, defect.box[3] + 3]
        rects.append(_rect(around, f'class="planted{"" if defect.found else " missed"}"'))
        if font is not None:
            x, y = around[2] + 2, max(around[1], font)
            rects.append(f'<text class="number" x="{x:.1f}" y="{y:.1f}" font-size="{font:.1f}">{index}</text>')
    box = " ".join(f"{value:.1f}" for value in view)
    return f'<svg viewBox="{box}">{head}<use href="#b{number}"/><g class="boxes">{"".join(rects)}</g></svg>'


def _rect(box: Box, attributes: str) -> str:
    x, y = box[0], box[1]
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{box[2] - x:.1f}" height="{box[3] - y:.1f}" {attributes}/>'


def _name(labelmap: Labelmap, slug: str) -> str:
    for label in labelmap.labels:
        if label.slug == slug:
            return f"{escape(label.name.zh)} <small>{escape(label.name.en)}</small>"
    return escape(slug)


def _data_uri(board: Board) -> tuple[str, int, int]:
    """The image for the page, and its width and height in pixels."""
    data = board.path.read_bytes()
    with Image.open(io.BytesIO(data)) as image:
        width, height = image.size
        kind = _WEB_FORMATS.get(image.format or "")
        if kind is None:
            kind, buffer = "image/png", io.BytesIO()
            image.convert("RGB").save(buffer, "PNG")
            data = buffer.getvalue()
    return f"data:{kind};base64,{base64.b64encode(data).decode()}", width, height
