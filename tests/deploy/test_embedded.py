"""What `up` compares, what it keeps of what runs, and which process it takes for its own."""

from __future__ import annotations

import ipaddress
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy import cvat_settings, embedded, embedded_server, embedded_table, say
from deploy.embedded import Plan, changes, make_plan
from deploy.options import Options

REPORT: dict[str, Any] = {
    "pid": 7,
    "since": "2026-11-28T10:00:00+08:00",
    "host": "127.0.0.1",
    "port": 8071,
    "allow": ["10.0.0.0/8"],
    "gpu": False,
    "settings": {"PCB_AOI_THRESHOLD": "0.4"},
    "names": ["a"],
    "log": "/x/embedded.log",
    "changed": [],
    "functions": {
        "pcb-a": {
            "folder": "a", "name": "内层", "state": "ready", "version": "1.0", "sha256": "f" * 64, "provider": "CPU",
            "changed": False, "calls": 3, "failed": 1,
            "labels": ["开路", "微短"], "without_weights": ["胶膜"],
            "failures": [{"time": "t", "status": 413, "code": "too_large", "cause": "huge", "cure": ["裁剪", "crop"]}],
        }
    },
    "left_out": [],
}  # fmt: skip
SAME = Plan("127.0.0.1", 8071, False, ("10.0.0.0/8",), ("a",))
ENV = {"PCB_AOI_THRESHOLD": "0.4", "HOME": "/x"}


def options(**chosen: Any) -> Options:  # noqa: ANN401
    return Options(root=Path("/x"), cwd=Path("/x"), command="up", **chosen)


