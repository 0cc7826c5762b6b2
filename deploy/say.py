"""Messages in both languages, Chinese first; English alone where the terminal cannot show Chinese."""

from __future__ import annotations

import sys
from typing import NoReturn, TextIO


class Fatal(Exception):
    """What ends the command: it has been said; `status` is the exit status."""

    def __init__(self, status: int = 1) -> None:
        super().__init__(f"exit status {status}")
        self.status = status


def info(zh: str, en: str) -> None:
    """Say what happens, on standard output."""
    _say("==> ", zh, en, sys.stdout)


def warn(zh: str, en: str) -> None:
    """Say what needs attention, on standard error."""
    _say("警告 / warning: ", zh, en, sys.stderr)


def fatal(zh: str, en: str, status: int = 1) -> NoReturn:
    """Say what is wrong and what mends it, on standard error, and end.

    Raises:
        Fatal: always.
    """
    _say("错误 / error: ", zh, en, sys.stderr)
    raise Fatal(status)


def _say(prefix: str, zh: str, en: str, stream: TextIO) -> None:
    print(f"{prefix}{zh} / {en}", file=stream, flush=True)
