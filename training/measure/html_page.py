"""The page of an evaluation, one self-contained HTML file in both languages: figures, confusion matrix, worst pictures.

A number of the matrix leads to the pictures behind it, and a picture to its frame in CVAT where the export tells which.
"""

from __future__ import annotations

import base64
import io
from collections import defaultdict
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image

from pcb_aoi.exports.scene import Scene
from training.measure import metrics
from training.measure.material import Material
from training.measure.runs import Measured

WORST = 30  # pictures that are drawn, those with the most mistakes
LISTED = 200  # pictures that are named behind a number of the matrix
SIDE = 1000  # px: larger pictures are shown smaller

STYLE = """
body { margin: 0 auto; max-width: 1180px; padding: 0 20px 60px; background: #f4f6f8; color: #1d2733;
  font: 15px/1.5 system-ui, "Noto Sans CJK SC", "Microsoft YaHei", sans-serif; }
small { color: #66727f; font-weight: normal; } a { color: #0b62c4; }
table { border-collapse: collapse; background: #fff; } td, th { border: 1px solid #dde3e9; padding: 3px 9px; }
td { text-align: right; } th { font-weight: 600; } .right { background: #dff3ea; } .wrong { background: #fdecec; }
figure { margin: 18px 0; } svg { display: block; max-width: 100%; max-height: 80vh; background: #10161c; }
rect { fill: none; vector-effect: non-scaling-stroke; stroke-width: 2; } svg text { paint-order: stroke; stroke: #000;
  stroke-width: 3; }
.truth { stroke: #1e88ff; stroke-dasharray: 5 3; } .missed { stroke: #ff1744; stroke-width: 3; }
.call { stroke: #20d080; } .false { stroke: #ffb300; }
"""


