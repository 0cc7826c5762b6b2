"""The command `pcb-aoi` as a program: what it does when its output has nowhere to go, or no Chinese."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pcb_aoi import cli

ROOT = Path(__file__).resolve().parents[1]
CALLS = {
    "labels": ("labels", "inner-layer"),
    "new": ("new", "--help"),
    "check": ("check", "--function", "inner-layer"),
    "adopt": ("adopt", "--help"),
    "annotate": ("annotate", "functions/inner-layer", "samples/inner-layer/grey.jpg"),
    "sync": ("sync", "--help"),
    "demo": ("demo", "--help"),
    "serve": ("serve", "--help"),
}
SOCKET = """
import socket, sys
from pcb_aoi import cli
def run(_):
    here, there = socket.socketpair()
    there.close()
    while True:
        here.send(b"x")
cli._run = run
sys.exit(cli.main([]))
"""


def pcb_aoi(*words: str, stdout: int, code: str = "", **variables: str) -> subprocess.CompletedProcess[bytes]:
    run = ("-c", code) if code else ("-m", "pcb_aoi.cli", *words)
    return subprocess.run(
        [sys.executable, *run], cwd=ROOT, env=os.environ | variables, stdout=stdout, stderr=subprocess.PIPE, check=False
    )


@pytest.fixture
def nobody_reads() -> int:
    """The writing end of a pipe whose reader has gone, as `| head -1` leaves it."""
    reader, writer = os.pipe()
    os.close(reader)
    return writer


@pytest.mark.parametrize("command", cli._COMMANDS)
def test_a_reader_that_has_gone_ends_every_command_without_a_word(command: str, nobody_reads: int) -> None:
    result = pcb_aoi(*CALLS[command], stdout=nobody_reads)
    os.close(nobody_reads)
    # `annotate` and `labels` have notes of their own for people, on the other output.
    assert result.stderr == b"" or (command in ("annotate", "labels") and b"Traceback" not in result.stderr)
    assert b"BrokenPipe" not in result.stderr
    # 0 where argparse takes no notice of it (Python 3.11), 141 where the flush at the end does (3.13).
    assert result.returncode in ((0, 141) if "--help" in CALLS[command] else (141,))


def test_a_connection_that_breaks_is_not_taken_for_the_output(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as file:
        result = pcb_aoi(code=SOCKET, stdout=file.fileno())
    assert b"BrokenPipeError" in result.stderr
    assert result.returncode == 1


def test_an_output_on_a_full_disk_is_named() -> None:
    with Path("/dev/full").open("wb") as file:
        result = pcb_aoi("labels", "inner-layer", stdout=file.fileno())
    assert b"the disk is full" in result.stderr
    assert b"Traceback" not in result.stderr
    assert result.returncode == 1


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "gb18030"])
def test_labels_are_the_same_in_every_charset(encoding: str) -> None:
    utf8 = pcb_aoi("labels", "inner-layer", stdout=subprocess.PIPE, PYTHONIOENCODING="utf-8")
    other = pcb_aoi("labels", "inner-layer", stdout=subprocess.PIPE, PYTHONIOENCODING=encoding)
    assert other.returncode == 0, other.stderr
    assert json.loads(other.stdout.decode(encoding)) == json.loads(utf8.stdout)
