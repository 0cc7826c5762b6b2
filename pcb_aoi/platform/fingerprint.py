"""What a server was started from, as hashes: equal ones mean that a restart would change nothing."""

from __future__ import annotations

import hashlib
import os
from importlib.metadata import distributions
from pathlib import Path

import pcb_aoi


def of_folder(folder: Path) -> str:
    """Hash names and contents of the files in a folder; empty when it is not there.

    Byte code and hidden files (editors' own) are left out.
    """
    if not folder.is_dir():
        return ""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if "__pycache__" in parts or any(part.startswith(".") for part in parts) or not path.is_file():
            continue
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{'/'.join(parts)}\0{content}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def of_code() -> str:
    """Hash this package as it is on disk."""
    return of_folder(Path(pcb_aoi.__file__).parent)


def of_packages() -> str:
    """Hash names and versions of the installed packages as they are on disk."""
    names = sorted({f"{package.name} {package.version}" for package in distributions()})
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


def settings() -> dict[str, str]:
    """Return the environment variables that set the functions."""
    return {key: value for key, value in sorted(os.environ.items()) if key.startswith("PCB_AOI_")}
