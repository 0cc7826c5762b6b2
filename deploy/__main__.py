"""Read the command line and hand it to the platform's part."""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path

from deploy import environment, say, shell
from deploy.options import Options, parse


def main(words: list[str]) -> int:
    """Run one command of deploy.sh; returns its exit status: 0 well, 1 failed, 2 wrong usage."""
    root = Path(__file__).resolve().parents[1]
    try:
        options = parse(words, root, Path.cwd())
        if not _ported(options):
            return subprocess.run(["bash", root / "deploy" / "legacy.sh", *words], check=False).returncode
        return dispatch(options)
    except say.Fatal as fatal:
        return fatal.status
    except KeyboardInterrupt:
        return 130


def dispatch(options: Options) -> int:
    """Call the part that the command and the platform name, as `part.function(options)`; returns its exit status."""
    if options.command in ("demo", "check"):
        return _own(options)
    part, function = _part(options)
    return int(getattr(importlib.import_module(f"deploy.{part}"), function)(options))


def _part(options: Options) -> tuple[str, str]:
    if options.command == "bundle":
        return "bundle", "create"
    if options.command == "up" and options.bundle:
        return "bundle", "install"
    if options.command == "rollback":
        return "rollback", "rollback"
    return options.platform, options.command


def _ported(options: Options) -> bool:
    if options.command in ("demo", "check"):
        return True
    return importlib.util.find_spec(f"deploy.{_part(options)[0]}") is not None


def _own(options: Options) -> int:
    """`demo` and `check`: commands of pcb-aoi that need nothing but the environment."""
    venv = environment.ensure(options.root, options.gpu, environment.extras(options.gpu), dry_run=options.dry_run)
    words = [word for name in options.functions for word in ("--function", name)]
    if options.command == "demo" and options.gpu:
        words.append("--gpu")
    return shell.run(
        [venv / "bin" / "pcb-aoi", options.command, *words], dry_run=options.dry_run, check=False, cwd=options.root
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
