"""How long the caller of a function waits for its answer, and how much of that a frame may take.

CVAT says it on the dashboard's route, in seconds (`120s`, its CVAT_NUCLIO_DEFAULT_TIMEOUT); nuclio's dashboard passes
the header on. On a function's own port CVAT says nothing, and waits as long.
"""

from __future__ import annotations

from pcb_aoi.config.function_file import seconds

HEADER = "X-Nuclio-Invoke-Timeout"
CVAT_S = 120.0
"""CVAT_NUCLIO_DEFAULT_TIMEOUT where nobody has set it."""
_ANSWER_S = 10.0
_ANSWER_SHARE = 0.1


def read(value: object) -> float | None:
    """Return the seconds that the header grants; None where the call has none.

    Raises:
        ConfigError: it is no Go duration, or no time at all.
    """
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    return seconds(text, HEADER) if text else None


def usable(granted_s: float) -> float:
    """Return the seconds from a call's arrival until its answer must be there: 10 s, or a tenth, are for its way."""
    return granted_s - min(_ANSWER_S, granted_s * _ANSWER_SHARE)
