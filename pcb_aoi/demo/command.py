"""`pcb-aoi demo`: sample boards with planted defects through the HTTP call that CVAT makes, and a page to look at.

The samples' seeds are chosen so that everything is found; samples/<function>/not-chosen.json has boards whose seed was
fixed beforehand. These are shown and counted apart, and a miss on them is no failure of the demo.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pcb_aoi.config.generated import offered
from pcb_aoi.config.labelmap import Labelmap
from pcb_aoi.config.model_config import ModelConfig
from pcb_aoi.demo import page
from pcb_aoi.demo.cvat_client import CallFailed, Dashboard
from pcb_aoi.demo.sample_board import Board, Detection, Planted, match
from pcb_aoi.errors import ConfigError, PcbAoiError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `pcb-aoi demo`."""
    parser.add_argument("--root", type=Path, default=Path(), help="folder of functions/, labelmaps/, samples/")
    parser.add_argument("--out", type=Path, default=Path("out"), help="where index.html goes (default: out)")
    parser.add_argument("--function", action="append", default=[], metavar="NAME", help="only this function")
    parser.add_argument("--gpu", action="store_true", help="start the functions as function-gpu.yaml says")


def run(args: argparse.Namespace) -> int:
    """Run the demo; 1 when a planted defect of a chosen board was missed or a call failed."""
    boards = read_samples(args.root, args.function)
    args.out.mkdir(parents=True, exist_ok=True)
    log = args.out / "serve.log"
    names = list(dict.fromkeys(board.labelmap.function for board in boards))
    print(f"启动内置平台 / starting the embedded platform: {', '.join(names)}", flush=True)
    with platform(args.root / "functions", names, log, args.gpu) as url:
        annotate(boards, Dashboard(url))
    print_table(boards)
    index = args.out / "index.html"
    index.write_text(page.render(boards), "utf-8")
    planted, missed = totals(boards, chosen=True)
    failed = sum(bool(board.error) for board in boards)
    print(f"\n植入缺陷找到 {planted - missed}/{planted}，漏检 {missed}，调用失败 {failed}")
    print(f"{planted - missed} of {planted} planted defects found, {missed} missed, {failed} calls failed")
    if not all(board.chosen for board in boards):
        others, lost = totals(boards, chosen=False)
        print(f"上面是挑选过的板图。未经挑选的板图：找到 {others - lost}/{others}")
        print(f"those boards were chosen; on boards that nobody chose {others - lost} of {others} are found")
    print(f"请用浏览器打开 / open in a browser: {index.resolve()}")
    if failed:
        print(f"平台日志 / log of the platform: {log.resolve()}", file=sys.stderr)
    return 1 if missed or failed else 0


def totals(boards: list[Board], chosen: bool) -> tuple[int, int]:
    """Planted and missed defects of the boards that were chosen, or of those that were not."""
    counted = [board for board in boards if board.chosen is chosen]
    return sum(len(board.planted) for board in counted), sum(board.missed for board in counted)


def read_samples(root: Path, functions: list[str]) -> list[Board]:
    """Read samples/<function>/truth.json, and not-chosen.json where there is one, of the functions named, or of all.

    Functions whose model.yaml says that they have no weights yet are left out, with a line that says so.

    Raises:
        ConfigError: there is nothing to show, or a file is not what it should be.
    """
    boards: list[Board] = []
    folders = sorted(path.parent for path in (root / "samples").glob("*/truth.json"))
    truths = [path for folder in folders for path in (folder / "truth.json", folder / "not-chosen.json")]
    for truth in (path for path in truths if path.exists()):
        name = truth.parent.name
        if functions and name not in functions:
            continue
        config = ModelConfig.load(root / "functions" / name / "model.yaml")
        if config.sha256 is None:
            print(f"跳过，还没有权重 / skipped, no weights yet: {name}")
            continue
        labelmap = offered(Labelmap.load(root / "labelmaps" / f"{name}.yaml"), config)
        try:
            for image in json.loads(truth.read_text("utf-8"))["images"]:
                planted = [Planted(str(d["label"]), [float(v) for v in d["box"]]) for d in image["defects"]]
                boards.append(
                    Board(labelmap, truth.parent / image["file"], planted, [], chosen=truth.name == "truth.json")
                )
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(f"{truth}: not a list of images with defects: {error!r}") from error
    if not boards:
        raise ConfigError(f"{root / 'samples'}: no sample images for {', '.join(functions) or 'any function'}")
    return boards


@contextmanager
def platform(functions: Path, names: list[str], log: Path, gpu: bool = False) -> Iterator[str]:
    """Run `pcb-aoi serve` on a free loopback port; yields its address, and stops it at the end."""
    command = [sys.executable, "-m", "pcb_aoi.cli", "serve", "--port", "0", "--functions", str(functions)]
    command += [word for name in names for word in ("--function", name)] + ["--gpu"] * gpu
    with log.open("w") as errors, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as child:
        try:
            assert child.stdout is not None
            url = child.stdout.readline().strip()
            if not url:
                raise PcbAoiError("the platform did not start", detail=log.read_text("utf-8").strip())
            yield url
        finally:
            child.terminate()


def annotate(boards: list[Board], dashboard: Dashboard) -> None:
    """Post every board to its function, and fill in what came back."""
    listed = dashboard.functions()
    for number, board in enumerate(boards, 1):
        print(f"[{number}/{len(boards)}] {board.labelmap.name.zh} {board.path.name} ... ", end="", flush=True)
        try:
            if board.labelmap.id not in listed:
                raise CallFailed(f"{board.labelmap.id} is not in CVAT's model list; serve.log says why")
            reply = dashboard.annotate(board.labelmap.id, board.path.read_bytes())
            board.seconds = reply.seconds
            board.detections = [_detection(board.labelmap, shape) for shape in reply.shapes]
            match(board.planted, board.detections)
        except CallFailed as error:
            board.error = str(error)
            print(f"失败 / failed: {error}", flush=True)
            continue
        found = len(board.planted) - board.missed
        print(f"{found}/{len(board.planted)}, {board.seconds * 1000:.0f} ms", flush=True)


def _detection(labelmap: Labelmap, shape: dict[str, object]) -> Detection:
    slugs = {text: label.slug for label in labelmap.labels for text in (label.name.zh, label.name.en)}
    points = shape["points"]
    assert isinstance(points, list)
    x, y = points[::2], points[1::2]  # of a box or a polygon
    box = [float(value) for value in (min(x), min(y), max(x), max(y))]
    name = str(shape["label"])
    return Detection(slugs.get(name, name), box, float(str(shape.get("confidence", 1))))


def print_table(boards: list[Board]) -> None:
    """Print one line an image."""
    rows = [("图像 image", "功能 function", "植入 planted", "找到 found", "漏检 missed", "多报 extra", "ms")]
    for board in boards:
        counts = (len(board.planted), len(board.planted) - board.missed, board.missed, board.extra)
        texts = [str(count) for count in counts] if not board.error else [str(counts[0]), "-", "-", "-"]
        time = "失败 failed" if board.error else f"{board.seconds * 1000:.0f}"
        rows.append((board.path.name, board.labelmap.name.zh, texts[0], texts[1], texts[2], texts[3], time))
    widths = [max(_width(row[column]) for row in rows) for column in range(len(rows[0]))]
    print()
    for row in rows:
        print("  ".join(text + " " * (width - _width(text)) for text, width in zip(row, widths, strict=True)).rstrip())


def _width(text: str) -> int:
    """Columns in a terminal: Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
