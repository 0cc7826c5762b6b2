"""Read the command line and hand it to the platform's part."""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import re
import sys
from pathlib import Path

from deploy import environment, lock, say, shell
from deploy.options import Options, parse

# What changes something that another deploy.sh in this checkout may be changing, too.
_LOCKED = ("up", "down", "bundle", "rollback")


def main(words: list[str]) -> int:
    """Run one command of deploy.sh; returns its exit status: 0 well, 1 failed, 2 wrong usage."""
    say.prepare()
    _leave_out_pythons_variables()
    root = Path(__file__).resolve().parents[1]
    try:
        options = parse(words, root, _cwd(root))
        with lock.held(options.state, dry_run=options.dry_run or options.command not in _LOCKED):
            return dispatch(options)
    except say.Fatal as fatal:
        return fatal.status
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Who read the output has gone, as `head` does: end as other programs do, without a word.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            raise
        with contextlib.suppress(say.Fatal):
            lock.cannot_write(Path(error.filename or root), error)
        return 1


def dispatch(options: Options) -> int:
    """Call the part that the command and the platform name, as `part.function(options)`; returns its exit status."""
    if options.command in ("demo", "check", "install"):
        return _own(options)
    part, function = _part(options)
    return int(getattr(importlib.import_module(f"deploy.{part}"), function)(options))


def _part(options: Options) -> tuple[str, str]:
    if options.command == "doctor":
        return "doctor", "doctor"
    if options.command == "bundle":
        return "bundle", "create"
    if options.command == "up" and options.bundle:
        return "bundle", "install"
    if options.command == "rollback":
        return "rollback", "rollback"
    return options.platform, options.command


def _own(options: Options) -> int:
    """`demo`, `check`, `install`: what needs nothing but the environment."""
    extras = ",".join((environment.extras(options.gpu), *options.extras))
    venv = environment.ensure(options.root, options.gpu, extras, dry_run=options.dry_run, cwd=options.cwd)
    if options.command == "install":
        say.info(f"Python 环境已就绪：{venv}", f"the Python environment is ready: {venv}")
        return 0
    words = [word for name in options.functions for word in ("--function", name)]
    if options.command == "demo" and options.gpu:
        words.append("--gpu")
    return shell.run(
        [venv / "bin" / "pcb-aoi", options.command, *words], dry_run=options.dry_run, check=False, cwd=options.root
    )


def _cwd(root: Path) -> Path:
    with contextlib.suppress(FileNotFoundError):  # the user stands in a folder that was deleted
        return Path.cwd()
    return root


def _leave_out_pythons_variables() -> None:
    # PYTHONPATH, PYTHONHOME, PYTHONSTARTUP, ... are for the user's own programs, not for those started from here.
    for name in list(os.environ):
        if re.fullmatch(r"PYTHON[A-Z0-9]+", name) and name != "PYTHONIOENCODING":
            del os.environ[name]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
