"""The functions of the embedded platform: which folders are served, which are not and why, and what changed on disk."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path

import nuclio_sdk

from pcb_aoi.platform import fingerprint
from pcb_aoi.platform.function import ServedFunction, describe

log = nuclio_sdk.Logger(logging.INFO, "pcb_aoi.platform.functions")


@dataclass(frozen=True)
class LeftOut:
    """A folder that could not be loaded."""

    folder: str
    code: str
    cause: str


class Functions:
    """The function folders that one server serves, by function id."""

    def __init__(self, root: Path, names: list[str], file: str = "function.yaml") -> None:
        """Load the folders under `root`; one that fails is logged and left out.

        Args:
            root: folder of the function folders.
            names: folders to serve; none means every folder that has `file`.
            file: `function.yaml` or `function-gpu.yaml`.
        """
        self.root, self.names, self.file = root, names, file
        self.by_id: dict[str, ServedFunction] = {}
        self.left_out: list[LeftOut] = []
        # Read before the functions: what changes while they load counts as a change.
        self._code, self._packages = fingerprint.of_code(), fingerprint.of_packages()
        for folder in self._folders():
            self._load(folder)

    def _load(self, folder: Path) -> None:
        started = time.monotonic()
        try:
            function = ServedFunction(folder, self.file)
            if function.name in self.by_id:
                raise ValueError(f"another folder has the id {function.name} already")
        except (Exception, SystemExit) as error:
            code, cause = describe(error)
            self.left_out.append(LeftOut(folder.name, code, cause))
            log.error_with("function left out", folder=folder.name, code=code, cause=cause)
            return
        self.by_id[function.name] = function
        ms = round((time.monotonic() - started) * 1000)
        log.info_with("function ready", function=function.name, folder=folder.name, ms=ms)

    def _folders(self) -> list[Path]:
        if self.names:
            return [self.root / name for name in sorted(set(self.names))]
        return sorted(path.parent for path in self.root.glob(f"*/{self.file}"))

    @property
    def folders(self) -> list[str]:
        """The names of the folders that are served."""
        return [function.folder.name for function in self.by_id.values()]

    def changes(self) -> list[str]:
        """Name what is on disk and not in this process: `code`, `packages`, and folders changed, new or gone."""
        changed = [f.folder.name for f in self.by_id.values() if fingerprint.of_folder(f.folder) != f.fingerprint]
        known = {*self.folders, *(left.folder for left in self.left_out)}
        changed += [folder.name for folder in self._folders() if folder.name not in known]
        if fingerprint.of_code() != self._code:
            changed.append("code")
        if fingerprint.of_packages() != self._packages:
            changed.append("packages")
        return changed

    def terminate(self) -> None:
        """Tell every function that it ends."""
        for function in self.by_id.values():
            function.terminate()
