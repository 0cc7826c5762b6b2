"""nuctl and the container watched beside it: a load that is slow, one that fails, and one that fails late."""

from __future__ import annotations

import time

import pytest
from deploy_world import RAISED, Port, World, function

from deploy import loading
from deploy.nuctl import Nuctl

ERROR = "pcb_aoi.errors.ModelError: 模型文件不符。 weights do not fit"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "_LOOK_S", 0.01)


def load(world: World, port: int, ready_s: int = 5) -> str:
    client = Nuctl.of(world.options)
    return loading.load(client, function(port, ready_s=ready_s), ["nuctl", "deploy", "x"], world.folder / "nuctl.log")


def test_a_function_that_answers_is_loaded(world: World, port: Port) -> None:
    world.deploys(function(), "b", "image:1", identity="2")
    assert load(world, port.number) == ""


def test_a_container_that_falls_ends_the_wait_at_once(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    (world.folder / "log").write_text(RAISED, "utf-8")
    world.container("1", restarts=9)
    fallen = world.container("2", status="restarting", restarts=1)
    world.container("1", restarts=9)  # the old version's: no matter
    # As nuctl: it waits for a healthy container, and ends when there is none left to wait for.
    world.on_deploy(
        f"cat >container <<'C'\n{fallen}\nC\n"
        "for _ in {1..3000}; do grep -q exited container && exit 1; read -rt .01 <> <(:); done; echo waited >>calls"
    )
    started = time.monotonic()
    assert load(world, 1, ready_s=300) == ERROR
    assert time.monotonic() - started < 20
    assert "waited" not in world.calls
    # In this order: with its restarts on, Docker would start it again.
    ends = [call for call in world.calls if call.startswith(("docker update", "docker kill"))]
    assert ends == ["docker update --restart=no nuclio-nuclio-pcb-inner-layer",
                    "docker kill nuclio-nuclio-pcb-inner-layer"]  # fmt: skip
    assert "docker logs nuclio-nuclio-pcb-inner-layer" in capsys.readouterr().err


def test_a_nuctl_that_does_not_end_by_itself_is_stopped(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "_NUCTL_S", 0.05)
    (world.folder / "log").write_text(RAISED, "utf-8")
    fallen = world.container("2", status="exited")
    (world.folder / "container").unlink()
    world.on_deploy(f"cat >container <<'C'\n{fallen}\nC\nexec sleep 600")
    assert load(world, 1) == ERROR


def test_a_load_that_fails_after_nuctl_called_it_ready(world: World) -> None:
    (world.folder / "log").write_text(RAISED, "utf-8")
    world.deploys(function(), "b", "image:1", identity="2")
    script = (world.folder / "on_deploy").read_text("utf-8")
    healthy, fallen = '"RestartCount": 0', '"RestartCount": 1'
    world.on_deploy(script.replace(healthy, fallen))
    assert load(world, 1) == ERROR


def test_a_port_that_answers_late_is_waited_for(world: World, port: Port) -> None:
    world.deploys(function(), "b", "image:1", identity="2")
    port.status, port.error = 500, "Processor not ready"
    port.after(3, lambda: setattr(port, "status", 200))
    assert load(world, port.number) == ""
    assert port.status == 200


def test_a_port_that_never_answers_is_given_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("READINESS_TIMEOUT", "1")
    world.deploys(function(), "b", "image:1", identity="2")
    assert "no answer in 1 s (READINESS_TIMEOUT)" in load(world, 1, ready_s=300)


@pytest.mark.parametrize(
    ("said", "cure"),
    [
        ("docker: port is already allocated", "the port is taken"),
        ("pull quay.io/nuclio/uhttpc:0.0.1-amd64: not found", "nuclio's helper images cannot be pulled"),
        ("ERROR: No matching distribution found for nuclio-sdk", "spec.runtime is not the Python of the base image"),
        ("COPY --from=uhttpc failed", ""),
    ],
)
def test_what_nuctl_says_is_shown_with_its_cure(
    world: World, capsys: pytest.CaptureFixture[str], said: str, cure: str
) -> None:
    world.on_deploy(f"echo '{said}'; exit 1")
    assert load(world, 1) == f"nuctl: {world.folder / 'nuctl.log'}"
    error = capsys.readouterr().err
    assert said in error
    assert cure in error
    assert ("warning" in error) is bool(cure)
