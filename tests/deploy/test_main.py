"""deploy/__main__.py: what any part may run into ends in a sentence with a cure."""

from __future__ import annotations

import errno
import os

import pytest

from deploy import __main__ as entry


@pytest.mark.parametrize(
    ("number", "words"), [(errno.ENOSPC, "the disk is full"), (errno.EROFS, "the file system is read-only")]
)
def test_a_disk_that_cannot_be_written_is_said_whoever_writes(
    number: int, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def writes(_: object) -> int:
        raise OSError(number, os.strerror(number), "/somewhere/file")

    monkeypatch.setattr(entry, "dispatch", writes)
    assert entry.main(["status"]) == 1
    assert words in capsys.readouterr().err


def test_any_other_fault_of_the_system_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: object) -> int:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(entry, "dispatch", fails)
    with pytest.raises(OSError, match="broken"):
        entry.main(["status"])
