"""The one door for other programs: commands that change something, and questions that change nothing."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy import say

Command = Sequence["str | Path"]


def quoted(command: Command) -> str:
    """Return the command as one line to be pasted into a shell."""
    return " ".join(_quoted(str(word)) for word in command)


def run(
    command: Command,
    *,
    dry_run: bool = False,
    check: bool = True,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> int:
    """Run a command that changes something, on this terminal; with `dry_run` print it after `+ ` and return 0.

    Returns its exit status, which is 0 when `check` is true.

    Raises:
        Fatal: with `check`, the command failed. It has said why; its exit status becomes deploy.sh's.
    """
    if dry_run:
        print("+ " + quoted(command), flush=True)
        return 0
    try:
        # Nothing here answers questions: a program that would ask must not wait for ever.
        status = subprocess.run(command, stdin=subprocess.DEVNULL, cwd=cwd, env=env, check=False).returncode
    except FileNotFoundError:
        say.warn(f"找不到程序：{command[0]}", f"no such program: {command[0]}")
        status = 127
    if check and status:
        raise say.Fatal(status if status > 0 else 128 - status)
    return status


def output(
    command: Command, *, cwd: Path | None = None, env: Mapping[str, str] | None = None, stdin: str = ""
) -> str | None:
    """Ask a command that changes nothing: its standard output without the last newline, None when it failed.

    What it says on standard error is dropped.
    """
    try:
        done = subprocess.run(command, input=stdin.encode(), capture_output=True, cwd=cwd, env=env, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.decode("utf-8", "replace").rstrip("\n")


def _quoted(word: str) -> str:
    # As bash's printf %q, which marks single characters where shlex marks the whole word.
    if not word or not word.isprintable():
        return shlex.quote(word)
    return re.sub(r"""([\s'"\\|&;()<>!{}*\[\]?^$`,]|^[~#])""", r"\\\1", word)
