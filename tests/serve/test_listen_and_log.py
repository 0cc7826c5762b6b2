"""The listening socket with its messages, and the log file with its size."""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pcb_aoi.platform import logs
from pcb_aoi.platform.listen import CannotListen, listen


@pytest.fixture
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, raising = root.handlers[:], root.level, logging.raiseExceptions
    yield
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers[:], root.level, logging.raiseExceptions = handlers, level, raising


def test_it_listens_at_once_so_that_a_second_one_is_refused() -> None:
    with closing(listen("127.0.0.1", 0)) as first:
        port = first.getsockname()[1]
        # Somebody who connects before the models are loaded waits, and is not refused.
        socket.create_connection(("127.0.0.1", port), timeout=60).close()
        with pytest.raises(CannotListen, match=f"127.0.0.1:{port}.*try another --port; who holds it: ss -ltnp"):
            listen("127.0.0.1", port)


@pytest.mark.parametrize("host", ["192.0.2.7", "no-such-name.invalid", "2001:db8::7"])
def test_an_address_of_another_machine_is_said(host: str) -> None:
    with pytest.raises(CannotListen) as caught:
        listen(host, 8070)
    assert "this machine has no such address" in str(caught.value)
    assert (f"[{host}]:8070" if ":" in host else f"{host}:8070") in str(caught.value)


def test_a_port_of_roots_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: socket.socket, address: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(CannotListen, match="1024"):
        listen("127.0.0.1", 80)


@pytest.mark.usefixtures("logging_as_before")
def test_the_log_is_rotated_by_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_BYTES", 2000)
    path = tmp_path / "embedded.log"
    logs.configure(path)
    for number in range(500):
        logging.getLogger("pcb_aoi.test").info("call %d", number)
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["embedded.log", *(f"embedded.log.{n}" for n in range(1, 5))]
    assert all(file.stat().st_size <= 2000 for file in files)
    assert '"message": "call 499"' in path.read_text()


@pytest.mark.usefixtures("logging_as_before")
def test_a_full_disk_costs_lines_of_the_log_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    logs.configure(tmp_path / "embedded.log")
    (handler,) = logging.getLogger().handlers
    monkeypatch.setattr(handler, "format", full)
    logging.getLogger("pcb_aoi.test").error("lost")
    assert capsys.readouterr().err == ""
