"""One deploy.sh at a time, and files that are whole or not there."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deploy import lock, say

ROOT = Path(__file__).resolve().parents[2]
OTHER = """
import sys
from pathlib import Path
from deploy import lock
with lock.held(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def other(state: Path) -> subprocess.Popen[str]:
    """Start another process that takes the lock, says "held", and keeps it until its standard input closes."""
    return subprocess.Popen(
        [sys.executable, "-c", OTHER, str(state)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def waits(process: subprocess.Popen[str]) -> bool:
    """Say whether the kernel has the process waiting for a lock, once it has come to that or gone on."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if re.search(rf"-> FLOCK\s+ADVISORY\s+WRITE {process.pid} ", Path("/proc/locks").read_text()):
            return True
    return False


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline()


def test_the_second_waits_says_for_whom_and_goes_on(tmp_path: Path) -> None:
    state = tmp_path / ".run"
    with other(state) as first:
        assert line(first) == "held\n"
        assert lock.owner(state) == str(first.pid)
        with other(state) as second:
            assert f"another deploy.sh (process {first.pid}) is at work here" in line(second)
            assert waits(second)
            first.communicate("")
            assert line(second) == "held\n"
            second.communicate("")
    assert lock.owner(state) == ""


def test_a_killed_owner_leaves_no_lock(tmp_path: Path) -> None:
    with other(tmp_path) as first:
        assert line(first) == "held\n"
        first.kill()
    with lock.held(tmp_path):
        assert lock.owner(tmp_path) == str(os.getpid())


def test_a_server_that_is_started_under_the_lock_does_not_keep_it(tmp_path: Path) -> None:
    with lock.held(tmp_path):
        server = subprocess.Popen(["cat"], stdin=subprocess.PIPE, close_fds=False)
    try:
        assert lock.owner(tmp_path) == ""
    finally:
        server.communicate(b"")


def test_it_can_be_asked_for_again_within(tmp_path: Path) -> None:
    with lock.held(tmp_path), lock.held(tmp_path):
        assert lock.owner(tmp_path)
    assert lock.owner(tmp_path) == ""


def test_a_dry_run_leaves_no_trace(tmp_path: Path) -> None:
    with lock.held(tmp_path / ".run", dry_run=True):
        assert lock.owner(tmp_path / ".run") == ""
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    lock.write(tmp_path / "new" / "file", "开路")
    lock.write(tmp_path / "new" / "file", "短路")
    assert (tmp_path / "new" / "file").read_text("utf-8") == "短路"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (errno.ENOSPC, "the disk is full: see df -h"),
        (errno.EDQUOT, "the disk is full: see df -h"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "make a clone of your own"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_a_file_that_cannot_be_written_stays_and_says_why(
    number: int, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lock.write(tmp_path / "file", "old")

    def full(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(say.Fatal):
        lock.write(tmp_path / "file", "new")
    assert f"cannot write {tmp_path}/file" in (said := capsys.readouterr().err)
    assert text in said
    assert (tmp_path / "file").read_text("utf-8") == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_keeps_what_was_there(full_disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lock.write(full_disk / "file", "old")
    with pytest.raises(say.Fatal):
        lock.write(full_disk / "file", "x" * 100_000)
    assert "the disk is full" in capsys.readouterr().err
    assert (full_disk / "file").read_text("utf-8") == "old"
    assert [path.name for path in full_disk.iterdir()] == ["file"]


def test_the_lock_holds_on_a_full_disk(full_disk: Path) -> None:
    with pytest.raises(OSError, match="No space left"):
        (full_disk / "fill").write_bytes(b"x" * 100_000)
    with lock.held(full_disk):
        assert lock.owner(full_disk)


def test_a_state_folder_that_cannot_be_made_says_whose_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def denied(*_: object, **__: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", denied)
    with pytest.raises(say.Fatal), lock.held(tmp_path / ".run"):
        pytest.fail("it was taken")
    assert f"belongs to {tmp_path.owner()}, you are " in capsys.readouterr().err
