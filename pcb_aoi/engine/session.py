"""ONNX Runtime: provider chosen and verified, one fixed tensor shape, warm-up, recovery from lack of memory."""

from __future__ import annotations

import logging
import time
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from pcb_aoi.config.model_config import ModelConfig
from pcb_aoi.config.settings import MIB, Settings
from pcb_aoi.engine import heads
from pcb_aoi.engine.cores import usable_cores
from pcb_aoi.engine.detections import Float32
from pcb_aoi.errors import ModelError, OutOfMemory

log = logging.getLogger(__name__)

UInt8 = npt.NDArray[np.uint8]

_INPUT_TYPES = {"tensor(uint8)": np.uint8, "tensor(float)": np.float32, "tensor(float16)": np.float16}
_CPU_BATCH, _GPU_BATCH = 1, 16
_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
# What ONNX Runtime, CUDA and cuDNN say when memory is short.
_OUT_OF_MEMORY = ("failed to allocate memory", "out of memory", "cudnn_status_alloc_failed", "bad_alloc")


class Session:
    """One loaded model. `run` is not for several threads at once: the caller holds a lock or is alone."""

    def __init__(self, model: bytes, config: ModelConfig, settings: Settings) -> None:
        """Load, verify the provider and the model's shape against `config`, and warm up.

        Raises:
            ModelError: the file is no usable ONNX model, does not fit model.yaml, or would run on another device
                than the one asked for.
            OutOfMemory: not even one tile fits.
        """
        self._model, self._config, self._settings = model, config, settings
        self._head = heads.get(config.head)
        self._load()
        self.metadata: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        self.batch, self._fixed_batch = self._input_batch()
        self._warm_up()

    @property
    def provider(self) -> str:
        """The execution provider that really runs the model."""
        return str(self._session.get_providers()[0])

    def run(self, tiles: UInt8) -> list[Float32]:
        """Infer uint8 tiles (B, T, T, 3), at most `batch` at a time; return the outputs, each with B in front.

        Raises:
            OutOfMemory: memory ran out, and again after the batch was halved and the session rebuilt.
            ModelError: ONNX Runtime failed in any other way.
        """
        if self._session is None:  # memory was too short to rebuild it, and may be there again
            self._load()
        started = time.perf_counter()
        try:
            outputs = self._in_batches(tiles)
        except OutOfMemory:
            self._shrink()
            outputs = self._in_batches(tiles)
        taken = (time.perf_counter() - started) / len(tiles)
        # A running mean that follows a machine that gets slower or faster within a few batches.
        self.seconds_per_tile += 0.2 * (taken - self.seconds_per_tile)
        return outputs

    def _infer(self, tiles: UInt8) -> list[Float32]:
        count = len(tiles)
        if self._fixed_batch and count < self.batch:
            tiles = np.concatenate([tiles, np.zeros((self.batch - count, *tiles.shape[1:]), np.uint8)])
        feed = self._head.prepare(tiles).astype(self._input_type, copy=False)
        try:
            outputs = self._session.run(None, {self._input_name: feed})
        except Exception as error:  # ONNX Runtime's exception types have no public base class
            if any(sign in str(error).lower() for sign in _OUT_OF_MEMORY):
                raise OutOfMemory("the device is out of memory", detail=str(error)) from error
            raise ModelError("inference failed", detail=f"{type(error).__name__}: {error}") from error
        arrays = [np.asarray(output) for output in outputs]
        if self._head.batched and any(array.ndim == 0 or len(array) != len(tiles) for array in arrays):
            raise ModelError(
                f"{self._config.model}: of {len(tiles)} tiles fed, the outputs hold {heads.shapes(arrays)}: the export "
                "froze its batch; export it with a dynamic batch, or set PCB_AOI_BATCH=1"
            )
        return [array[:count].astype(np.float32, copy=False) for array in arrays]

    def _in_batches(self, tiles: UInt8) -> list[Float32]:
        """The caller may have cut its tiles before the batch was halved: they are never sent in one piece again."""
        parts = [self._infer(tiles[i : i + self.batch]) for i in range(0, len(tiles), self.batch)]
        return parts[0] if len(parts) == 1 else [np.concatenate(outputs) for outputs in zip(*parts, strict=True)]

    def _shrink(self) -> None:
        """Halve the batch and rebuild the session: after a failed allocation it may fail on every further call."""
        if self.batch == 1 or self._static_batch():
            # The next request must find a session that works.
            self._load()
            raise OutOfMemory("the device is out of memory for a single batch of tiles")
        self.batch = max(1, self.batch // 2)
        log.warning("out of memory: batch halved to %d, session rebuilt", self.batch)
        self._load()

    def _load(self) -> None:
        self._session: Any = None  # free the old one first: two do not fit where one just did not
        self._session = create(self._model, self._settings)
        inputs = self._session.get_inputs()
        if len(inputs) != 1:
            names = ", ".join(item.name for item in inputs)
            raise ModelError(f"{self._config.model}: the model must have one input, it has {len(inputs)}: {names}")
        if inputs[0].type not in _INPUT_TYPES:
            raise ModelError(f"{self._config.model}: input must be uint8, float16 or float32, is {inputs[0].type}")
        self._input_name, self._input_type = inputs[0].name, _INPUT_TYPES[inputs[0].type]

    def _static_batch(self) -> int | None:
        """Return the batch size an export is frozen at, or None if it is dynamic."""
        size = self._session.get_inputs()[0].shape[0]
        return size if isinstance(size, int) else None

    def _input_batch(self) -> tuple[int, bool]:
        """Return (tiles a call, whether a call must always have that many)."""
        shape = self._session.get_inputs()[0].shape
        tile = self._config.tile
        expected = self._head.prepare(np.zeros((1, tile, tile, 3), np.uint8)).shape
        fits = len(shape) == 4 and all(
            not isinstance(has, int) or has == wants for has, wants in zip(shape[1:], expected[1:], strict=True)
        )
        if not fits:
            raise ModelError(
                f"{self._config.model}: model.yaml's tile {tile} with head {self._config.head} feeds "
                f"(B, {', '.join(map(str, expected[1:]))}), the weights take {tuple(shape)}"
            )
        if static := self._static_batch():
            return static, True
        on_gpu = self.provider != _PROVIDERS["cpu"]
        # cuDNN searches its algorithms anew for every shape, so a GPU always gets full batches.
        return self._settings.batch or (_GPU_BATCH if on_gpu else _CPU_BATCH), on_gpu

    def _warm_up(self) -> None:
        """Run blank tiles so that no request pays for initialisation."""
        blank = np.full((self.batch, self._config.tile, self._config.tile, 3), 114, np.uint8)
        self.seconds_per_tile = 0.0
        outputs = self.run(blank)
        try:
            self._head.check(outputs, len(self._config.slugs), self._config.tile)
        except ModelError as error:
            raise ModelError(f"{self._config.model}: head {self._config.head}: {error}") from None
        self.measure()

    def measure(self) -> float:
        """Run blank tiles to know how fast the machine is at this time; return seconds a tile, the best of two."""
        blank = np.full((self.batch, self._config.tile, self._config.tile, 3), 114, np.uint8)
        times = []
        for _ in range(2):
            started = time.perf_counter()
            self._in_batches(blank)
            times.append((time.perf_counter() - started) / self.batch)
        self.seconds_per_tile = min(times)
        return self.seconds_per_tile


def create(model: bytes, settings: Settings) -> Any:  # noqa: ANN401 - onnxruntime publishes no types
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
        session = ort.InferenceSession(model, options, providers=[provider])
    except Exception as error:  # see _infer
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
