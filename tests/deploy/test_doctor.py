"""doctor: each fault is found, with its cure."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace

import pytest

from deploy import doctor, embedded_server, environment, lock
from deploy.options import Options


@pytest.fixture
def options(tmp_path: Path) -> Options:
    return Options(root=tmp_path, cwd=tmp_path, command="doctor")


def only(found: Iterable[doctor.Symptom]) -> doctor.Symptom:
    (finding,) = found
    return finding


def test_a_checkout_of_somebody_else(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    assert only(doctor.checkout(options)).level == "ok"
    monkeypatch.setattr(os, "access", lambda *_: False)
    finding = only(doctor.checkout(options))
    assert finding.level == "fault"
    assert f"belongs to {options.root.owner()}" in finding.en


def test_another_deploy_sh_at_work(options: Options) -> None:
    with lock.held(options.state):
        assert f"process {os.getpid()}" in list(doctor.checkout(options))[-1].en


def test_the_cure_for_crlf_cures(options: Options) -> None:
    (options.root / "tests").mkdir()
    script = options.root / "tests" / "a b.sh"
    script.write_bytes(b"#!/bin/sh\r\necho well\r\n")
    finding = only(doctor.line_endings(options))
    assert finding.level == "fault"
    subprocess.run(["sh", "-c", finding.en.partition(": ")[2]], check=True)
    assert script.read_bytes() == b"#!/bin/sh\necho well\n"
    assert list(doctor.line_endings(options)) == []


def test_no_python_and_one_without_venv(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "search", lambda: ("缺", "install python3.11-venv"))
    assert next(doctor.pythons(options)) == ("fault", "缺", "install python3.11-venv")
    local = Options(root=options.root, cwd=options.cwd, command="doctor", platform="local")
    assert next(doctor.pythons(local)).level == "note"


def test_an_environment_of_another_place(options: Options) -> None:
    assert only(doctor.environments(options)).level == "ok"
    (options.root / ".venv-gpu").mkdir()
    findings = list(doctor.environments(options))
    assert [finding.level for finding in findings] == ["ok", "fault"]
    assert "./deploy.sh install --gpu" in findings[1].en


def test_passwords_of_mirrors_are_not_printed(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://me:secret@mirror.example/simple")
    monkeypatch.setenv("PIP_TARGET", "/elsewhere")
    first, second = doctor.pip(options)
    assert "https://***@mirror.example/simple" in first.en
    assert "secret" not in first.zh + first.en
    assert second.level == "note"
    assert "PIP_TARGET" in second.en


@pytest.mark.parametrize(
    ("kind", "libc", "level"),
    [("x86_64", ("glibc", "2.36"), "ok"), ("aarch64", ("glibc", "2.36"), "ok"), ("armv7l", ("glibc", "2.36"), "fault"),
     ("x86_64", ("", ""), "fault")],
)  # fmt: skip
def test_machines_without_onnx_runtime(
    kind: str, libc: tuple[str, str], level: str, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: kind)
    monkeypatch.setattr("platform.libc_ver", lambda: libc)
    finding = next(doctor.machine(options))
    assert finding.level == level
    assert kind in finding.en


@pytest.mark.parametrize(
    ("said", "level", "words"),
    [("2", "note", "2 of 8 cores may be used: a container's (cgroup's) CPU quota"), ("4", "ok", "4 of 8 cores"),
     (None, "ok", "4 of 8 cores may be used; a container's (cgroup's) quota is read after ./deploy.sh install")],
)  # fmt: skip
def test_a_quota_of_cores_is_told_from_few_cores(
    options: Options, monkeypatch: pytest.MonkeyPatch, said: str | None, level: str, words: str
) -> None:
    monkeypatch.setattr("deploy.shell.output", lambda *_, **__: said)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    finding = list(doctor.machine(options))[-1]
    assert (finding.level, words in finding.en) == (level, True), finding.en


def test_a_record_that_is_left_over(options: Options) -> None:
    assert list(doctor.served(options)) == []
    path = embedded_server.record_path(options.root)
    path.parent.mkdir(parents=True)
    gone = {
        "pid": 2**22 + 1,
        "start": "1",
        "executable": "/x",
        "folder": str(options.root),
        "host": "::1",
        "port": 8070,
    }
    path.write_text(json.dumps(gone))
    finding = only(doctor.served(options))
    assert (finding.level, str(path) in finding.en, "./deploy.sh up" in finding.en) == ("note", True, True)


def test_a_process_that_serves_is_named(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    running = embedded_server.RunningServer(options.root, 7, "1", "/x", "/x", "0.0.0.0", 8071)
    monkeypatch.setattr(embedded_server, "find", lambda _: running)
    finding = only(doctor.served(options))
    assert (finding.level, "process 7, http://127.0.0.1:8071" in finding.en) == ("ok", True)


def test_addresses_of_this_machine_and_others(options: Options) -> None:
    assert "127.0.0.1" in only(doctor.addresses(options)).en
    asked = Options(root=options.root, cwd=options.cwd, command="doctor", host="192.0.2.7")
    first, second = doctor.addresses(asked)
    assert (first.level, second.level, "192.0.2.7" in second.en) == ("ok", "fault", True)
    assert "192.0.2.7" not in first.en


def test_a_full_disk(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1e9))
    monkeypatch.setattr("tempfile.gettempdir", lambda: "/tmp")
    first, second = doctor.disks(options)
    assert (first.level, second.level) == ("fault", "note")
    assert "1.0 GB free, 3 GB needed: df -h" in first.en


@pytest.mark.parametrize(("platform", "level"), [("embedded", "note"), ("local", "fault")])
def test_docker_and_nuctl_are_missing(
    platform: str, level: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    options = Options(root=tmp_path, cwd=tmp_path, command="doctor", platform=platform)
    findings = list(doctor.docker(options))
    assert [finding.level for finding in findings] == [level, level]
    assert "apt-get install docker.io" in findings[0].en
    assert "github.com/nuclio/nuclio/releases" in findings[1].en


def test_gpu_is_asked_for_and_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert list(doctor.gpu(Options(root=tmp_path, cwd=tmp_path, command="doctor"))) == []
    asked = Options(root=tmp_path, cwd=tmp_path, command="doctor", gpu=True)
    assert only(doctor.gpu(asked)).level == "fault"


def test_faults_and_nothing_else_make_it_1(
    options: Options, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    quiet = (
        "checkout",
        "served",
        "addresses",
        "line_endings",
        "terminal",
        "pythons",
        "environments",
        "pip",
        "machine",
        "disks",
        "docker",
    )
    for name in quiet:
        monkeypatch.setattr(doctor, name, lambda _: iter(()))
    monkeypatch.setattr(doctor, "gpu", lambda _: iter([doctor.Symptom("note", "注", "know")]))
    assert doctor.doctor(options) == 0
    monkeypatch.setattr(doctor, "gpu", lambda _: iter([doctor.Symptom("fault", "坏", "broken")]))
    assert doctor.doctor(options) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "故障 / fault  坏 / broken"


def test_it_changes_nothing(options: Options) -> None:
    before = sorted(options.root.iterdir())
    doctor.doctor(options)
    assert sorted(options.root.iterdir()) == before
