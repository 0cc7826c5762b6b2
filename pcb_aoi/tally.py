"""What became of the calls of one function since it started: CVAT's page shows nobody what a run died of."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pcb_aoi.cures import cure

# How many of the last failures are kept.
FAILURES = 5
_LONGEST = 300


@dataclass(frozen=True)
class Failure:
    """A call that was not answered as asked, or was answered with a warning."""

    time: str
    """Local time, ISO 8601."""
    status: int
    code: str
    """The function's stable error code, or the platform's; `warning` for an answer that has one."""
    cause: str
    answered: int
    """Calls that were answered in full between the failure before, or the start, and this one."""


class Tally:
    """Counts and the last failures. Thread-safe."""

    def __init__(self) -> None:
        self.calls = self.failed = self.skipped = 0
        self.boxes: Counter[str] = Counter()
        """Boxes answered, by the label's slug."""
        self.codes: Counter[str] = Counter()
        """Calls by what became of them: `ok`, `warning`, or the code of the failure."""
        self.failures: deque[Failure] = deque(maxlen=FAILURES)
        self._since = 0
        self._lock = threading.Lock()

    def answer(self, boxes: Mapping[str, int] | None = None, warning: str = "") -> None:
        """A call was answered: so many boxes of each label, perhaps with a warning."""
        with self._lock:
            self.calls += 1
            self.boxes.update(boxes or {})
            self.codes["warning" if warning else "ok"] += 1
            if warning:
                self._remember(200, "warning", warning)
            self._since += 1

    def skip(self, code: str, cause: str) -> None:
        """A frame of which nothing decodes was answered empty."""
        with self._lock:
            self.calls += 1
            self.skipped += 1
            self.codes[code] += 1
            self._remember(200, code, cause)

    def fail(self, status: int, code: str, cause: str) -> None:
        """A call was answered by an error: CVAT ends its run."""
        with self._lock:
            self.calls += 1
            self.failed += 1
            self.codes[code] += 1
            self._remember(status, code, cause)
            self._since = 0

    def trouble(self, code: str, cause: str) -> None:
        """Something that is no call failed."""
        with self._lock:
            self._remember(0, code, cause)

    def _remember(self, status: int, code: str, cause: str) -> None:
        now = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        self.failures.append(Failure(now, status, code, cause[:_LONGEST], self._since))

    def report(self) -> dict[str, Any]:
        """Return calls, failed, skipped, boxes and failures, each failure with its cure in Chinese and English."""
        with self._lock:
            return {
                "calls": self.calls,
                "failed": self.failed,
                "skipped": self.skipped,
                "boxes": dict(self.boxes),
                "failures": [{**asdict(failure), "cure": list(cure(failure.code))} for failure in self.failures],
            }
