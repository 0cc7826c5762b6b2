"""The five functions, loaded as nuclio loads them, and the sample boards that each is asked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from calling import Function
from gpu.process import ROOT

NAMES = tuple(sorted(path.parent.name for path in (ROOT / "functions").glob("*/model.yaml")))
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


def load(name: str, device: str, batch: int | None = None, gpu_mem_mib: int | None = None) -> Function:
    """Load one function folder with the settings that ops would give it.

    Raises:
        PcbAoiError: the function refuses to start.
    """
    env = {"PCB_AOI_DEVICE": device, "PCB_AOI_DEADLINE_S": "900"}  # measured, not refused
    env["PCB_AOI_PRECISION"] = "float32"  # what a GPU runs; the reference on the CPU must be of the same weights
    if batch:
        env["PCB_AOI_BATCH"] = str(batch)
    if gpu_mem_mib:
        env["PCB_AOI_GPU_MEM_MIB"] = str(gpu_mem_mib)
    return Function(ROOT / "functions" / name, env)


def samples(name: str) -> list[Path]:
    """The sample boards of a function, by name."""
    return sorted(path for path in (ROOT / "samples" / name).iterdir() if path.suffix in (".jpg", ".png"))


def ask(names: Sequence[str], device: str, batch: int | None = None) -> dict[str, Any]:
    """Ask each function all its samples: {function: {provider, batch, version, images: {file: shapes}}}."""
    answers: dict[str, Any] = {}
    for name in names:
        function = load(name, device, batch)
        images = {}
        for path in samples(name):
            answer = function.annotate(path.read_bytes())
            assert answer.status == 200, answer.text
            images[path.name] = answer.body
        facts = {key: function.get().body[key] for key in ("provider", "batch", "version", "threshold")}
        answers[name] = {**facts, "images": images}
    return answers
