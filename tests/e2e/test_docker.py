"""deploy.sh against a real Docker engine, in the order in which ops would do things.

The tests of this file are one story: each starts from what the one before left.
"""

from __future__ import annotations

import base64
import datetime
import json
import re
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pcb_aoi import __version__
from tests.e2e import images
from tests.e2e.engine import Engine
from tests.e2e.programs import LOAD_S, VERSIONS
from tests.e2e.site import FUNCTIONS, NEWEST, Ops

PORTS = {
    "pcb-inner-layer": 32101,
    "pcb-acid-outer-layer": 32102,
    "pcb-alkaline-outer-layer": 32103,
    "pcb-resin-plug": 32104,
    "pcb-gold-osp": 32105,
}
STORE_IMAGE = images.helpers(NEWEST)[2]
LOCAL = ("--platform", "local", "--no-pull")
BASE = f"pcb-aoi-base:{__version__}-cpu"


def table(output: str) -> dict[str, list[str]]:
    """Return deploy.sh's table: name to its other columns."""
    rows = [re.split(r"\s{2,}", line.strip()) for line in output.splitlines() if line.startswith("pcb-")]
    return {row[0]: row[1:] for row in rows}


def containers(engine: Engine) -> dict[str, str]:
    """Return name and identity of every function's container."""
    lines = engine.docker("ps", "--no-trunc", "--format", "{{.Names}} {{.ID}}").splitlines()
    return dict(line.split() for line in lines if line.startswith("nuclio-nuclio-"))


def tagged(engine: Engine) -> set[str]:
    """Return every image that has a name, with its identity."""
    return set(engine.docker("images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}").splitlines())


def call(port: int, samples: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Post a sample as CVAT does; return the shapes and what was planted."""
    image = json.loads((samples / "truth.json").read_text("utf-8"))["images"][0]
    payload = {"image": base64.b64encode((samples / image["file"]).read_bytes()).decode()}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}", data=json.dumps(payload).encode(), headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=120) as response:
        return json.loads(response.read()), image["defects"]


def eventually(condition: Callable[[], bool], seconds: float = 120) -> None:
    """Poll until the condition holds.

    Raises:
        AssertionError: it did not within the time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.2)


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


@pytest.fixture
def edited(ops: Ops) -> Iterator[Callable[[str, str, str], None]]:
    """Replace text in a file of the site, and put it back afterwards."""
    before: dict[Path, str] = {}

    def edit(name: str, old: str, new: str) -> None:
        path = ops.site / name
        text = path.read_text("utf-8")
        before.setdefault(path, text)
        assert old in text
        path.write_text(text.replace(old, new, 1), "utf-8")

    yield edit
    for path, text in before.items():
        path.write_text(text, "utf-8")


def test_dry_run_prints_nuctl_and_changes_nothing(ops: Ops) -> None:
    result = ops.deploy("up", *LOCAL, "--dry-run")
    assert result.returncode == 0, result.stdout
    assert result.stdout.count("+ nuctl deploy pcb-") == len(FUNCTIONS)
    assert "+ docker build" in result.stdout
    assert not ops.engine.docker("ps", "--all", "--quiet", "--filter", "name=nuclio-nuclio")
    assert BASE not in ops.engine.docker("images", "--format", "{{.Repository}}:{{.Tag}}")


def test_a_taken_port_is_named_before_anything_changes(ops: Ops) -> None:
    ops.engine.docker("run", "--detach", "--name", "squatter", "--publish", "32103:80", STORE_IMAGE,
                      "sh", "-c", "sleep 86400")  # fmt: skip
    result = ops.deploy("up", *LOCAL)
    ops.engine.docker("rm", "--force", "squatter")
    assert result.returncode == 1
    assert "32103" in result.stdout
    assert BASE not in ops.engine.docker("images", "--format", "{{.Repository}}:{{.Tag}}")


def test_another_version_of_the_dashboard_is_refused(ops: Ops) -> None:
    another = "1.12.3"
    dashboard = f"quay.io/nuclio/dashboard:{another}-amd64"
    ops.engine.docker("tag", STORE_IMAGE, dashboard)
    ops.engine.docker("run", "--detach", "--name", "dashboard", dashboard, "sh", "-c", "sleep 86400")
    result = ops.deploy("up", *LOCAL)
    ops.engine.docker("rm", "--force", "dashboard")
    assert result.returncode == 1
    assert NEWEST in result.stdout
    assert another in result.stdout


