"""ONNX Runtime: provider chosen and verified, one fixed tensor shape, warm-up, recovery from lack of memory.

It runs arrays through a network and knows nothing of tiles, labels or what the outputs mean: that is model.py.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from pcb_aoi.config.settings import MIB, Settings
from pcb_aoi.engine.cores import usable_cores
from pcb_aoi.engine.detections import Float32
from pcb_aoi.engine.signature import Port, Signature
from pcb_aoi.errors import ModelError, OutOfMemory

log = logging.getLogger(__name__)

Array = npt.NDArray[Any]

_INPUT_TYPES = {"tensor(uint8)": np.uint8, "tensor(float)": np.float32, "tensor(float16)": np.float16}
_CPU_BATCH, _GPU_BATCH = 1, 16
_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
# What ONNX Runtime, CUDA and cuDNN say when memory is short.
_OUT_OF_MEMORY = ("failed to allocate memory", "out of memory", "cudnn_status_alloc_failed", "bad_alloc")


class Runtime:
    """One loaded network. `run` is not for several threads at once: the caller holds a lock or is alone."""

    def __init__(
        self,
        weights: bytes,
        settings: Settings,
        *,
        batched: bool = True,
        constants: Mapping[str, Array] | None = None,
    ) -> None:
        """Load the bytes of an ONNX file and verify the provider; `warm_up` comes next.

        Args:
            weights: the file's content.
            settings: device, threads, batch.
            batched: every output has the batch in front, which is then checked; else items go one a call.
            constants: what further inputs take for each item, without the batch in front.

        Raises:
            ModelError: the file is no usable ONNX model, or would run on another device than the one asked for.
            OutOfMemory: the weights do not fit.
        """
        self._weights, self._settings, self._batched = weights, settings, batched
        self._constants = dict(constants or {})
        self._load()
        self.metadata: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        self.signature = signature(self._session)
        """As the file says."""
        self.input_shape = next(port.shape for port in self.signature.inputs if port.name == self._input_name)
        on_gpu = self.provider != _PROVIDERS["cpu"]
        # cuDNN searches its algorithms anew for every shape, so a GPU always gets full batches.
        self._always_full = on_gpu or self._frozen_batch is not None
        wanted = settings.batch or (_GPU_BATCH if on_gpu else _CPU_BATCH)
        self.batch: int = self._frozen_batch or (wanted if batched else 1)
        """Items a call; halved when memory runs out."""
        self.seconds_per_item = 0.0
        self._tile_size = 0

    @property
    def _frozen_batch(self) -> int | None:
        """The batch size that an export is frozen at, or None if it is dynamic."""
        size = self.input_shape[0] if self.input_shape else None
        return size if isinstance(size, int) and size > 0 else None

    def warm_up(self, blank: Array) -> list[Float32]:
        """Run a full batch of one input (1, ...), so that no request pays for initialisation; return its outputs.

        Raises:
            OutOfMemory: not even one item fits.
            ModelError: see `run`.
        """
        self._blank, self._tile_size = blank, blank[0].size
        return self.run(np.repeat(blank, self.batch, axis=0))

    def measure(self) -> float:
        """Run blank items to know how fast the machine is at this time; return seconds an item, the best of two."""
        full = np.repeat(self._blank, self.batch, axis=0)
        times = []
        for _ in range(2):
            started = time.perf_counter()
            self._in_batches(full)
            times.append((time.perf_counter() - started) / self.batch)
        self.seconds_per_item = min(times)
        return self.seconds_per_item

    def run(self, items: Array) -> list[Float32]:
        """Infer items (B, ...), at most `batch` at a time; return the outputs as float32, each with B in front.

        Raises:
            OutOfMemory: memory ran out, and again after the batch was halved and the session rebuilt.
            ModelError: ONNX Runtime failed in any other way, or the outputs are not of as many items.
        """
        if self._session is None:  # memory was too short to rebuild it, and may be there again
            self._load()
        started = time.perf_counter()
        try:
            outputs = self._in_batches(items)
        except OutOfMemory:
            self._shrink()
            outputs = self._in_batches(items)
        # Of a full tile: a small picture's time grows with its area.
        taken = (time.perf_counter() - started) * (self._tile_size or items[0].size) / items.size
        # A running mean that follows a machine that gets slower or faster within a few batches.
        self.seconds_per_item += 0.2 * (taken - self.seconds_per_item)
        return outputs

    def _in_batches(self, items: Array) -> list[Float32]:
        """The caller may have made its items before the batch was halved: they are never sent in one piece again."""
        parts = [self._infer(items[i : i + self.batch]) for i in range(0, len(items), self.batch)]
        return parts[0] if len(parts) == 1 else [np.concatenate(outputs) for outputs in zip(*parts, strict=True)]

    def _infer(self, items: Array) -> list[Float32]:
        count = len(items)
        if self._always_full and count < self.batch:
            items = np.concatenate([items, np.zeros((self.batch - count, *items.shape[1:]), items.dtype)])
        feed = {self._input_name: items.astype(self._input_type, copy=False)}
        for name, value in self._constants.items():
            feed[name] = np.repeat(value[None], len(items), axis=0)
        try:
            outputs = self._session.run(None, feed)
        except Exception as error:  # ONNX Runtime's exception types have no public base class
            if any(sign in str(error).lower() for sign in _OUT_OF_MEMORY):
                raise OutOfMemory("the device is out of memory", detail=str(error)) from error
            raise ModelError("inference failed", detail=f"{type(error).__name__}: {error}") from error
        arrays = [np.asarray(output) for output in outputs]
        if self._batched and any(array.ndim == 0 or len(array) != len(items) for array in arrays):
            shapes = ", ".join(str(array.shape) for array in arrays)
            cure = (
                "the export froze its batch; export it with a dynamic batch, or set PCB_AOI_BATCH=1"
                if len(items) > 1
                else "its boxes have no batch: head yolov7 or torchvision may read them"
            )
            raise ModelError(f"of {len(items)} tiles fed, the outputs hold {shapes}: {cure}")
        return [(array[:count] if self._batched else array).astype(np.float32, copy=False) for array in arrays]

    def _shrink(self) -> None:
        """Halve the batch and rebuild the session: after a failed allocation it may fail on every further call."""
        if self.batch == 1 or self._frozen_batch:
            # The next request must find a session that works.
            self._load()
            raise OutOfMemory("the device is out of memory for a single batch of tiles")
        self.batch = max(1, self.batch // 2)
        log.warning("out of memory: batch halved to %d, session rebuilt", self.batch)
        self._load()

    def _load(self) -> None:
        self._session: Any = None  # free the old one first: two do not fit where one just did not
        self._session = create(self._weights, self._settings)
        self.provider = str(self._session.get_providers()[0])
        """The execution provider that really runs the network."""
        every = self._session.get_inputs()
        inputs = [item for item in every if item.name not in self._constants]
        if len(inputs) != 1 or len(every) != 1 + len(self._constants):
            names = ", ".join(item.name for item in every)
            fed = "".join(f" beside {name}" for name in self._constants)
            raise ModelError(f"the model must have one input{fed}, it has {len(every)}: {names}")
        if inputs[0].type not in _INPUT_TYPES:
            raise ModelError(f"the model's input must be uint8, float16 or float32, is {inputs[0].type}")
        self._input_name, self._input_type = inputs[0].name, _INPUT_TYPES[inputs[0].type]


def signature(session: Any) -> Signature:  # noqa: ANN401 - onnxruntime publishes no types
    """Return what the file of an InferenceSession says of itself."""

    def ports(items: Any) -> tuple[Port, ...]:  # noqa: ANN401
        return tuple(Port(item.name, tuple(item.shape), item.type) for item in items)

    metadata = dict(session.get_modelmeta().custom_metadata_map)
    return Signature(ports(session.get_inputs()), ports(session.get_outputs()), metadata)


def create(weights: bytes, settings: Settings) -> Any:  # noqa: ANN401 - onnxruntime publishes no types
    """Return an InferenceSession on the device asked for.

    Raises:
        ModelError: the bytes are no ONNX model that this runtime can load, or the provider is not available.
        OutOfMemory: the weights do not fit.
    """
    wanted = _PROVIDERS[settings.device]
    if settings.device == "cuda" and hasattr(ort, "preload_dlls"):
        ort.preload_dlls()  # the CUDA and cuDNN wheels beside onnxruntime-gpu, where there is no system CUDA
    if wanted not in ort.get_available_providers():
        raise ModelError(
            f"{wanted} was asked for, but this onnxruntime has only {', '.join(ort.get_available_providers())}; "
            "install onnxruntime-gpu instead of onnxruntime, or set PCB_AOI_DEVICE=cpu"
        )
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = settings.threads or usable_cores()
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    provider = (wanted, _cuda_options(settings)) if settings.device == "cuda" else wanted
    try:
        session = ort.InferenceSession(weights, options, providers=[provider])
    except Exception as error:  # as in _infer
        if any(sign in str(error).lower() for sign in _OUT_OF_MEMORY):
            raise OutOfMemory("the weights do not fit into the device's memory", detail=str(error)) from error
        raise ModelError("the weights cannot be loaded", detail=f"{type(error).__name__}: {error}") from error
    # ONNX Runtime falls back to the CPU without an error when a CUDA library is missing.
    if session.get_providers()[0] != wanted:
        raise ModelError(
            f"{wanted} was asked for, but the session runs on {session.get_providers()[0]}: "
            "CUDA or cuDNN libraries are missing or do not fit the driver; see the log above, or set PCB_AOI_DEVICE=cpu"
        )
    return session


def _cuda_options(settings: Settings) -> dict[str, str]:
    # One shape only, so the exhaustive search pays once, at warm-up.
    options = {"cudnn_conv_algo_search": "EXHAUSTIVE", "arena_extend_strategy": "kSameAsRequested"}
    if settings.gpu_mem_mib:
        options["gpu_mem_limit"] = str(settings.gpu_mem_mib * MIB)
    return options
