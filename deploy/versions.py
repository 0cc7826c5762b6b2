"""Which versions of a function can be trusted: the last one that passed the smoke call, and the one before it.

Each is kept as nuclio's own record in .run/nuclio/ and, with Docker, as an image under a tag of its own.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from deploy import container, lock, plan, say, shell
from deploy.nuctl import Record, namespace
from deploy.options import Options
from deploy.plan import Function


@dataclass(frozen=True)
class Version:
    """One version of a function that passed the smoke call."""

    content: str
    image: str
    config: dict[str, Any]
    """`metadata` and `spec` as nuclio stored them."""


@dataclass(frozen=True)
class History:
    """The versions kept of one function."""

    good: Version | None = None
    """The last one that passed."""
    previous: Version | None = None
    """The one that had passed before it."""

    def target(self, running: str) -> Version | None:
        """Return where `rollback` goes from what runs now: from a bad version to the good one, else one step back."""
        return self.previous if self.good and self.good.content == running else self.good


def load(options: Options, function: Function) -> History:
    """Read what is kept of a function."""
    path = _path(options, function)
    if not path.is_file():
        return History()
    return History(**{key: Version(**value) for key, value in json.loads(path.read_text("utf-8")).items() if value})


def passed(options: Options, function: Function, record: Record) -> None:
    """Keep what runs now, which has answered the smoke call, as the good version; the one before it as the previous.

    Versions that never passed are in no step of this, however many there were in between.
    """
    before = load(options, function)
    if not record.content or (before.good and before.good.content == record.content):
        return
    image = record.image
    if options.platform == "local":
        image = kept_image(function, record.content)
        # By identity: what the container runs may have lost its name, as to the image of a bundle that was loaded.
        runs = container.inspect(container.name(namespace(), function.name)).image or record.image
        if record.image != image and shell.run(["docker", "tag", runs, image], check=False):
            say.warn(f"{function.name}：没有留住镜像", f"{function.name}: its image was not kept for rollback")
            return
    history = History(Version(record.content, image, record.config), before.good)
    lock.write(_path(options, function), json.dumps(asdict(history), ensure_ascii=False, indent=1))
    if options.platform == "local":
        _tidy(function, history)


def kept_image(function: Function, content: str) -> str:
    """Name the image under which a version is kept: never moved by a build, and never nested."""
    return f"{_repository(function)}:{content}"


def _repository(function: Function) -> str:
    name, _, tag = function.image.rpartition(":")
    return f"{name if name and '/' not in tag else function.image}-kept"


def _tidy(function: Function, history: History) -> None:
    # What is neither the good nor the previous version goes; Docker keeps what a container still uses.
    kept = {version.image for version in (history.good, history.previous) if version}
    listed = shell.output(["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", _repository(function)])
    for image in (listed or "").split():
        if image not in kept:
            shell.output(["docker", "image", "rm", image])


def _path(options: Options, function: Function) -> Path:
    return plan.state(options) / f"{options.platform}-{namespace()}-{function.name}.json"
