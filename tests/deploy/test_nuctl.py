"""nuctl: what it is asked, and what its answers mean."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from deploy_world import World, function

from deploy import nuctl, say
from deploy.nuctl import Nuctl, parse, ready_made


@pytest.fixture
def client(world: World) -> Nuctl:
    return Nuctl.of(world.options)


def test_a_record_is_read_past_a_line_of_log(world: World) -> None:
    text = world.record(function(), "f00d", "image:1", state="error")
    record = parse(f'26.11.28 05:38 (I) nuctl Got it {{"a": 1}}\n{text}\n')
    assert record is not None
    assert (record.content, record.image, record.state, record.project) == ("f00d", "image:1", "error", "cvat")
    assert parse("No functions found\n") is None


def test_what_nuclio_does_not_know_and_what_nuctl_cannot_say_are_two(
    world: World, client: Nuctl, capsys: pytest.CaptureFixture[str]
) -> None:
    assert client.get("pcb-inner-layer") is None
    world.fake("nuctl", "echo 'no cluster here' >&2; exit 1\n")
    with pytest.raises(say.Fatal):
        client.get("pcb-inner-layer")
    assert "no cluster here" in capsys.readouterr().err


def test_it_works_in_an_empty_folder_of_its_own(world: World, client: Nuctl) -> None:
    world.fake("nuctl", 'ls -A "$OLDPWD" >where; echo "$OLDPWD" >>where\n')
    client.delete("pcb-inner-layer")
    where = (world.folder / "where").read_text("utf-8").split()
    assert len(where) == 1
    assert not Path(where[0]).exists()


def test_a_relative_kubeconfig_is_meant_from_where_the_user_stands(
    world: World, client: Nuctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", "one:/two/three")
    monkeypatch.setenv("DOCKER_CONFIG", "docker")
    world.fake("nuctl", 'echo "$KUBECONFIG $DOCKER_CONFIG" >where\n')
    client.delete("pcb-inner-layer")
    here = world.options.cwd
    assert (world.folder / "where").read_text("utf-8") == f"{here}/one:/two/three {here}/docker\n"


def test_a_project_is_made_once_on_a_cluster(world: World) -> None:
    client = Nuctl("kube", "cvat", world.folder, dry_run=False)
    client.create_project()
    assert world.calls[-1] == "nuctl create project cvat --platform kube --namespace cvat"
    world.fake("nuctl", "exit 0\n")  # it is there
    client.create_project()
    assert world.calls[-1].startswith("nuctl get project")


def test_a_deployment_names_its_content_and_its_patience(client: Nuctl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("READINESS_TIMEOUT", "7")
    words = client.deploy_words("pcb-x", "f00d", "--file", Path("/a b"))
    assert " ".join(words) == (
        "nuctl deploy pcb-x --file /a b --project-name cvat --platform local --namespace nuclio "
        "--annotations pcb-aoi.io/content=f00d --readiness-timeout 7"
    )


def test_a_child_that_still_runs_is_stopped(world: World, client: Nuctl) -> None:
    with client.started(["sleep", "600"], world.folder / "out" / "log") as process:
        assert process.poll() is None
    assert process.returncode == -15
    stubborn = subprocess.Popen(["sh", "-c", 'trap "" TERM; echo ready; sleep 600'], stdout=subprocess.PIPE)
    assert stubborn.stdout is not None
    stubborn.stdout.readline()
    nuctl.stop(stubborn, seconds=0.05)
    stubborn.stdout.close()
    assert stubborn.returncode == -9


def test_the_version_and_the_architecture(world: World) -> None:
    assert nuctl.version() == ("1.14.1", "amd64")
    world.fake("nuctl", "echo 'Client version: unknown'\n")
    assert nuctl.version() == ("", "")


def test_a_ready_made_configuration_has_nothing_to_build() -> None:
    config = {
        "metadata": {
            "name": "a",
            "namespace": "n",
            "labels": {"l": 1},
            "annotations": {"c": 2},
            "resourceVersion": "9",
        },
        "spec": {"build": {"path": "/x", "image": "y"}, "image": "old", "handler": "main:handler"},
    }
    assert ready_made(config, "new:1") == {
        "metadata": {"name": "a", "namespace": "n", "labels": {"l": 1}, "annotations": {"c": 2}},
        "spec": {"image": "new:1", "handler": "main:handler"},
    }
    assert "build" in config["spec"]