def test_a_fresh_clone_becomes_five_ready_functions(ops: Ops) -> None:
    result = ops.deploy("up", *LOCAL)
    assert result.returncode == 0, result.stdout
    rows = table(result.stdout)
    assert {name: int(row[1]) for name, row in rows.items()} == PORTS
    for name, row in rows.items():
        assert row[0] == "deployed", f"{name}: {row}"
        assert row[3] == "CPUExecutionProvider"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_each_port_answers_cvat(ops: Ops, function: str) -> None:
    shapes, planted = call(PORTS[f"pcb-{function}"], ops.site / "samples" / function)
    assert shapes
    assert planted
    record = json.loads(ops.nuctl("get", "function", f"pcb-{function}", "-o", "json", "--platform", "local").stdout)
    assert record["metadata"]["labels"]["nuclio.io/project-name"] == "cvat"
    declared = {label["name"] for label in json.loads(record["metadata"]["annotations"]["spec"])}
    assert {shape["label"] for shape in shapes} <= declared


def test_the_base_image_is_what_it_says(ops: Ops) -> None:
    probe = (
        "import json,os,shutil,sys,importlib.metadata as m,onnxruntime as o;"
        "tools=[t for t in ('gcc','cc','g++','make','ld') if shutil.which(t)];"
        "v={d.metadata['Name'].lower():d.version for d in m.distributions()};"
        "print(json.dumps([os.getuid(),sys.version_info[:2],tools,v,o.get_available_providers()]))"
    )
    seen = {}
    for python in ("python", "python3"):
        seen[python] = json.loads(ops.engine.docker("run", "--rm", BASE, python, "-c", probe))
    assert seen["python"] == seen["python3"]
    uid, version, tools, packages, providers = seen["python"]
    assert uid == 10001
    assert version == [3, 11]
    assert tools == []
    assert "CPUExecutionProvider" in providers
    pins = (ops.site / "functions" / "requirements" / "cpu.txt").read_text("utf-8")
    for name, pin in re.findall(r"(?m)^([\w-]+)==(\S+)", pins):
        assert packages[name.lower()] == pin
    assert "nuclio-sdk" not in packages  # only as nuclio's own wheel puts it there
    assert "nuclio_sdk" not in packages
    assert ops.engine.docker("run", "--rm", BASE, "sh", "-c", "ls /src 2>/dev/null || true") == ""


def test_functions_run_as_their_own_user_with_nuclios_sdk(ops: Ops) -> None:
    probe = (
        "import os,nuclio_sdk,importlib.metadata as m;print(os.getuid(),m.version('nuclio-sdk'),nuclio_sdk.__file__)"
    )
    uid, version, path = ops.engine.docker("exec", "nuclio-nuclio-pcb-inner-layer", "python", "-c", probe).split()
    assert (uid, f"nuclio-sdk=={version}") == ("10001", images.SDK[NEWEST][0])
    assert path.startswith("/opt/pcb-aoi/")


def test_status_finds_nothing_wrong(ops: Ops) -> None:
    result = ops.deploy("status", "--platform", "local")
    assert result.returncode == 0, result.stdout
    assert {row[0] for row in table(result.stdout).values()} == {"ready/healthy"}


def test_a_second_run_changes_nothing(ops: Ops) -> None:
    before, images = containers(ops.engine), tagged(ops.engine)
    result = ops.deploy("up", *LOCAL)
    assert result.returncode == 0, result.stdout
    assert {row[0] for row in table(result.stdout).values()} == {"unchanged"}
    assert containers(ops.engine) == before
    assert tagged(ops.engine) == images


def test_a_new_model_version_replaces_one_function_and_can_be_rolled_back(
    ops: Ops, edited: Callable[[str, str, str], None]
) -> None:
    def version() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORTS['pcb-gold-osp']}/", timeout=10) as response:
            return str(json.loads(response.read())["version"])

    first, before = version(), containers(ops.engine)
    edited("functions/gold-osp/model.yaml", f"version: {first}", "version: 9.9.9")
    result = ops.deploy("up", *LOCAL)
    assert result.returncode == 0, result.stdout
    changed = {name for name, identity in containers(ops.engine).items() if before[name] != identity}
    assert changed == {"nuclio-nuclio-pcb-gold-osp"}
    assert version() == "9.9.9"
    for expected in (first, "9.9.9", first):  # twice comes back
        result = ops.deploy("rollback", "--platform", "local", "--function", "gold-osp")
        assert result.returncode == 0, result.stdout
        assert version() == expected


