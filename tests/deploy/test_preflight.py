"""What is looked at before anything changes. The messages themselves are tested from the command line, by bats."""

from __future__ import annotations

import platform
import socket
from dataclasses import replace

import pytest
from deploy_world import World, function

from deploy import preflight, say


@pytest.mark.parametrize(
    ("one", "other", "less"),
    [("1.9.9", "1.13.0", True), ("1.13.0", "1.13.0", False), ("1.13.16", "1.13.2", False), ("28.9", "29", True)],
)
def test_versions_are_compared_as_numbers(one: str, other: str, less: bool) -> None:
    assert preflight.older(one, other) is less


@pytest.mark.parametrize(
    ("version", "arch", "expected"),
    [
        ("1.13.0", "amd64", ["alpine:3.17", "onbuild:1.13.0-amd64", "quay.io/nuclio/uhttpc:0.0.1-amd64"]),
        ("1.14.1", "arm64", ["alpine:3.20", "onbuild:1.14.1-arm64", "quay.io/nuclio/uhttpc:0.0.1-arm64"]),
        ("1.16.3", "arm64", ["alpine:3.20", "onbuild:1.16.3-arm64", "gcr.io/iguazio/uhttpc:0.0.3-arm64"]),
    ],
)
def test_helper_images_are_of_nuctls_version_and_architecture(version: str, arch: str, expected: list[str]) -> None:
    found = preflight.helper_images(version, arch)
    assert [name.endswith(end) for name, end in zip(found, expected, strict=True)] == [True] * 3


@pytest.mark.parametrize(
    ("said", "machine", "arch"), [("arm64", "x86_64", "arm64"), ("", "aarch64", "arm64"), ("", "x86_64", "amd64")]
)
def test_the_architecture_is_nuctls_or_the_machines(
    world: World, monkeypatch: pytest.MonkeyPatch, said: str, machine: str, arch: str
) -> None:
    tail = f", Arch: {said}" if said else ""
    world.fake("nuctl", f"echo 'Label: 1.14.1, Git commit: x{tail}'\n")
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert preflight.tools(world.options).arch == arch


def test_a_dry_run_names_what_is_missing_and_goes_on(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.remove("nuctl")
    world.fake("docker", "exit 1\n")
    with pytest.raises(say.Fatal):
        preflight.tools(world.options)
    capsys.readouterr()
    preflight.tools(replace(world.options, dry_run=True))
    error = capsys.readouterr().err
    assert "no answer from Docker" in error
    assert "nuctl is missing" in error


def test_a_port_is_free_or_its_own(world: World) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        taken = function(port=sock.getsockname()[1])
        with pytest.raises(say.Fatal):
            preflight.port_free(world.options, taken, "nuclio-nuclio-pcb-inner-layer")
        world.fake("docker", f"echo 0.0.0.0:{taken.port}\n")
        preflight.port_free(world.options, taken, "nuclio-nuclio-pcb-inner-layer")
    world.fake("docker", "exit 1\n")
    preflight.port_free(world.options, taken, "nuclio-nuclio-pcb-inner-layer")


def test_a_dry_run_names_whatever_is_wrong_and_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Versions that do not fit, a full disk, a taken port: the plan can be read all the same."""
    dry = replace(world.options, dry_run=True)
    world.fake("nuctl", "echo 'Label: 1.12.0, Git commit: x, Arch: amd64'\n")
    world.fake("docker", 'case "$*" in ps*) echo quay.io/nuclio/dashboard:1.13.0-amd64 ;; *) echo /  ;; esac\n')
    monkeypatch.setattr(preflight, "_DISK_GB", {False: 10**9, True: 10**9})
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        preflight.tools(dry)
        preflight.disk(dry)
        preflight.port_free(dry, function(port=sock.getsockname()[1]), "nuclio-nuclio-pcb-inner-layer")
    error = capsys.readouterr().err
    for words in (
        "1.13.0 is the oldest",
        "but the dashboard is 1.13.0",
        "GB needed",
        "is taken by another program",
    ):
        assert words in error


@pytest.mark.parametrize("tag", ["stable-amd64", "latest-amd64", "latest"])
def test_a_dashboard_that_names_no_version_is_not_judged(world: World, tag: str) -> None:
    """The 64 of amd64 is none."""
    world.fake("nuctl", "echo 'Label: 1.14.1, Git commit: x, Arch: amd64'\n")
    world.fake("docker", f'case "$*" in ps*) echo quay.io/nuclio/dashboard:{tag} ;; *) echo 28.2.2 ;; esac\n')
    assert preflight.tools(world.options).nuctl == "1.14.1"
