"""The log of the embedded platform: one JSON object a line, to stderr or to a file that is rotated by size."""

from __future__ import annotations

import json
import logging
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path

# About 100,000 calls in all.
MAX_BYTES = 10 * 2**20
OLD_FILES = 4


class JsonLines(logging.Formatter):
    """One JSON object a line, for nuclio loggers and uvicorn's alike."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        fields = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **getattr(record, "with", {}),
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False, default=str)


def configure(path: Path | None) -> None:
    """Send every log record to the file, or to stderr without one.

    Two servers have the file open for the seconds in which one takes over from the other. The old one then goes on in
    the file it has, should the new one rotate it; no line is written twice.

    Raises:
        OSError: the file cannot be opened.
    """
    handler: logging.Handler = logging.StreamHandler(sys.stderr)
    if path is not None:
        handler = RotatingFileHandler(path, maxBytes=MAX_BYTES, backupCount=OLD_FILES, encoding="utf-8")
        # A full disk costs log lines, not calls, and no traceback for each line.
        logging.raiseExceptions = False
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
