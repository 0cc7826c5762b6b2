"""GET /metrics for Prometheus, by its official client: what the tallies count, and how long calls take.

The client is in the extra `metrics`; without it there is no such page. nuclio has metric sinks of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from pcb_aoi.platform.functions import Functions

# From a small frame to what CVAT waits.
_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 110, 300)


class Metrics(Collector):
    """The figures of all functions of a server."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self, functions: Functions) -> None:
        self._functions = functions
        self._registry = CollectorRegistry()
        self._registry.register(self)
        self._seconds = Histogram(
            "pcb_aoi_call_seconds",
            "Time from a call's arrival to its answer",
            ["function"],
            buckets=_BUCKETS,
            registry=self._registry,
        )

    def observe(self, function: str, seconds: float) -> None:
        """A call has been answered."""
        self._seconds.labels(function).observe(seconds)

    def page(self) -> bytes:
        """Return the page in Prometheus' text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Read the tallies."""
        info = InfoMetricFamily("pcb_aoi_model", "The model that answers", labels=["function"])
        ready = GaugeMetricFamily("pcb_aoi_ready", "1 while the function answers", labels=["function"])
        calls = CounterMetricFamily("pcb_aoi_calls", "Calls by what became of them", labels=["function", "code"])
        skipped = CounterMetricFamily("pcb_aoi_frames_skipped", "Frames of which nothing decodes", labels=["function"])
        boxes = CounterMetricFamily("pcb_aoi_boxes", "Boxes answered", labels=["function", "label"])
        for name, function in self._functions.by_id.items():
            about = {key: str(function.about.get(key, "")) for key in ("version", "sha256", "provider")}
            info.add_metric([name], about)
            ready.add_metric([name], function.state == "ready")
            tally = function.tally
            for code, count in tally.codes.copy().items():
                calls.add_metric([name, code], count)
            skipped.add_metric([name], tally.skipped)
            for label, count in tally.boxes.copy().items():
                boxes.add_metric([name, label], count)
        yield from (info, ready, calls, skipped, boxes)
