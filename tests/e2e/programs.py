"""Which programs the tests run: the stand-ins, or nuclio's own from the folder `NUCLIO_BIN`.

The folder holds `processor`, `nuctl`, `uhttpc` and `_nuclio_wrapper.py` of one version.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

STANDIN = Path(__file__).parent / "standin"


@dataclass(frozen=True)
class Programs:
    """nuclio in one version. Commands are lists of words, without the arguments."""

    version: str
    real: bool
    processor: list[str]
    nuctl: list[str]
    uhttpc: Path
    wrapper: Path

    @property
    def release(self) -> tuple[int, ...]:
        return tuple(int(part) for part in self.version.split("."))

    def __str__(self) -> str:
        return f"{self.version}-{'nuclio' if self.real else 'stand-in'}"


def stand_ins(version: str) -> Programs:
    """Return what plays a version of nuclio. `NUCLIO_STANDIN_VERSION` must tell it so."""
    processor, nuctl = ([sys.executable, str(STANDIN / name)] for name in ("processor", "nuctl.py"))
    return Programs(version, False, processor, nuctl, STANDIN / "uhttpc.py", STANDIN / "wrapper.py")


def nuclios(folder: Path) -> Programs:
    """Return nuclio's own programs.

    Raises:
        FileNotFoundError: one is missing; names it.
        ValueError: processor and nuctl are of two versions, or of none.
    """
    files = {name: folder / name for name in ("processor", "nuctl", "uhttpc", "_nuclio_wrapper.py")}
    for file in files.values():
        if not file.is_file():
            raise FileNotFoundError(f"NUCLIO_BIN: {file} is missing")
    said = {
        "nuctl": _output(str(files["nuctl"]), "version"),
        "processor": _output(str(files["processor"]), "--version"),
    }
    labels = {name: re.search(r'Label:\s*"?(\d+\.\d+\.\d+)', text) for name, text in said.items()}
    versions = {match[1] for match in labels.values() if match}
    if len(versions) != 1 or None in labels.values():
        raise ValueError(f"NUCLIO_BIN: {folder} must hold programs of one version: {said}")
    (version,) = versions
    nuctl, processor = [str(files["nuctl"])], [str(files["processor"])]
    return Programs(version, True, processor, nuctl, files["uhttpc"], files["_nuclio_wrapper.py"])


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


OLDEST = stand_ins("1.13.0")
NEWEST = stand_ins("1.16.3")
_folder = os.environ.get("NUCLIO_BIN")
VERSIONS = [nuclios(Path(_folder).resolve())] if _folder else [NEWEST, OLDEST]
"""What the tests run, newest first."""
LOAD_S = 25 if VERSIONS[0].real else 12
"""A slow load, longer than several health checks; the stand-ins need not prove how much longer."""
