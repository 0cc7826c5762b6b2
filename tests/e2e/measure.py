"""Print sizes, cold start and memory: `python -m tests.e2e.measure [--json FILE]`, as root, after prepare.sh.

Of the functions as containers of a real Docker engine, on this machine. `--json results/docker.json` writes what the
documents quote.
"""

from __future__ import annotations

import argparse
import base64
import datetime
import io
import json
import os
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.e2e import images
from tests.e2e.engine import Engine
from tests.e2e.programs import VERSIONS
from tests.e2e.site import Ops, make_site
from tests.e2e.test_docker import BASE, PORTS, answers, containers, eventually

SIDE = 4096
FIGURES: dict[str, object] = {"command": "python -m tests.e2e.measure", "date": f"{datetime.date.today()}"}
"""What `--json` writes; of the five functions the least and the most."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.measure", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="results/docker.json for the documents")
    args = parser.parse_args()
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "pcb-aoi-e2e"
    work = Path(tempfile.mkdtemp(prefix="pcb-e2e-"))
    engine = Engine(work / "engine")
    engine.start()
    try:
        images.import_python(engine, cache)
        images.import_helpers(engine, VERSIONS[0], cache)
        ops = Ops(make_site(work / "pcb-aoi"), engine, work / "tools")
        started = time.monotonic()
        result = ops.deploy("up", "--platform", "local", "--no-pull")
        if result.returncode:
            raise SystemExit(result.stdout)
        FIGURES["up_first_s"] = round(time.monotonic() - started)
        print(f"up, fresh clone: {FIGURES['up_first_s']} s")
        started = time.monotonic()
        ops.deploy("up", "--platform", "local", "--no-pull")
        FIGURES["up_again_s"] = round(time.monotonic() - started)
        print(f"up, nothing changed: {FIGURES['up_again_s']} s")
        _sizes(engine)
        _cold_start(engine)
        _memory(engine)
        if args.json:
            FIGURES.update(nuclio=str(VERSIONS[0]), cores=len(os.sched_getaffinity(0)))
            args.json.write_text(json.dumps(FIGURES, indent=1) + "\n", "utf-8")
    finally:
        engine.stop()


def _sizes(engine: Engine) -> None:
    def size(image: str) -> int:
        return int(engine.docker("image", "inspect", "--format", "{{.Size}}", image))

    python, base = size(images.PYTHON_IMAGE), size(BASE)
    print(f"{images.PYTHON_IMAGE} as made here: {python / 1e6:.0f} MB")
    FIGURES.update(base_mb=round(base / 1e6), base_ours_mb=round((base - python) / 1e6))
    print(f"{BASE}: {base / 1e6:.0f} MB, of which ours {(base - python) / 1e6:.0f} MB")
    for name in sorted(PORTS):
        image = engine.docker("inspect", "--format", "{{.Config.Image}}", f"nuclio-nuclio-{name}").strip()
        print(f"{image}: {(size(image) - base) / 1e6:.1f} MB on top of the base")


def _cold_start(engine: Engine) -> None:
    seconds = []
    for name, port in sorted(PORTS.items()):
        engine.docker("stop", f"nuclio-nuclio-{name}")
        started = time.monotonic()
        engine.docker("start", f"nuclio-nuclio-{name}")
        eventually(lambda port=port: answers(port))  # type: ignore[misc]
        seconds.append(round(time.monotonic() - started, 1))
        print(f"{name}: container start to first answer {seconds[-1]:.1f} s")
    FIGURES["start_s"] = [min(seconds), max(seconds)]


def _memory(engine: Engine) -> None:
    def used() -> dict[str, float]:
        pages = engine.docker("stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}", *containers(engine))
        return {line.split()[0]: _mib(line.split()[1]) for line in pages.splitlines()}

    idle = used()
    rng = np.random.default_rng(0)
    board = np.where(rng.random((SIDE // 16, SIDE // 16)) < 0.5, 40, 120).astype(np.uint8).repeat(16, 0).repeat(16, 1)
    buffer = io.BytesIO()
    Image.fromarray(board).save(buffer, "PNG")
    body = json.dumps({"image": base64.b64encode(buffer.getvalue()).decode()}).encode()
    for name, port in sorted(PORTS.items()):
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}", data=body, headers={"Content-Type": "application/json"}
        )
        started = time.monotonic()
        with urllib.request.urlopen(request, timeout=120) as response:
            response.read()
        print(f"{name}: {SIDE} x {SIDE} in {time.monotonic() - started:.1f} s")
    after = used()
    for name in sorted(idle):
        print(f"{name}: {idle[name]:.0f} MiB idle, {after[name]:.0f} MiB after a {SIDE} x {SIDE} board")
    FIGURES["idle_mib"] = [round(min(idle.values())), round(max(idle.values()))]
    FIGURES["board_mib"] = [round(min(after.values())), round(max(after.values()))]
    FIGURES.update(five_idle_mib=round(sum(idle.values())), five_board_mib=round(sum(after.values())))
    print(f"five together: {sum(idle.values()):.0f} MiB idle, {sum(after.values()):.0f} MiB after")


def _mib(text: str) -> float:
    for unit, factor in (("GiB", 1024.0), ("MiB", 1.0), ("KiB", 1 / 1024)):
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * factor
    return float(text.removesuffix("B")) / 2**20


if __name__ == "__main__":
    main()
