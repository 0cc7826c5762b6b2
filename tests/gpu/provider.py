"""Is the provider that was asked for really the one that runs, and is a card without CUDA's libraries refused?

ONNX Runtime falls back to the CPU without an error when a library of CUDA is missing. A function that did so would be
twenty times slower for months, and nobody would know why.
"""

from __future__ import annotations

import tempfile
from itertools import product
from pathlib import Path
from typing import Any

from gpu import functions, process

_LIBRARIES = ("libcudart", "libcublas", "libcublasLt", "libcudnn", "libcurand", "libcufft", "libnvrtc")
_MAJORS = (9, 10, 11, 12, 13)


def measure(name: str, device: str) -> dict[str, Any]:
    """Start the function on `device`, and once more on CUDA with CUDA's libraries hidden."""
    active = process.call("provider.start", name=name, device=device, hidden=False)
    with tempfile.TemporaryDirectory() as folder:
        # Found first, and no libraries: also what the system's own cache of libraries knows is hidden.
        for library, major in product(_LIBRARIES, _MAJORS):
            (Path(folder) / f"{library}.so.{major}").touch()
        hidden = process.call("provider.start", {"LD_LIBRARY_PATH": folder}, name=name, device="cuda", hidden=True)
    return {"active": active, "without_libraries": hidden, "ok": ok(active, hidden, device)}


def start(name: str, device: str, hidden: bool) -> dict[str, Any]:
    """Say which provider runs the function: {provider}, or how it refused: {code, message}."""
    import onnxruntime

    from pcb_aoi.errors import PcbAoiError

    if hidden and hasattr(onnxruntime, "preload_dlls"):
        del onnxruntime.preload_dlls  # it loads the nvidia-* packages by their paths
    try:
        return {"provider": functions.load(name, device).get().body["provider"]}
    except PcbAoiError as error:
        return {"code": error.code, "message": str(error)}


def ok(active: dict[str, Any], hidden: dict[str, Any], device: str) -> bool:
    """The first must run where it was told to, the second must have refused and named CUDA."""
    refused = hidden.get("code") == "model_error" and "CUDAExecutionProvider was asked for" in hidden["message"]
    return active.get("provider") == functions.PROVIDERS[device] and refused
