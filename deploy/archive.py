"""A bundle's file: a tar of members, with a manifest that says what they are for and what their SHA-256 is."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Any, NoReturn

from deploy import lock, say

MANIFEST = "bundle.json"
_CHUNK = 1 << 20


def write(target: Path, folder: Path, facts: Mapping[str, Any]) -> None:
    """Pack a folder as one file, which appears only when it is whole, with its SHA-256 beside it.

    `facts` go into the manifest, the machine's architecture and the digest of each member with them.

    Raises:
        Fatal: it cannot be written.
    """
    part = target.with_name(f"{target.name}.part")
    try:
        members = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}
        digests = {name: _digest(path) for name, path in members.items()}
        manifest = {**facts, "machine": platform.machine(), "files": digests}
        text = json.dumps(manifest, ensure_ascii=False, indent=1).encode()
        with tarfile.open(part, "w") as tar:
            head = tarfile.TarInfo(MANIFEST)
            head.size = len(text)
            tar.addfile(head, io.BytesIO(text))
            for name, path in members.items():
                tar.add(path, name)
        digest = _digest(part)
        part.replace(target)
    except OSError as error:
        part.unlink(missing_ok=True)
        zh, en = lock.cure(target, error)
        say.fatal(f"写不了 {target}。{zh}", f"cannot write {target}: {en}")
    lock.write(target.with_name(f"{target.name}.sha256"), f"{digest}  {target.name}\n")
    size = target.stat().st_size / 1e6
    say.info(
        f"离线包已写好：{target}（{size:.0f} MB，SHA-256 {digest}）。现场运行 ./deploy.sh up --bundle {target.name}",
        f"the bundle is ready: {target} ({size:.0f} MB, SHA-256 {digest}). "
        f"On site: ./deploy.sh up --bundle {target.name}",
    )


def read(file: Path) -> dict[str, Any]:
    """Compare every member with the manifest, and return the manifest. Nothing is unpacked.

    Raises:
        Fatal: the file is missing, no bundle, or not what was written.
    """
    if not file.is_file():
        say.fatal(f"没有这个文件：{file}", f"no such file: {file}")
    found: dict[str, str] = {}
    manifest: dict[str, Any] = {}
    try:
        with tarfile.open(file) as tar:
            for member in tar:
                data = tar.extractfile(member) if member.isfile() else None
                if data is None or not _safe(member.name) or member.name in found:
                    _damaged(file, member.name)
                if member.name == MANIFEST:
                    manifest = json.load(data)
                else:
                    found[member.name] = _digest_of(data)
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        _damaged(file, str(error))
    expected = manifest.get("files", {})
    if not manifest or found != expected:
        wrong = sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))
        _damaged(file, " ".join(wrong[:5]))
    return manifest


def unpack(file: Path, folder: Path, *, leave: str = "") -> None:
    """Unpack the members of a bundle that has been read, all but the one to `leave`."""
    with tarfile.open(file) as tar:
        for member in tar:
            data = tar.extractfile(member)
            if data is not None and member.name != leave:
                target = folder / member.name
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("wb") as out:
                    shutil.copyfileobj(data, out, _CHUNK)


def stream(file: Path, name: str, into: IO[bytes]) -> None:
    """Copy one member into a stream, such as another program's input."""
    with tarfile.open(file) as tar:
        data = tar.extractfile(name)
        assert data is not None
        shutil.copyfileobj(data, into, _CHUNK)


def _safe(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts


def _damaged(file: Path, what: str) -> NoReturn:
    say.fatal(
        f"{file} 不是离线包，或没有传完整（{what}）：与源文件比较 sha256sum，重新复制",
        f"{file} is no bundle, or was damaged on its way ({what}): compare sha256sum with the source, copy it again",
    )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return _digest_of(file)


def _digest_of(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()
