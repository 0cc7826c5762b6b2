"""A folder or a .zip, read member by member.

Nothing is ever unpacked to disk, so a member called ../../x cannot land anywhere, and a huge archive costs the memory
of its largest member only.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path, PurePosixPath
from typing import Self

from pcb_aoi.errors import PcbAoiError

LARGEST_MIB = 1024  # of one member: a panel scan fits, a bomb does not


class ArchiveError(PcbAoiError):
    """Not a folder, not a readable .zip, or a .zip that no annotation tool writes; names the file."""


@dataclass(frozen=True)
class Archive:
    """The files of a folder or .zip."""

    path: Path
    members: tuple[str, ...]  # POSIX paths relative to the root, sorted
    prefix: str = ""  # what `below` has cut from the members, with its slash

    @classmethod
    def open(cls, path: Path) -> Self:
        """List the members; raises ArchiveError."""
        if path.is_dir():
            return cls(path, tuple(sorted(p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file())))
        if not path.is_file():
            raise ArchiveError(f"{path}: no such file or folder")
        try:
            with zipfile.ZipFile(path) as archive:
                infos = [info for info in archive.infolist() if not info.is_dir()]
        except Exception as error:  # zipfile raises what it runs into: NotImplementedError for version 9.9
            raise ArchiveError(f"{path}: not a .zip, or not downloaded whole: {error}") from None
        for info in infos:
            name = PurePosixPath(info.filename.replace("\\", "/"))
            if not name.parts or name.is_absolute() or ".." in name.parts or ":" in name.parts[0]:
                raise ArchiveError(f"{path}: refused, its member {info.filename!r} points outside the archive")
            if info.flag_bits & 1:
                raise ArchiveError(f"{path}: encrypted; unpack it and give the folder")
        return cls(path, tuple(sorted(info.filename for info in infos)))

    @cached_property
    def names(self) -> frozenset[str]:
        """The members, to look one up."""
        return frozenset(self.members)

    def below(self, folder: str) -> Archive | None:
        """The part of the archive under a folder, or None where there is no such folder."""
        start = f"{folder}/"
        members = tuple(name.removeprefix(start) for name in self.members if name.startswith(start))
        return Archive(self.path, members, self.prefix + start) if members else None

    def read(self, member: str) -> bytes:
        """The content of one member; raises ArchiveError where it is damaged or too large."""
        limit = LARGEST_MIB << 20
        where = f"{self.path}: {self.prefix}{member}"
        try:
            if self.path.is_dir():
                with (self.path / self.prefix / member).open("rb") as file:
                    content = file.read(limit + 1)
            else:
                # Counted while it is unpacked: the size in the header is only what the header says.
                stamp = self.path.stat()
                with _opened(self.path, stamp.st_mtime_ns, stamp.st_size).open(self.prefix + member) as part:
                    content = part.read(limit + 1)
        except Exception as error:  # as above, and what each compression raises: LZMAError, zlib.error, ...
            raise ArchiveError(f"{where}: cannot be read: {error}") from None
        if len(content) > limit:
            raise ArchiveError(f"{where}: larger than {LARGEST_MIB} MiB")
        return content


@lru_cache(maxsize=4)
def _opened(path: Path, modified: int, size: int) -> zipfile.ZipFile:
    """An open .zip: listing one of ten thousand members takes longer than reading a member of it."""
    return zipfile.ZipFile(path)
