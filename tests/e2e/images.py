"""The images that would come from a registry, put together from packages: Python, and nuclio's helpers."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipapp
from pathlib import Path

from tests.e2e.engine import Engine
from tests.e2e.programs import Programs

PYTHON_IMAGE = "python:3.11-slim-bookworm"
SDK = {
    "1.13.0": ("nuclio-sdk==0.5.9", "msgpack==1.0.7", "pip==23.3.1"),
    "1.14.1": ("nuclio-sdk==0.5.13", "msgpack==1.0.8", "pip==23.3.1"),
    "1.16.3": ("nuclio-sdk==0.6.3", "msgpack==1.2.0", "pip==25.3"),
}
"""The Python side of each nuclio version: what its own image has as wheels."""


def python_root(cache: Path) -> Path:
    """Make Debian 12 with Python 3.11 and its venv module, once for each cache folder; return the archive."""
    archive = cache / "python-3.11-bookworm.tar"
    if not archive.exists():
        cache.mkdir(parents=True, exist_ok=True)
        root = Path(tempfile.mkdtemp(prefix="root-", dir=cache))
        command = [
            "debootstrap",
            "--variant=minbase",
            "--include=python3-venv,python3-distutils,ca-certificates",
            "bookworm",
            str(root),
        ]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            raise RuntimeError(f"debootstrap: {result.stdout[-3000:]}")
        shutil.rmtree(root / "var" / "cache" / "apt" / "archives")
        root.chmod(0o755)  # it becomes the image's `/`, which users other than root must enter
        part = archive.with_suffix(".part")
        subprocess.run(["tar", "-C", str(root), "-cf", str(part), "."], check=True)
        part.rename(archive)
        shutil.rmtree(root)
    return archive


def import_python(engine: Engine, cache: Path) -> None:
    engine.docker("import", "--change", 'CMD ["python3"]', str(python_root(cache)), PYTHON_IMAGE)


def helpers(version: str) -> tuple[str, str, str]:
    """Return the names of the images that a version's nuctl asks for: to build from, uhttpc's, and its store's."""
    release = tuple(int(part) for part in version.split("."))
    uhttpc = "gcr.io/iguazio/uhttpc:0.0.3-amd64" if release >= (1, 15) else "quay.io/nuclio/uhttpc:0.0.1-amd64"
    store = f"gcr.io/iguazio/alpine:{'3.20' if release >= (1, 13, 1) else '3.17'}"
    return f"quay.io/nuclio/handler-builder-python-onbuild:{version}-amd64", uhttpc, store


def import_helpers(engine: Engine, programs: Programs, cache: Path) -> None:
    """Make the helper images of one nuclio version, under the names that its nuctl asks for."""
    onbuild, uhttpc, store = helpers(programs.version)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        home = folder / "home" / "nuclio" / "bin"
        (home / "py").mkdir(parents=True)
        if programs.real:
            shutil.copy(programs.processor[-1], home / "processor")
        else:
            _pack(Path(programs.processor[-1]), programs.version, home / "processor")
        (home / "processor").chmod(0o755)
        shutil.copy(programs.wrapper, home / "py" / "_nuclio_wrapper.py")
        wheels(programs.version, cache, home / "py3.11-whl")
        engine.docker("import", "-", onbuild, stdin=_tar(folder))
    with tempfile.TemporaryDirectory() as name:
        target = Path(name) / "home" / "nuclio" / "bin" / "uhttpc"
        target.parent.mkdir(parents=True)
        shutil.copy(programs.uhttpc, target)
        target.chmod(0o755)
        engine.docker("import", "-", uhttpc, stdin=_tar(Path(name)))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("bin", "tmp", "dev"):
            (folder / part).mkdir()
        shutil.copy("/bin/busybox", folder / "bin" / "busybox")
        applets = "sh cat mkdir rm base64 chmod sleep echo true ls [ stat"
        for applet in applets.split():
            (folder / "bin" / applet).symlink_to("busybox")
        # Debian's busybox has neither; nuctl calls `install -m MODE /dev/stdin TARGET` and `printenv NAME`.
        scripts = {"install": 'cat >"$4" && chmod "$2" "$4"', "printenv": 'eval "echo \\"\\$$1\\""'}
        for applet, script in scripts.items():
            (folder / "bin" / applet).write_text(f"#!/bin/sh\n{script}\n", "utf-8")
            (folder / "bin" / applet).chmod(0o755)
        engine.docker("import", "-", store, stdin=_tar(folder))


def _pack(source: Path, version: str, target: Path) -> None:
    """Make one executable file of the stand-in's folder: nuclio's Dockerfile copies one."""
    with tempfile.TemporaryDirectory() as name:
        folder = shutil.copytree(source, Path(name) / "processor", ignore=shutil.ignore_patterns("__pycache__"))
        file = folder / "version.py"
        file.write_text(file.read_text("utf-8").replace("@VERSION@", version), "utf-8")
        zipapp.create_archive(folder, target, interpreter="/usr/bin/env python3")


def wheels(version: str, cache: Path, target: Path) -> None:
    """Fetch the wheels of nuclio's Python side: pip itself, the SDK, msgpack."""
    folder = cache / f"wheels-{version}"
    if not folder.exists():
        part = Path(tempfile.mkdtemp(prefix="wheels-", dir=cache))
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        subprocess.run([*command, "--python-version=3.11", "--dest", str(part), *SDK[version]], check=True)
        part.rename(folder)
    shutil.copytree(folder, target)
    target.chmod(0o755)


def python_side(version: str, cache: Path) -> Path:
    """Install the SDK and msgpack of one nuclio version into a folder for PYTHONPATH."""
    folder = cache / f"python-{version}"
    if not folder.exists():
        part = Path(tempfile.mkdtemp(prefix="python-", dir=cache))
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(part)]
        subprocess.run([*command, *SDK[version][:2]], check=True)
        part.rename(folder)
    return folder


def _tar(folder: Path) -> bytes:
    """Archive a folder as root's, readable by all."""

    def owner(info: tarfile.TarInfo) -> tarfile.TarInfo:
        info.uid = info.gid = 0
        info.mode |= 0o755 if info.isdir() else 0o444
        return info

    with tempfile.TemporaryFile() as file:
        with tarfile.open(fileobj=file, mode="w") as archive:
            for entry in sorted(folder.iterdir()):
                archive.add(entry, arcname=entry.name, filter=owner)
        file.seek(0)
        return file.read()
