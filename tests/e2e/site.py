"""A site: a copy of this checkout in which every function has weights, and the tools that ops would have."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import analytic
import onnx
import yaml
from onnx import helper, numpy_helper
from PIL import Image

from tests.e2e.engine import Engine
from tests.e2e.programs import VERSIONS, Programs

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = ("inner-layer", "acid-outer-layer", "alkaline-outer-layer", "resin-plug", "gold-osp")
NEWEST = VERSIONS[0].version


def make_site(target: Path) -> Path:
    """Copy what git would carry, and give a known detector to each function that has no weights yet."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.split("\0")):
        source = ROOT / name
        if source.is_file() and not name.startswith(("boards/", "training/", "tests/")):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name)
    for function in FUNCTIONS:
        if yaml.safe_load((target / "functions" / function / "model.yaml").read_text("utf-8"))["sha256"] is None:
            _give_weights(target, function)
    return target


def _give_weights(site: Path, function: str) -> None:
    """Install the detector of bright rectangles under the function's own labels, and a sample it can find."""
    folder = site / "functions" / function
    text = (folder / "model.yaml").read_text("utf-8")
    config = yaml.safe_load(text)
    slugs = [label["slug"] for label in config["labels"]]
    weights = _with_classes(analytic.model(analytic.TILE), slugs)
    (folder / config["weights"]).write_bytes(weights)
    # By hand: the file has generated lines that must stay as they are.
    known = {"sha256": f'"{hashlib.sha256(weights).hexdigest()}"', "tile": str(analytic.TILE), "overlap": "16"}
    for key, value in known.items():
        text = re.sub(rf"(?m)^{key}: .*$", f"{key}: {value}", text)
    (folder / "model.yaml").write_text(text, "utf-8")
    samples = site / "samples" / function
    shutil.rmtree(samples, ignore_errors=True)
    samples.mkdir(parents=True)
    box = (40, 24, 56, 40)
    Image.fromarray(analytic.board(96, 128, [box])).save(samples / "known.png")
    truth = {"images": [{"file": "known.png", "um_per_px": 10, "defects": [{"label": slugs[0], "box": box}]}]}
    (samples / "truth.json").write_text(json.dumps(truth), "utf-8")


def _with_classes(weights: bytes, slugs: list[str]) -> bytes:
    """Widen the two classes of the known detector to the function's; the others never score."""
    model = onnx.load_from_string(weights)
    graph = model.graph
    producer = next(node for node in graph.node if "scores" in node.output)
    producer.output[0] = "two"
    pads = numpy_helper.from_array(analytic.i64([0, 0, 0, 0, 0, len(slugs) - 2]), "class_pads")
    graph.initializer.append(pads)
    graph.node.append(helper.make_node("Pad", ["two", "class_pads"], ["scores"]))
    scores = next(output for output in graph.output if output.name == "scores")
    scores.type.tensor_type.shape.dim[2].dim_value = len(slugs)
    helper.set_model_props(model, {"slugs": json.dumps(slugs)})
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


class Ops:
    """Somebody who runs deploy.sh in a site, with Docker and nuctl on PATH."""

    def __init__(self, site: Path, engine: Engine, tools: Path, programs: Programs = VERSIONS[0]) -> None:
        self.site, self.engine, self._version = site, engine, programs.version
        self._tools = tools / f"nuctl-{programs.version}"
        self._tools.mkdir(parents=True, exist_ok=True)
        (self._tools / "nuctl").write_text(f'#!/bin/sh\nexec {shlex.join(programs.nuctl)} "$@"\n', "utf-8")
        (self._tools / "nuctl").chmod(0o755)

    @property
    def environment(self) -> dict[str, str]:
        env = dict(os.environ) | self.engine.environment | {"NUCLIO_STANDIN_VERSION": self._version}
        env["PATH"] = f"{self._tools}:{env['PATH']}"
        env.setdefault("PIP_CACHE_DIR", str(Path.home() / ".cache" / "pip"))
        cert = env.get("PIP_CERT") or _pip_setting("global.cert")
        if cert:
            env["PIP_CERT"] = cert
        return env

    def deploy(self, *options: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run deploy.sh; the result carries both streams in stdout."""
        return self.run([str(self.site / "deploy.sh"), *options], more)

    def run(self, command: list[str], more: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.engine.prefix, *command], cwd=self.site, env=self.environment | dict(more or {}), check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=1200,
        )  # fmt: skip

    def nuctl(self, *command: str) -> subprocess.CompletedProcess[str]:
        return self.run(["nuctl", *command])


def _pip_setting(name: str) -> str:
    result = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", name], capture_output=True, text=True, check=False
    )
    return result.stdout.strip()