def test_one_broken_function_leaves_the_others_serving(ops: Ops, edited: Callable[[str, str, str], None]) -> None:
    others = {name: identity for name, identity in containers(ops.engine).items() if "resin" not in name}
    # `check` would find an error at import.
    edited("functions/resin-plug/main.py", "    nuclio.load_model(", "    1 / 0\n    nuclio.load_model(")
    result = ops.deploy("up", *LOCAL, READINESS_TIMEOUT="15")
    assert result.returncode == 1, result.stdout
    rows = table(result.stdout)
    assert rows["pcb-resin-plug"][0] == "failed"
    assert "rollback --platform local --function resin-plug" in result.stdout
    after = containers(ops.engine)
    assert {name: after[name] for name in others if "gold" not in name} == {
        name: identity for name, identity in others.items() if "gold" not in name
    }
    assert all(answers(port) for name, port in PORTS.items() if name != "pcb-resin-plug")
    status = ops.deploy("status", "--platform", "local")
    assert status.returncode == 1
    assert "docker logs nuclio-nuclio-pcb-resin-plug" in status.stdout


def test_and_is_well_again_once_it_is_mended(ops: Ops) -> None:
    result = ops.deploy("up", *LOCAL)
    assert result.returncode == 0, result.stdout
    assert table(result.stdout)["pcb-resin-plug"][0] == "deployed"


LOAD = "    nuclio.load_model("
RESIN = (*LOCAL, "--function", "resin-plug")


def resin_version() -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{PORTS['pcb-resin-plug']}/", timeout=10) as response:
        return str(json.loads(response.read())["version"])


def test_a_slow_load_is_waited_for_and_then_answers_at_once(ops: Ops, edited: Callable[[str, str, str], None]) -> None:
    """Longer than several health checks; the smoke call of `up` is the first call."""
    edited("functions/resin-plug/main.py", LOAD, f"    import time; time.sleep({LOAD_S})\n" + LOAD)
    result = ops.deploy("up", *RESIN)
    assert result.returncode == 0, result.stdout
    assert table(result.stdout)["pcb-resin-plug"][0] == "deployed"
    assert answers(PORTS["pcb-resin-plug"])


def test_a_load_that_fails_after_nine_seconds_is_reported_with_its_python_error(
    ops: Ops, edited: Callable[[str, str, str], None]
) -> None:
    """Long after nuctl's first look: within 30 s of the container's start, though nuctl would wait 300."""
    failing = "    import time; time.sleep(9); raise ValueError('no such tensor')\n"
    edited("functions/resin-plug/main.py", LOAD, failing + LOAD)
    result = ops.deploy("up", *RESIN)
    ended = time.time()
    assert result.returncode == 1, result.stdout
    assert "ValueError: no such tensor" in result.stdout
    created = ops.engine.docker("container", "inspect", "--format", "{{.Created}}", "nuclio-nuclio-pcb-resin-plug")
    started = datetime.datetime.fromisoformat(created.strip()[:19] + "+00:00").timestamp()
    assert ended - started < 30


def test_two_failed_upgrades_and_a_rollback_end_on_the_good_version(
    ops: Ops, edited: Callable[[str, str, str], None]
) -> None:
    assert ops.deploy("up", *RESIN).returncode == 0
    good = resin_version()
    for number in (1, 2):
        edited("functions/resin-plug/main.py", LOAD, f"    {number} / 0\n" + LOAD)
        result = ops.deploy("up", *RESIN)
        assert result.returncode == 1, result.stdout
        assert "ZeroDivisionError" in result.stdout
        edited("functions/resin-plug/main.py", f"    {number} / 0\n" + LOAD, LOAD)
    result = ops.deploy("rollback", "--platform", "local", "--function", "resin-plug")
    assert result.returncode == 0, result.stdout
    row = table(result.stdout)["pcb-resin-plug"]
    assert row[0] == "deployed"
    assert "CPUExecutionProvider" in row  # what the smoke call was answered
    assert resin_version() == good
    assert not [name for name in tagged(ops.engine) if "previous" in name or name.count("-kept") > 1]


def test_a_container_that_somebody_removed_is_reported_and_restored(ops: Ops) -> None:
    ops.engine.docker("rm", "--force", "nuclio-nuclio-pcb-inner-layer")
    status = ops.deploy("status", "--platform", "local")
    assert status.returncode == 1
    assert "ready/missing" in table(status.stdout)["pcb-inner-layer"][0]
    result = ops.deploy("up", *LOCAL, "--function", "inner-layer")
    assert result.returncode == 0, result.stdout
    assert answers(PORTS["pcb-inner-layer"])


