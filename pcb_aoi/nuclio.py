"""What a function's main.py calls: `load_model` from its `init_context`, `handle` from its `handler`.

Everything a client reads is made here: 200 with a list of shapes, or 4xx/5xx with `{"code", "message"}`. nuclio
itself would send a traceback. ONNX Runtime is imported with the model, not before: `pcb-aoi check --static` imports
every main.py, and so this module, on machines that have none.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pcb_aoi import __version__
from pcb_aoi.config.settings import Settings
from pcb_aoi.engine import request, response
from pcb_aoi.engine.image.child import Decoder
from pcb_aoi.errors import FrameError, NoModel, OutOfMemory, PcbAoiError

if TYPE_CHECKING:
    from pcb_aoi.engine.detector import Detector

InitContext = Callable[[Any], None]


def init_context_of(handler: object) -> InitContext | None:
    """Return the `init_context` that nuclio runs for a handler, or None if it would run none.

    nuclio looks in the module that the handler says it was defined in, whatever module spec.handler names, and says
    nothing when there is none: the function then becomes ready without a model. So nothing here has that name.
    """
    found = getattr(sys.modules.get(getattr(handler, "__module__", "")), "init_context", None)
    return found if callable(found) else None


def load_model(context: Any, folder: Path) -> None:  # noqa: ANN401 - nuclio's Context has no types
    """Load the folder's model, once per worker; an exception here keeps the function from becoming ready.

    Raises:
        PcbAoiError: a setting, model.yaml or the weights are wrong; the log has it too.
    """
    from pcb_aoi.engine.detector import Detector

    try:
        detector = Detector.load(folder, Settings.from_env(os.environ))
    except PcbAoiError as error:
        context.logger.error_with(str(error), code=error.code, detail=error.detail)
        raise
    context.user_data.detector, context.user_data.decoder = detector, Decoder()
    context.logger.info_with("model ready", **_info(detector))


def handle(context: Any, event: Any) -> Any:  # noqa: ANN401 - nuclio's Context, Event and Response have no types
    """Answer one invocation; never raises."""
    detector: Detector | None = getattr(context.user_data, "detector", None)
    if detector is None:
        return _no_model(context)
    if getattr(event, "method", None) in ("GET", "HEAD"):
        return _json(context, 200, _info(detector))
    facts: dict[str, Any] = {"model": detector.config.model, "version": detector.config.version}
    started = time.monotonic()
    try:
        decoder: Decoder = context.user_data.decoder
        shapes, ms = _answer(detector, decoder, event.body, started + detector.settings.deadline_s, facts)
    except Exception as error:
        return _failure(context, detector, error, facts)
    facts["ms"] = {stage: round(value, 1) for stage, value in ms.items()}
    log = context.logger.warn_with if facts.get("warnings") else context.logger.info_with
    log("frame answered", **facts)
    timing = ", ".join(f"{stage};dur={value:.1f}" for stage, value in ms.items())
    headers = {"Server-Timing": timing}
    if facts.get("warnings"):
        headers["X-Pcb-Aoi-Warning"] = "; ".join(facts["warnings"])
    return _json(context, 200, shapes, headers)


def _answer(
    detector: Detector, decoder: Decoder, body: object, deadline: float, facts: dict[str, Any]
) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Run one request; `facts` is filled as they become known, so that a failure's log line has them too."""
    from pcb_aoi.engine.detector import Stopwatch

    watch, settings = Stopwatch(), detector.settings
    asked = request.parse(body, settings.max_image_mib)
    facts["bytes"] = len(asked.image)
    frame = decoder.decode(asked.image, settings.max_megapixels, deadline - time.monotonic())
    height, width = frame.pixels.shape[:2]
    facts.update(format=frame.format, mode=frame.mode, width=width, height=height)
    threshold = asked.threshold
    del asked, body  # the encoded board: some hundred megabytes that nobody reads any more
    watch.lap("decode")
    result = detector.detect(frame.pixels, threshold, deadline)
    watch.ms.update(result.ms)
    watch.lap("_")
    shapes = response.shapes(result.detections, detector.config, height, width, result.contours)
    labels = Counter(detector.config.slugs[label] for label in result.detections.labels.tolist())
    facts.update(tiles=result.tiles, detections=dict(labels))
    facts["warnings"] = [*frame.warnings(), *result.warnings]
    watch.lap("respond")
    return shapes, {stage: value for stage, value in watch.ms.items() if stage != "_"}


def _no_model(context: Any) -> Any:  # noqa: ANN401
    error = NoModel(
        "模型没有加载，原因见函数的日志。 no model is loaded; the function's log has the cause",
        detail="init_context has not run: nuclio looks for it in the module that handler was defined in; "
        "define both in main.py, run `pcb-aoi check`, and deploy again",
    )
    context.logger.error_with("no model", code=error.code, cause=str(error), detail=error.detail)
    return _json(context, error.status, {"code": error.code, "message": str(error)})


def _failure(context: Any, detector: Detector, error: Exception, facts: dict[str, Any]) -> Any:  # noqa: ANN401
    if isinstance(error, MemoryError):
        error = OutOfMemory("the function is out of memory", detail="raise the memory limit or crop the frames")
    if isinstance(error, FrameError) and detector.settings.bad_frame == "skip":
        context.logger.error_with("frame skipped", code=error.code, cause=str(error), detail=error.detail, **facts)
        return _json(context, 200, [], {"X-Pcb-Aoi-Warning": f"frame skipped: {error}"})
    if isinstance(error, PcbAoiError):
        context.logger.error_with("frame refused", code=error.code, cause=str(error), detail=error.detail, **facts)
        return _json(context, error.status, {"code": error.code, "message": str(error)})
    context.logger.error_with("frame failed", code="internal", cause=traceback.format_exc(), **facts)
    return _json(context, 500, {"code": "internal", "message": "internal error; the function's log has the cause"})


def _info(detector: Detector) -> dict[str, Any]:
    """What a GET answers with."""
    config, settings = detector.config, detector.settings
    return {
        "model": config.model,
        "version": config.version,
        "sha256": config.sha256,
        "engine": __version__,
        "provider": detector.model.runtime.provider,
        "labels": list(compress(config.names, config.offered)),
        "slugs": list(compress(config.slugs, config.offered)),
        "types": list(compress(config.types, config.offered)),
        "contours": "masks" if detector.model.gives_masks else "boxes",
        "threshold": detector.threshold,
        "thresholds": detector.thresholds,
        "um_per_px": settings.um_per_px,
        "tile": config.tile,
        "batch": detector.model.runtime.batch,
        "ms_per_tile": round(detector.model.runtime.seconds_per_item * 1e3, 2),
    }


def _json(context: Any, status: int, value: object, headers: dict[str, str] | None = None) -> Any:  # noqa: ANN401
    # The body must be text: nuclio sends a list with Python's quotes, and takes a bare list for a batch.
    return context.Response(
        body=response.dumps(value), headers=headers or {}, content_type="application/json", status_code=status
    )
