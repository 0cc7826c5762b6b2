"""nuclio's nuctl: its version, its records of functions, and the commands that change something."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy import say, shell
from deploy.options import Options
from deploy.plan import Function

PROJECT = "cvat"
"""CVAT lists the functions of this project only."""
CONTENT = "pcb-aoi.io/content"
"""The annotation that holds `Function.content`."""
RELEASES = "https://github.com/nuclio/nuclio/releases"


def namespace() -> str:
    """NUCTL_NAMESPACE, where CVAT looks for functions; nuclio's own default without it."""
    return os.environ.get("NUCTL_NAMESPACE") or "nuclio"


@dataclass(frozen=True)
class Record:
    """What nuclio knows of a function."""

    content: str
    """Fingerprint of what it was made from; empty where somebody else deployed it."""
    state: str
    image: str
    project: str
    message: str
    config: dict[str, Any]
    """`metadata` and `spec`, as nuclio stored them."""


@dataclass(frozen=True)
class Nuctl:
    """nuctl on one platform and namespace."""

    platform: str
    namespace: str
    cwd: Path
    """Where the user stands: a relative KUBECONFIG or DOCKER_CONFIG is meant from there."""
    dry_run: bool

    @classmethod
    def of(cls, options: Options) -> Nuctl:
        """nuctl as the options ask for it."""
        return cls(options.platform, namespace(), options.cwd, options.dry_run)

    @property
    def _where(self) -> list[str]:
        return ["--platform", self.platform, "--namespace", self.namespace]

    def get(self, name: str) -> Record | None:
        """Return the record of a function; None when nuclio has none.

        Raises:
            Fatal: nuctl cannot say.
        """
        command = ["nuctl", "get", "function", name, "--output", "json", *self._where]
        if self.dry_run and shutil.which("nuctl") is None:
            return None
        with self._folder() as folder:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, cwd=folder, env=self._environment, check=False
            )
        said = done.stdout.decode("utf-8", "replace")
        both = said + done.stderr.decode("utf-8", "replace")
        record = parse(said) if done.returncode == 0 else None
        if record is None and "No functions found" not in both:
            if self.dry_run:
                return None
            last = (both.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
            asked = shell.quoted(command)
            say.fatal(
                f"nuctl 没有应答：{asked}：{last}",
                f"nuctl does not answer: {asked}: {last}",
            )
        return record

    def create_project(self) -> None:
        """Make the project, unless it is there."""
        with self._folder() as folder:
            # On a cluster creating it twice is an error; with Docker it is none.
            if self.platform == "kube" and not self.dry_run:
                command = ["nuctl", "get", "project", PROJECT, *self._where]
                if shell.output(command, cwd=folder, env=self._environment) is not None:
                    return
            self._run(["create", "project", PROJECT, *self._where], folder)

    def build(self, function: Function, source: Path, *more: str) -> bool:
        """Build a function's image and deploy nothing; says whether it was built."""
        words = ["build", function.name, "--path", str(source), "--file", function.file, "--image", function.image]
        with self._folder() as folder:
            return self._run([*words, *self._where, *more], folder) == 0

    def delete(self, name: str) -> bool:
        """Delete a function. nuctl may say that it did and have done nothing: ask `get` afterwards."""
        with self._folder() as folder:
            return self._run(["delete", "function", name, *self._where], folder) == 0

    def deploy_words(self, name: str, content: str, *more: str | Path) -> list[str]:
        """Return the command that deploys a function."""
        words = ["nuctl", "deploy", name, *map(str, more), "--project-name", PROJECT, *self._where]
        words += ["--annotations", f"{CONTENT}={content}"] if content else []
        if seconds := os.environ.get("READINESS_TIMEOUT"):
            words += ["--readiness-timeout", seconds]
        return words

    @contextmanager
    def started(self, command: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
        """Run nuctl beside this program, all that it says into `log`; what still runs at the end is stopped."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with self._folder() as folder, log.open("wb") as stream:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, cwd=folder,
                env=self._environment,
            )  # fmt: skip
            try:
                yield process
            finally:
                stop(process)

    def _run(self, words: list[str], folder: Path) -> int:
        return shell.run(["nuctl", *words], dry_run=self.dry_run, check=False, cwd=folder, env=self._environment)

    @staticmethod
    @contextmanager
    def _folder() -> Iterator[Path]:
        # nuctl leaves temporary files in its working directory, and takes up ./function.yaml: give it an empty one.
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            yield Path(folder)

    @property
    def _environment(self) -> dict[str, str]:
        changed = {}
        if kubeconfig := os.environ.get("KUBECONFIG"):
            paths = kubeconfig.split(os.pathsep)
            changed["KUBECONFIG"] = os.pathsep.join(str(self.cwd / path) for path in paths if path)
        if config := os.environ.get("DOCKER_CONFIG"):
            changed["DOCKER_CONFIG"] = str(self.cwd / config)
        return dict(os.environ) | changed


def stop(process: subprocess.Popen[bytes], seconds: float = 10) -> None:
    """End a child that still runs: asked first, killed after `seconds`."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def version() -> tuple[str, str]:
    """Return nuctl's version and architecture, as "1.14.1" and "amd64"; empty what it does not say."""
    said = shell.output(["nuctl", "version"]) or ""
    label, arch = re.search(r"Label: ([0-9][0-9.]*)", said), re.search(r"Arch: (\w+)", said)
    return label[1] if label else "", arch[1] if arch else ""


def parse(said: str) -> Record | None:
    """Read what `nuctl get function -o json` printed; nuctl may log a line before the record."""
    start = re.search(r"^\{", said, re.MULTILINE)
    if not start:  # "No functions found" comes as plain text
        return None
    config, _ = json.JSONDecoder().raw_decode(said[start.start() :])
    metadata, status = config["metadata"], config.get("status") or {}
    return Record(
        content=(metadata.get("annotations") or {}).get(CONTENT, ""),
        state=status.get("state") or "unknown",
        image=config["spec"].get("image", ""),
        project=(metadata.get("labels") or {}).get("nuclio.io/project-name", ""),
        message=" ".join(str(status.get("message", "")).split()),
        config={"metadata": metadata, "spec": config["spec"]},
    )


def ready_made(config: dict[str, Any], image: str) -> dict[str, Any]:
    """Return a configuration for an image that is there: nuctl neither builds nor pulls."""
    metadata = config["metadata"]
    # Any of build.path, build.image and build.functionSourceCode would make nuctl build again, whatever spec.image is.
    spec = {key: value for key, value in config["spec"].items() if key != "build"}
    keep = {key: metadata[key] for key in ("name", "namespace", "labels", "annotations") if key in metadata}
    return {"metadata": keep, "spec": spec | {"image": image}}