def test_a_reboot_keeps_ports_and_state(ops: Ops) -> None:
    ops.engine.restart()
    for port in PORTS.values():
        eventually(lambda port=port: answers(port))  # type: ignore[misc]
    eventually(lambda: ops.deploy("status", "--platform", "local").returncode == 0)
    assert {row[0] for row in table(ops.deploy("up", *LOCAL).stdout).values()} == {"unchanged"}


def test_a_killed_worker_comes_back_by_itself(ops: Ops) -> None:
    name = "nuclio-nuclio-pcb-inner-layer"
    started = ops.engine.docker("inspect", "--format", "{{.State.StartedAt}}", name)
    # Detached: the container ends with its worker, and may take a waiting `exec` with it.
    ops.engine.docker("exec", "--detach", name, "python", "-c", KILL_WRAPPER)
    eventually(lambda: ops.engine.docker("inspect", "--format", "{{.State.StartedAt}}", name) != started)
    eventually(lambda: answers(PORTS["pcb-inner-layer"]))


KILL_WRAPPER = r"""
import os, pathlib, signal
for entry in pathlib.Path('/proc').glob('[0-9]*'):
    if b'/_nuclio_wrapper.py\0' in (entry / 'cmdline').read_bytes() and int(entry.name) != os.getpid():
        os.kill(int(entry.name), signal.SIGKILL)
"""


def test_by_hand_as_the_readme_says(ops: Ops) -> None:
    ops.nuctl("delete", "function", "pcb-inner-layer", "--platform", "local")
    result = ops.nuctl(
        "deploy", "--path", str(ops.site / "functions/inner-layer"), "--file",
        str(ops.site / "functions/inner-layer/function.yaml"), "--project-name", "cvat", "--platform", "local",
        "--no-pull",
    )  # fmt: skip
    assert result.returncode == 0, result.stdout
    assert answers(PORTS["pcb-inner-layer"])


@pytest.mark.skipif(VERSIONS[-1].version != "1.13.0", reason="NUCLIO_BIN holds another version")
def test_nuclio_1_13_takes_the_same_folder(ops: Ops, engine: Engine, tmp_path: Path) -> None:
    old = Ops(ops.site, engine, tmp_path, VERSIONS[-1])
    result = old.deploy("up", *LOCAL, "--function", "inner-layer")
    assert result.returncode == 0, result.stdout
    assert answers(PORTS["pcb-inner-layer"])
    probe = "import importlib.metadata as m;print(m.version('nuclio-sdk'))"
    assert engine.docker("exec", "nuclio-nuclio-pcb-inner-layer", "python", "-c", probe).strip() == "0.5.9"


def test_down_leaves_no_function(ops: Ops) -> None:
    result = ops.deploy("down", "--platform", "local")
    assert result.returncode == 0, result.stdout
    assert containers(ops.engine) == {}
    assert "No functions found" in ops.nuctl("get", "function", "--platform", "local").stdout
    assert "nuclio-nuclio" not in ops.engine.docker("volume", "ls")
    assert ops.deploy("down", "--platform", "local").returncode == 0


