"""One deploy.sh at a time in a checkout, and files that are whole or not there."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import getpass
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from deploy import say, shell

_held: set[Path] = set()


@contextlib.contextmanager
def held(state: Path, *, dry_run: bool = False) -> Iterator[None]:
    """Hold the lock of a checkout's state folder; wait, and say so, while another deploy.sh has it.

    The kernel gives it back when its owner ends, however that happens. Within it the lock may be asked for again. With
    `dry_run` nothing is locked.

    Raises:
        Fatal: the folder cannot be made or written.
    """
    if dry_run or state in _held:
        yield
        return
    path = state / "lock"
    try:
        state.mkdir(parents=True, exist_ok=True)
        # Not inherited: a server that is started under the lock does not keep it.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        cannot_write(path, error)
    with os.fdopen(descriptor, "r+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            other = file.read().strip() or "?"
            say.info(
                f"另一个 deploy.sh（进程 {other}）正在这里工作，等它结束（Ctrl-C 放弃）",
                f"another deploy.sh (process {other}) is at work here; waiting for it to end (Ctrl-C gives up)",
            )
            fcntl.flock(file, fcntl.LOCK_EX)
        # Who has it is for people to read; the lock holds without, on a full disk too.
        with contextlib.suppress(OSError):
            file.truncate(0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        _held.add(state)
        try:
            yield
        finally:
            _held.discard(state)


def owner(state: Path) -> str:
    """Name the process that holds the lock; empty when nobody does."""
    try:
        with (state / "lock").open("r", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read().strip() or "?"
    except OSError:
        pass
    return ""


def write(path: Path, text: str) -> None:
    """Write a file so that it is the new one, whole and on the disk, or as it was before.

    Raises:
        Fatal: it cannot be written; the message names the cure.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        cannot_write(path, error)


def cure(path: Path, error: OSError) -> tuple[str, str]:
    """Say, in Chinese and English, what helps where `path` cannot be written."""
    place = shell.quoted([path.parent])
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"磁盘满了：df -h {place} 查看，清理后重试", f"the disk is full: see df -h {place}, free some, try again"
    if error.errno == errno.EROFS:
        return (
            "文件系统是只读的：把整个目录复制到可写的磁盘上",
            "the file system is read-only: copy this checkout to a disk that can be written",
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return foreign(path)
    return f"原因：{error.strerror}", f"{error.strerror}"


def foreign(path: Path) -> tuple[str, str]:
    """Say, in Chinese and English, whose the path is, and how to get a checkout of one's own."""
    # os.path: a folder that may not be entered is one that is not there.
    there = next(folder for folder in (path, *path.parents) if os.path.exists(folder))  # noqa: PTH110
    try:
        whose = there.owner()
    except (KeyError, OSError):
        whose = str(there.stat().st_uid)
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return (
        f"{there} 属于 {whose}，当前用户是 {user}：用 sudo -u {whose} 运行，或 clone 一份自己的目录",
        f"{there} belongs to {whose}, you are {user}: run it as that user (sudo -u {whose} ./deploy.sh ...), or make a "
        "clone of your own",
    )


def cannot_write(path: Path, error: OSError) -> NoReturn:
    """Say that nothing can be written there, and what helps.

    Raises:
        Fatal: always.
    """
    zh, en = cure(path, error)
    say.fatal(f"写不了 {path}。{zh}", f"cannot write {path}: {en}")