class Page:
    """What an evaluation found, to be written as HTML. `names` are those of the labels, in their order."""

    def __init__(
        self, names: tuple[str, ...], run: Measured, material: Material, threshold: float, cvat: str | None
    ) -> None:
        self.names, self.run, self.material = names, run, material
        self.threshold, self.cvat = threshold, cvat.rstrip("/") if cvat else ""
        self.events = [
            metrics.judged(scene, found, len(names), threshold)
            for scene, found in zip(run.scenes, run.results, strict=True)
        ]
        mistakes = [int((rows[:, 0] != rows[:, 1]).sum()) for rows in self.events]
        order = sorted(range(len(mistakes)), key=lambda number: -mistakes[number])
        self.worst = [number for number in order[:WORST] if mistakes[number]]

    def html(self, title: str) -> str:
        """The page."""
        return (
            f'<!doctype html>\n<html lang="zh"><head><meta charset="utf-8"><title>{escape(title)}</title>'
            f"<style>{STYLE}</style></head><body>\n<h1>{escape(title)}</h1>\n"
            f"<p>{len(self.run.scenes)} 张图 <small>images</small>，阈值 <small>threshold</small> {self.threshold:g}"
            f"</p>\n{self._figures()}\n{self._matrix()}\n{self._pictures()}\n</body></html>\n"
        )

    def _figures(self) -> str:
        rows = []
        for index, name in [*enumerate(self.names), (-1, "全部 all")]:
            curve = metrics.curve(self.run.scenes, self.run.results, index)
            calls = int((curve.scores >= self.threshold).sum())
            values = curve.at(self.threshold) if curve.defects else ()
            cells = "".join(f"<td>{value:.3f}</td>" for value in values) or "<td>–</td>" * 3
            rows.append(f"<tr><th>{escape(name)}</th><td>{curve.defects}</td><td>{calls}</td>{cells}</tr>")
        head = ("标签 label", "缺陷 defects", "检出 calls", "准确率 precision", "召回率 recall", "F1")
        return f"<table><tr>{''.join(f'<th>{text}</th>' for text in head)}</tr>{''.join(rows)}</table>"

    def _matrix(self) -> str:
        count = len(self.names)
        behind: dict[tuple[int, int], list[int]] = defaultdict(list)
        for number, rows in enumerate(self.events):
            for row, column in np.unique(rows, axis=0).tolist():
                behind[row, column].append(number)
        table = metrics.confusion(self.run.scenes, self.run.results, count, self.threshold)
        columns = [
            *map(escape, self.names),
            "BG <small>其实没有 nothing</small>",
            "LOC <small>框太松 loose</small>",
        ]
        lines = [f"<tr><th>检出 called ↓ · 实际 true →</th>{''.join(f'<th>{text}</th>' for text in columns)}</tr>"]
        lists = []
        for row, name in enumerate([*map(escape, self.names), "{} <small>漏检 missed</small>"]):
            cells = []
            for column in range(count + 2):
                if not table[row, column]:
                    cells.append("<td></td>")
                    continue
                kind = "right" if row == column else "wrong"
                cells.append(f'<td class="{kind}"><a href="#c{row}-{column}">{table[row, column]}</a></td>')
                links = [self._link(number) for number in behind[row, column][:LISTED]]
                more = " …" if len(behind[row, column]) > LISTED else ""
                lists.append(
                    f'<details id="c{row}-{column}"><summary>{name} · {columns[column]}: {table[row, column]}</summary>'
                    f"{', '.join(links)}{more}</details>"
                )
            lines.append(f"<tr><th>{name}</th>{''.join(cells)}</tr>")
        # A link into a closed <details> opens it only in newer browsers.
        script = "<script>onhashchange=()=>{const x=document.querySelector(location.hash);if(x)x.open=true}</script>"
        return (
            "<h2>混淆矩阵 <small>confusion matrix</small></h2><p>LOC：标签对，IoU 0.1 至 0.5，其缺陷也算漏检 "
            "<small>the right label at IoU 0.1 to 0.5; its defect counts as missed, too</small></p>"
            f"<table>{''.join(lines)}</table>{''.join(lists)}{script}"
        )

    def _link(self, number: int) -> str:
        name, frame = escape(self.run.scenes[number].name), self.material.frames[number]
        if self.cvat and frame:
            return f'<a href="{escape(self.cvat)}/{escape(frame)}">{name}</a>'
        return f'<a href="#p{number}">{name}</a>' if number in self.worst else name

    def _pictures(self) -> str:
        figures = []
        for number in self.worst:
            count = int((self.events[number][:, 0] != self.events[number][:, 1]).sum())
            caption = f"{self._link(number)} · {count} 处错误 <small>mistakes</small>"
            picture = self._drawn(self.material.pictures[number](), number)
            figures.append(f'<figure id="p{number}"><figcaption>{caption}</figcaption>{picture}</figure>')
        return (
            "<h2>最差的图 <small>worst pictures</small></h2><p>蓝虚线：标注；红：漏检；绿：正确的检出；黄：错误的检出 "
            "<small>dashed blue: annotated; red: missed; green: right calls; amber: wrong calls</small></p>"
            + "".join(figures)
        )

    def _drawn(self, scene: Scene, number: int) -> str:
        """The picture with what is annotated and what is called."""
        truth, found = self.run.scenes[number], self.run.results[number]
        found = found[found.scores >= self.threshold]
        hit = metrics.matches(found.boxes, truth.boxes)
        right = (hit >= 0) & (truth.labels[hit] == found.labels if len(truth.labels) else False)
        view = Image.fromarray(scene.image).convert("RGB")
        width, height = view.size
        view.thumbnail((SIDE, SIDE))
        buffer = io.BytesIO()
        view.save(buffer, "JPEG", quality=85)
        parts = [
            self._rect(box, int(label), "truth" if row in hit else "missed", "")
            for row, (box, label) in enumerate(zip(truth.boxes, truth.labels, strict=True))
        ]
        for row, (box, score) in enumerate(zip(found.boxes, found.scores, strict=True)):
            kind = "call" if right[row] else "false"
            parts.append(self._rect(box, int(found.labels[row]), kind, f" {score:.2f}"))
        image = f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
        return (
            f'<svg viewBox="0 0 {width} {height}" width="{max(width, 640)}">'
            f'<image href="{image}" width="{width}" height="{height}"/>{"".join(parts)}</svg>'
        )

    def _rect(self, box: np.ndarray, label: int, kind: str, note: str) -> str:
        x1, y1, x2, y2 = (float(edge) for edge in box)
        name = f"{escape(self.names[label])}{note}"
        text = f'<text x="{x1:.1f}" y="{max(y1 - 3, 11):.1f}" font-size="12" fill="#fff">{name}</text>'
        shape = f'x="{x1:.1f}" y="{y1:.1f}" width="{x2 - x1:.1f}" height="{y2 - y1:.1f}"'
        return f'<rect {shape} class="{kind}"><title>{name}</title></rect>{text if kind != "truth" else ""}'


def write(path: Path, page: Page, title: str) -> None:
    """Write the page, its folders too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page.html(title), encoding="utf-8")
