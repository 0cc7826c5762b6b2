"""Messages in both languages, Chinese first; English alone where the terminal's charset has no Chinese."""

from __future__ import annotations

import codecs
import io
import os
import sys
from typing import NoReturn, TextIO


class Fatal(Exception):
    """Ends the command. The reason has been said; `status` is the exit status."""

    def __init__(self, status: int = 1) -> None:
        super().__init__(f"exit status {status}")
        self.status = status


def prepare() -> None:
    """Write in the user's charset, a line at a time; what it lacks is written as an escape, never as a traceback."""
    encoding = charset()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding=encoding, errors="backslashreplace", line_buffering=True)
    # The programs started from here are Python, too, and print labels.
    os.environ["PYTHONIOENCODING"] = f"{encoding}:backslashreplace"


def charset() -> str:
    """Name the charset that the user's locale asks for.

    Its name counts even where the locale is not installed: Python takes UTF-8 there, the terminal does not. UTF-8
    where the locale names none, as in C, POSIX and an empty environment.
    """
    locale = next((value for key in ("LC_ALL", "LC_CTYPE", "LANG") if (value := os.environ.get(key))), "")
    try:
        return codecs.lookup(locale.partition(".")[2].partition("@")[0]).name
    except LookupError:
        return sys.stdout.encoding if locale not in ("", "C", "POSIX") else "utf-8"


def chinese(stream: TextIO) -> bool:
    """Say whether the stream can show Chinese."""
    try:
        "部署，：".encode(stream.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def both(zh: str, en: str, stream: TextIO | None = None) -> str:
    """Join the two languages, or return the English alone where the stream (default: standard output) needs that."""
    return f"{zh} / {en}" if zh != en and chinese(stream or sys.stdout) else en


def info(zh: str, en: str) -> None:
    """Say what happens, on standard output."""
    print(f"==> {both(zh, en)}", flush=True)


def warn(zh: str, en: str) -> None:
    """Say what needs attention, on standard error."""
    print(f"{both('警告', 'warning', sys.stderr)}: {both(zh, en, sys.stderr)}", file=sys.stderr, flush=True)


def fatal(zh: str, en: str, status: int = 1) -> NoReturn:
    """Say what is wrong and what mends it, on standard error, and end.

    Raises:
        Fatal: always.
    """
    print(f"{both('错误', 'error', sys.stderr)}: {both(zh, en, sys.stderr)}", file=sys.stderr, flush=True)
    raise Fatal(status)