@pytest.fixture
def process(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process in tmp_path that ends with its standard input."""
    command = [sys.executable, "-c", "import sys; sys.stdin.read()", "pcb-aoi", "serve"]
    with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE) as child:
        yield child


@pytest.fixture
def running(process: subprocess.Popen[bytes], tmp_path: Path) -> embedded_server.RunningServer:
    """The record that the process would write."""
    record = {
        "pid": process.pid,
        "start": Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19],
        "executable": str(Path(f"/proc/{process.pid}/exe").readlink()),
        "folder": str(tmp_path),
        "host": "127.0.0.1",
        "port": 8071,
    }
    path = embedded_server.record_path(tmp_path)
    path.parent.mkdir()
    path.write_text(json.dumps(record))
    found = embedded_server.find(tmp_path)
    assert found
    assert found.pid == process.pid
    return found


@pytest.mark.parametrize(
    "change", [{"pid": 1}, {"pid": os.getpid()}, {"start": "1"}, {"executable": "/bin/true"}, {"folder": "/"}]
)
def test_a_process_that_differs_in_one_thing_is_not_ours(
    running: embedded_server.RunningServer, tmp_path: Path, change: dict[str, object]
) -> None:
    path = embedded_server.record_path(tmp_path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    assert embedded_server.find(tmp_path) is None


@pytest.mark.parametrize("text", ["", "7", "[]", '{"pid": "x"}', '{"pid": 7}'])
def test_a_damaged_record_is_no_server(tmp_path: Path, text: str) -> None:
    path = embedded_server.record_path(tmp_path)
    path.parent.mkdir()
    path.write_text(text)
    assert embedded_server.find(tmp_path) is None


def test_a_copied_folder_has_no_server_and_a_moved_one_keeps_it(
    running: embedded_server.RunningServer, tmp_path: Path
) -> None:
    copy = tmp_path.with_name(tmp_path.name + "-copy")
    embedded_server.record_path(copy).parent.mkdir(parents=True)
    record = json.loads(embedded_server.record_path(tmp_path).read_text())
    embedded_server.record_path(copy).write_text(json.dumps(record))
    assert embedded_server.find(copy) is None
    # Even where the record names the copy.
    embedded_server.record_path(copy).write_text(json.dumps({**record, "folder": str(copy)}))
    assert embedded_server.find(copy) is None
    moved = tmp_path.rename(tmp_path.with_name(tmp_path.name + "-moved"))
    assert embedded_server.find(moved)


def test_a_process_that_has_ended_is_not_alive_before_its_parent_looks(
    running: embedded_server.RunningServer, process: subprocess.Popen[bytes]
) -> None:
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not running.alive()


def test_stop_ends_the_process(running: embedded_server.RunningServer, process: subprocess.Popen[bytes]) -> None:
    running.stop()
    assert process.wait(60) != 0
    assert embedded_server.find(running.root) is None


def test_who_holds_a_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert embedded_server.holder(port).startswith(f"{os.getpid()} (")
    assert embedded_server.holder(port) == ""


def test_without_a_server_the_options_are_the_plan() -> None:
    chosen = options(host="[::1]", port=9000, gpu=True, functions=("b",), allow=("::/0",))
    assert make_plan(chosen, None, None) == Plan("::1", 9000, True, ("::/0",), ("b",))


@pytest.mark.parametrize(("chosen", "names"), [((), ()), (("b",), ("a", "b")), (("a",), ("a",))])
def test_up_never_takes_a_function_away(
    running: embedded_server.RunningServer, chosen: tuple[str, ...], names: tuple[str, ...]
) -> None:
    plan = make_plan(options(functions=chosen), running, REPORT)
    assert plan == Plan("127.0.0.1", 8071, False, ("10.0.0.0/8",), names)
    # Where all are served, one that is named is among them.
    assert make_plan(options(functions=chosen), running, {**REPORT, "names": []}).names == ()


def test_what_nobody_asked_for_has_its_default() -> None:
    assert make_plan(options(), None, None) == Plan("127.0.0.1", 8070, False, (), ())


@pytest.mark.parametrize("network", ["10.0.0.0/8", "192.168.1.7", "::1"])
def test_the_same_client_is_no_change(running: embedded_server.RunningServer, network: str) -> None:
    """The server reports 192.168.1.7/32: two ways to write one network."""
    report = {**REPORT, "allow": [str(ipaddress.ip_network(network))]}
    plan = make_plan(options(allow=(network,)), running, report)
    assert not [text for text, _ in changes(plan, report, {}) if text.startswith("--allow")]


def test_the_command_for_docker_serves_the_same(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cvat_settings, "docker_gateway", lambda: "172.17.0.1")
    monkeypatch.setattr(cvat_settings, "docker_networks", lambda: ["172.17.0.0/16"])
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/docker")
    cvat_settings.show("127.0.0.1", 8070, Plan("127.0.0.1", 8070, True, (), ("a", "b")).served)
    assert "up --platform embedded --gpu --function a --function b --host 172.17.0.1" in capsys.readouterr().out


def test_without_docker_no_name_of_dockers_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    cvat_settings.show("0.0.0.0", 8070, [])
    out = capsys.readouterr().out
    assert "host.docker.internal" not in out
    assert "the address by which CVAT reaches this machine" in out


def test_what_runs_on_the_gpu_stays_there(running: embedded_server.RunningServer) -> None:
    assert make_plan(options(), running, {**REPORT, "gpu": True}).gpu
    assert make_plan(options(gpu=True), running, REPORT).gpu


@pytest.mark.parametrize("chosen", [{"host": "::1"}, {"port": 9000}, {"port": 8070}, {"host": "localhost"}])
def test_another_address_is_refused(
    running: embedded_server.RunningServer, chosen: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(say.Fatal):
        make_plan(options(**chosen), running, REPORT)
    assert "./deploy.sh down" in capsys.readouterr().err


def test_nothing_changed_is_no_reason() -> None:
    assert list(changes(SAME, REPORT, ENV)) == []


@pytest.mark.parametrize(
    ("plan", "report", "env", "said"),
    [
        (SAME, {**REPORT, "changed": ["code"]}, ENV, "code of pcb_aoi/"),
        (SAME, {**REPORT, "changed": ["a"]}, ENV, "function a"),
        (SAME, REPORT, {}, "PCB_AOI_THRESHOLD: 0.4 -> -"),
        (SAME, REPORT, {**ENV, "PCB_AOI_BATCH": "2"}, "PCB_AOI_BATCH: - -> 2"),
        (Plan("127.0.0.1", 8071, True, SAME.allow, SAME.names), REPORT, ENV, "the GPU is to be used"),
        (Plan("127.0.0.1", 8071, False, ("::/0",), SAME.names), REPORT, ENV, "--allow ::/0"),
        (Plan("127.0.0.1", 8071, False, SAME.allow, ()), REPORT, ENV, "functions: all"),
        (Plan("127.0.0.1", 8071, False, SAME.allow, ("a", "b")), REPORT, ENV, "functions: b"),
        (SAME, {**REPORT, "left_out": [{"folder": "b"}]}, ENV, "trying b again"),
        (SAME, {**REPORT, "functions": {"pcb-a": {"state": "unhealthy"}}}, ENV, "pcb-a is unhealthy"),
    ],
)
def test_each_change_is_a_reason(plan: Plan, report: dict[str, Any], env: dict[str, str], said: str) -> None:
    assert [en for _, en in changes(plan, report, env)] == [said]


def test_the_table_shows_what_answers(capsys: pytest.CaptureFixture[str]) -> None:
    assert embedded_table.show(7, REPORT) == 0
    text = capsys.readouterr().out
    assert "pcb-a finds: 开路 微短" in text
    assert "no weights yet for: 胶膜" in text
    assert embedded_table.show(7, REPORT) == 0
    output = capsys.readouterr().out
    for text in ("/x/embedded.log", "pcb-a", "1.0", "f" * 12, "内层", "413 too_large: huge", "crop"):
        assert text in output


@pytest.mark.parametrize("state", ["ready", "unhealthy"])
@pytest.mark.parametrize("left", [0, 1])
def test_unhealthy_or_left_out_is_1(state: str, left: int, capsys: pytest.CaptureFixture[str]) -> None:
    function = {**REPORT["functions"]["pcb-a"], "state": state}
    out = [{"folder": "b", "code": "bad_config", "cause": "wrong key", "cure": ["检查", "check"]}] * left
    wrong = embedded_table.show(7, {**REPORT, "functions": {"pcb-a": function}, "left_out": out})
    assert wrong == (state != "ready" or left == 1)
    assert ("wrong key" in capsys.readouterr().err) == bool(left)


@pytest.mark.parametrize(("address", "local"), [("127.0.0.1", True), ("192.0.2.7", False), ("", False), ("x y", False)])
def test_only_addresses_of_this_machine_are_local(address: str, local: bool) -> None:
    assert cvat_settings.is_local(address) == local


def test_a_server_that_does_not_answer_is_said(
    running: embedded_server.RunningServer, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as unused:  # bound, and does not listen: refused
        unused.bind(("127.0.0.1", 0))
        silent = embedded_server.RunningServer(**{**vars(running), "port": unused.getsockname()[1]})
        with pytest.raises(say.Fatal):
            embedded._ask(silent)
    assert "does not answer" in capsys.readouterr().err
