"""What is to be deployed: one frozen value a function, read from functions/ or from the bundle that was installed.

The function files are YAML, which the standard library does not read: a Python that has PyYAML, the project's own
environment first, turns them into JSON. A bundle carries the plan as JSON, so its site needs none.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from deploy import environment, lock, say, shell
from deploy.options import Options

_TO_JSON = """\
import json, sys, yaml
files = {}
for name in sys.argv[1:]:
    with open(name, encoding="utf-8") as file:
        files[name] = yaml.safe_load(file)
print(json.dumps(files))
"""


@dataclass(frozen=True)
class Function:
    """One function of the plan."""

    folder: str
    """Under functions/, as `--function` names it."""
    name: str
    """As nuclio and CVAT know it."""
    port: int
    image: str
    base: str
    """The image that it is built on."""
    content: str
    """Fingerprint of all that it is made from: equal content is never built twice."""
    file: str
    """The function file, absolute; of no use on a bundle's site."""
    ready_s: int
    """Seconds that it may take to load."""
    has_weights: bool
    config: dict[str, Any]
    """The function file."""


def read(options: Options, stack: str = "cpu") -> list[Function]:
    """Read the functions named, or all of them; `stack` is cpu, cuda12 or cuda13.

    Raises:
        Fatal: a file cannot be read, or lacks what a deployment needs.
    """
    kind = "function-gpu.yaml" if options.gpu else "function.yaml"
    names = options.functions or tuple(sorted(file.parent.name for file in options.root.glob("functions/*/" + kind)))
    folders = [options.root / "functions" / name for name in names]
    yaml = _yaml(options.root, [file for folder in folders for file in (folder / kind, folder / "model.yaml")])
    base = base_content(options.root, stack)
    return [_function(folder / kind, yaml[folder / kind], yaml[folder / "model.yaml"], base) for folder in folders]


def known(options: Options) -> list[Function]:
    """The functions named, or all: those of the bundle that was installed here last, else those of functions/."""
    site = _site(options)
    if not site.is_file():
        return read(options)
    return chosen([Function(**fields) for fields in json.loads(site.read_text("utf-8"))], options)


def chosen(functions: list[Function], options: Options) -> list[Function]:
    """Keep the functions that were named; all where none was.

    Raises:
        Fatal: none of them is among these.
    """
    kept = [function for function in functions if not options.functions or function.folder in options.functions]
    if not kept:
        names = " ".join(options.functions)
        say.fatal(f"离线包里没有这些函数：{names}", f"none of these functions is in the bundle: {names}")
    return kept


def deployable(functions: list[Function]) -> list[Function]:
    """Keep the functions that have weights, and name the others.

    Raises:
        Fatal: none has.
    """
    for function in functions:
        if not function.has_weights:
            say.warn(
                f"{function.folder}：还没有权重（model.yaml 的 sha256 为 null），跳过",
                f"{function.folder}: no weights yet (sha256 is null in model.yaml), left out",
            )
    kept = [function for function in functions if function.has_weights]
    if not kept:
        say.fatal("没有可部署的函数。./deploy.sh check 会说明原因", "nothing to deploy. ./deploy.sh check says why")
    return kept


def remember(options: Options, functions: list[Function]) -> None:
    """Note what a bundle brought, beside what earlier ones did: `status`, `down` and `rollback` ask for it."""
    site = _site(options)
    before = json.loads(site.read_text("utf-8")) if site.is_file() else []
    names = {function.name for function in functions}
    kept = [Function(**fields) for fields in before if fields["name"] not in names]
    lock.write(site, dumps([*kept, *functions]))


def forget(options: Options) -> None:
    """functions/ holds again, in place of what a bundle brought."""
    if not options.dry_run:
        _site(options).unlink(missing_ok=True)
        shutil.rmtree(state(options) / "samples", ignore_errors=True)


