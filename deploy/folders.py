"""The function folders, made ready for a deployment: their environment, their language, their plan, their check."""

from __future__ import annotations

from pathlib import Path

from deploy import environment, plan, say, shell
from deploy.options import Options
from deploy.plan import Function


def ready(options: Options, stack: str) -> list[Function]:
    """Return the plan of all that has weights, checked: one bad folder can hide every model from CVAT.

    Raises:
        Fatal: a folder is broken; nothing has been deployed.
    """
    # `check` runs on the CPU, whatever the functions will run on.
    extras = environment.extras(gpu=False)
    venv = environment.ensure(options.root, False, extras, dry_run=options.dry_run, cwd=options.cwd)
    command: str | Path = venv / "bin" / "pcb-aoi"
    if options.language:
        words: list[str | Path] = [command, "sync", "--language", options.language]
        shell.run(words, dry_run=options.dry_run, cwd=options.root)
    functions = plan.deployable(plan.read(options, stack))
    named: list[str | Path] = [word for function in functions for word in ("--function", function.folder)]
    if shell.run([command, "check", *named], dry_run=options.dry_run, check=False, cwd=options.root):
        say.fatal(
            "函数目录有问题，原因见上；没有改动任何东西",
            "a function folder is broken, see above; nothing has been changed",
        )
    return functions