@pytest.fixture(scope="module")
def bundle(ops: Ops, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "site.tar"
    result = ops.deploy("bundle", *LOCAL, "--output", str(path))
    assert result.returncode == 0, result.stdout
    return path


@pytest.fixture(scope="module")
def island(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine with no images, in a network namespace that leads nowhere."""
    engine = Engine(Path(tempfile.mkdtemp(prefix="pcb-air-")), island=True)
    engine.start()
    yield engine
    engine.stop()


def test_a_bundle_installs_without_any_network(
    ops: Ops, bundle: Path, island: Engine, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("island") / "pcb-aoi"
    # What a site without a network gets: the scripts. No virtual environment, no package index.
    ops.run(["git", "init", "--quiet", str(folder)])
    for name in ("deploy.sh", "deploy", "functions"):
        ops.run(["cp", "-R", str(ops.site / name), str(folder)])
    there = Ops(folder, island, tmp_path_factory.mktemp("tools"))
    assert there.run(["python3", "-c", "import socket; socket.create_connection(('1.1.1.1', 53), 2)"]).returncode != 0
    result = there.deploy("up", "--bundle", str(bundle))
    assert result.returncode == 0, result.stdout
    rows = table(result.stdout)
    assert {name: row[0] for name, row in rows.items()} == dict.fromkeys(PORTS, "deployed")
    again = there.deploy("up", "--bundle", str(bundle))
    assert {row[0] for row in table(again.stdout).values()} == {"unchanged"}
    status = there.deploy("status", "--platform", "local")
    assert "ready/healthy" in status.stdout
    down = there.deploy("down", "--platform", "local")
    assert down.returncode == 0, down.stdout
    assert containers(island) == {}


def test_a_wheelhouse_starts_the_embedded_platform_without_any_network(
    ops: Ops, island: Engine, tmp_path: Path
) -> None:
    wheelhouse, folder = tmp_path / "wheels.tar", tmp_path / "pcb-aoi"
    result = ops.deploy("bundle", "--platform", "embedded", "--output", str(wheelhouse))
    assert result.returncode == 0, result.stdout
    ops.run(["cp", "-R", str(ops.site), str(folder)])
    ops.run(["rm", "-rf", str(folder / ".venv"), str(folder / ".run")])
    there = Ops(folder, island, tmp_path / "tools")
    result = there.deploy("up", "--bundle", str(wheelhouse))
    try:
        assert result.returncode == 0, result.stdout
        status = there.deploy("status")
        assert status.returncode == 0, status.stdout
        for name in PORTS:
            assert name in status.stdout
    finally:
        assert there.deploy("down").returncode == 0


def test_a_cut_bundle_is_refused(ops: Ops, bundle: Path, tmp_path: Path) -> None:
    broken = tmp_path / "cut.tar"
    with bundle.open("rb") as source:
        broken.write_bytes(source.read(5_000_000))
    result = ops.deploy("up", "--bundle", str(broken))
    assert result.returncode == 1
    assert "sha256sum" in result.stdout


@pytest.mark.skipif(VERSIONS[0].real, reason="nuclio's own nuctl wants a cluster")
def test_kubernetes_gets_what_nuclio_reads(ops: Ops, tmp_path: Path, edited: Callable[[str, str, str], None]) -> None:
    more = {
        "NUCLIO_STANDIN_KUBE": str(tmp_path),
        "NUCTL_NAMESPACE": "cvat",
        "KUBE_MAX_REPLICAS": "3",
        "KUBE_NODE_SELECTOR": "gpu=t4",
        "KUBE_PULL_SECRET": "regcred",
    }
    refused = ops.deploy("up", "--platform", "kube", "--no-pull", **more)
    assert refused.returncode == 1
    assert "--registry" in refused.stdout
    options = ("up", "--platform", "kube", "--no-pull", "--registry", "registry.example.com/pcb")
    for expected in ("deployed", "unchanged"):
        result = ops.deploy(*options, **more)
        assert result.returncode == 0, result.stdout
        assert {row[0] for row in table(result.stdout).values()} == {expected}
    records = [json.loads(path.read_text("utf-8")) for path in (tmp_path / "cvat" / "functions").glob("*.json")]
    assert len(records) == len(FUNCTIONS)
    for record in records:
        spec = record["spec"]
        assert (spec["minReplicas"], spec["maxReplicas"]) == (1, 3)
        assert spec["nodeSelector"] == {"gpu": "t4"}
        assert spec["imagePullSecrets"] == "regcred"
        assert spec["imagePullPolicy"] == "IfNotPresent"
        assert spec["image"].startswith("registry.example.com/pcb/pcb-aoi-")
        assert "port" not in next(iter(spec["triggers"].values()))["attributes"]
        source = next(name for name in FUNCTIONS if f"pcb-{name}" == record["metadata"]["name"])
        original = yaml.safe_load((ops.site / "functions" / source / "function.yaml").read_text("utf-8"))
        assert record["metadata"]["annotations"]["spec"] == original["metadata"]["annotations"]["spec"]
        # Kubernetes has probes of its own and ignores an image's health check; the same image serves both.
        assert spec["build"]["directives"] == original["spec"]["build"]["directives"]

    # A new model version on the cluster, back to the old one, and forth again.
    record = tmp_path / "cvat" / "functions" / "pcb-gold-osp.json"

    def image() -> str:
        return str(json.loads(record.read_text("utf-8"))["spec"]["image"])

    first = image()
    edited("functions/gold-osp/model.yaml", "tile: 640", "tile: 512")
    assert ops.deploy(*options, "--function", "gold-osp", **more).returncode == 0
    second = image()
    assert second != first
    for expected in (first, second):
        result = ops.deploy("rollback", "--platform", "kube", "--function", "gold-osp", **more)
        assert result.returncode == 0, result.stdout
        assert image() == expected

    down = ops.deploy("down", "--platform", "kube", **more)
    assert down.returncode == 0, down.stdout
    assert not list((tmp_path / "cvat" / "functions").glob("*.json"))