def patience(function: Function) -> int:
    """Seconds that the function may take to load: READINESS_TIMEOUT, else what its file says.

    Raises:
        Fatal: READINESS_TIMEOUT is no number of seconds.
    """
    wanted = os.environ.get("READINESS_TIMEOUT", "")
    if wanted and not re.fullmatch(r"[1-9][0-9]{0,5}", wanted):
        say.fatal(f"READINESS_TIMEOUT 应为秒数：{wanted}", f"READINESS_TIMEOUT must be a number of seconds: {wanted}")
    return int(wanted or function.ready_s)


def dumps(functions: list[Function]) -> str:
    """Return a plan as JSON."""
    return json.dumps([asdict(function) for function in functions], ensure_ascii=False, indent=1)


def state(options: Options) -> Path:
    """The folder of the nuclio platforms' state."""
    return options.state / "nuclio"


def samples(options: Options, function: Function) -> Path:
    """The folder of a function's samples: those that came with the bundle, else the checkout's."""
    brought = state(options) / "samples" / function.folder
    return brought if brought.is_dir() else options.root / "samples" / function.folder


def _site(options: Options) -> Path:
    return state(options) / "plan.json"


def base_content(root: Path, stack: str) -> str:
    """Return the fingerprint of all that the base image is made from."""
    inputs = [root / "pcb_aoi", root / "pyproject.toml", root / "functions" / "Dockerfile"]
    return fingerprint([*inputs, root / "functions" / "requirements" / f"{stack}.txt"], stack)


def fingerprint(paths: Sequence[Path], *more: str) -> str:
    """Hash names and contents of files and folders; what Python leaves beside them does not count."""
    digest = hashlib.sha256("\0".join(more).encode())
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and "__pycache__" not in file.parts:
                content = hashlib.sha256(file.read_bytes()).hexdigest()
                digest.update(f"{file.relative_to(path.parent)}\0{content}\n".encode())
    return digest.hexdigest()[:16]


def _function(file: Path, config: Any, model: Any, base: str) -> Function:  # noqa: ANN401 - whatever the YAML holds
    try:
        spec = config["spec"]
        (trigger,) = spec["triggers"].values()
        return Function(
            folder=file.parent.name,
            name=str(config["metadata"]["name"]),
            port=int(trigger["attributes"]["port"]),
            image=str(spec["build"]["image"]),
            base=str(spec["build"]["baseImage"]),
            content=fingerprint([file.parent], base, file.name),
            file=str(file),
            ready_s=int(spec.get("readinessTimeoutSeconds") or 120),  # nuclio's own default
            has_weights=model["sha256"] is not None,
            config=config,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        say.fatal(
            f"{file} 或 model.yaml 缺少部署需要的内容（{error!r}）：./deploy.sh check",
            f"{file} or its model.yaml lacks what a deployment needs ({error!r}): ./deploy.sh check",
        )


def _yaml(root: Path, files: list[Path]) -> dict[Path, Any]:
    done = subprocess.run(
        [_python(root), "-c", _TO_JSON, *files], cwd="/", stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip()
        reason = " ".join(said.rpartition("yaml.")[2].split()) if "yaml." in said else said.rpartition("\n")[2]
        say.fatal(f"函数文件读不了：{reason}", f"a function file cannot be read: {reason}")
    return {Path(name): value for name, value in json.loads(done.stdout).items()}


def _python(root: Path) -> Path:
    """Find a Python with PyYAML: the environment's, or one that happens to have it."""
    venvs = [environment.folder(root, gpu) / "bin" / "python" for gpu in (False, True)]
    for python in (*venvs, Path(sys.executable), Path("/usr/bin/python3")):
        if os.access(python, os.X_OK) and shell.output([python, "-c", "import yaml"], cwd=Path("/")) is not None:
            return python
    say.fatal(
        "读函数文件需要 Python 环境：先运行 ./deploy.sh install",
        "reading the function files needs the Python environment: run ./deploy.sh install first",
    )
