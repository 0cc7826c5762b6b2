"""Ready means loaded: what nuctl and Docker take for readiness, with nuclio's health check and with ours.

Stand-ins and nuclio's own programs pass the same tests; the Docker engine is a real one.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pcb_aoi import __version__
from tests.e2e import probe
from tests.e2e.programs import LOAD_S, VERSIONS
from tests.e2e.running import eventually
from tests.e2e.site import Ops

BASE = f"pcb-aoi-base:{__version__}-cpu"
CONTAINER, PORT = "nuclio-nuclio-probe", 32199

Deploy = Callable[..., tuple[int, str, float]]


@pytest.fixture
def deploy(ops: Ops, tmp_path: Path) -> Deploy:
    """Deploy the probe with nuctl alone: exit code, output and seconds."""
    if BASE not in ops.engine.docker("images", "--format", "{{.Repository}}:{{.Tag}}").split():
        up = ops.deploy("up", "--platform", "local", "--no-pull", "--function", "gold-osp")
        assert up.returncode == 0, up.stdout
        ops.deploy("down", "--platform", "local")
    ops.nuctl("create", "project", "cvat", "--platform", "local")
    ours = yaml.safe_load((ops.site / "functions/gold-osp/function.yaml").read_text("utf-8"))["spec"]

    def run(
        *, ours_too: bool = True, timeout_s: int = 120, volumes: object = None, **env: object
    ) -> tuple[int, str, float]:
        folder = probe.write(tmp_path / "probe")
        config = yaml.safe_load(probe.FUNCTION)
        spec = config["spec"]
        spec["build"] = {"image": "probe:1", "baseImage": BASE}
        spec["platform"] = {"attributes": {"restartPolicy": {"name": "always"}, "healthCheckInterval": "1s"}}
        spec["env"] = [{"name": name, "value": str(value)} for name, value in env.items()]
        if volumes is not None:
            spec["volumes"] = volumes
        if ours_too:
            spec["build"]["directives"] = ours["build"]["directives"]
        (folder / "function.yaml").write_text(yaml.safe_dump(config), "utf-8")
        started = time.monotonic()
        result = ops.nuctl(
            "deploy", "--path", str(folder), "--file", str(folder / "function.yaml"), "--project-name", "cvat",
            "--platform", "local", "--no-pull", "--readiness-timeout", str(timeout_s),
        )  # fmt: skip
        return result.returncode, result.stdout, time.monotonic() - started

    return run


@pytest.fixture(autouse=True)
def clean(ops: Ops) -> Any:  # noqa: ANN401
    yield
    ops.nuctl("delete", "function", "probe", "--platform", "local")


def call(**headers: str) -> tuple[int | None, bytes]:
    """Call the probe once; the status is None when nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
    try:
        connection.request("GET", "/", headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException):
        return None, b""
    finally:
        connection.close()


def state(ops: Ops, field: str) -> str:
    return ops.engine.docker("inspect", "--format", f"{{{{{field}}}}}", CONTAINER).strip()


def test_a_slow_load_is_waited_for_and_the_first_call_is_answered(ops: Ops, deploy: Deploy) -> None:
    code, output, seconds = deploy(PROBE_LOAD_S=LOAD_S)
    assert call()[0] == 200
    assert code == 0, output
    assert seconds > LOAD_S
    print(f"a load of {LOAD_S} s: nuctl took {seconds:.0f} s")
    assert state(ops, ".State.Health.Status") == "healthy"


def test_nuclios_own_health_check_does_not_wait(ops: Ops, deploy: Deploy) -> None:
    code, output, _ = deploy(ours_too=False, PROBE_LOAD_S=60)
    assert code == 0, output
    assert state(ops, ".State.Health.Status") == "healthy"
    assert call()[0] is None


def test_a_load_that_fails_is_never_ready(ops: Ops, deploy: Deploy) -> None:
    code, output, _ = deploy(timeout_s=15, PROBE_LOAD_S=3, PROBE_FAILS=1)
    assert code == 1
    assert "the weights are broken" in output
    assert int(state(ops, ".RestartCount")) >= 1
    record = json.loads(ops.nuctl("get", "function", "probe", "-o", "json", "--platform", "local").stdout)
    assert record["status"]["state"] == "error"


def test_with_nuclios_own_health_check_it_counts_as_ready_and_crash_loops(ops: Ops, deploy: Deploy) -> None:
    code, output, _ = deploy(ours_too=False, PROBE_LOAD_S=6, PROBE_FAILS=1)
    assert code == 0, output
    eventually(lambda: int(state(ops, ".RestartCount")) >= 2)
    record = json.loads(ops.nuctl("get", "function", "probe", "-o", "json", "--platform", "local").stdout)
    assert record["status"]["state"] == "ready"


def test_a_worker_that_dies_is_back_by_itself(ops: Ops, deploy: Deploy) -> None:
    assert deploy()[0] == 0
    assert call(X_Probe="exit 7") in ((500, b"EOF"), (None, b""))
    eventually(lambda: call()[0] == 200, 30)
    assert int(state(ops, ".RestartCount")) == 1


def test_docker_stop_ends_in_sigkill(ops: Ops, deploy: Deploy) -> None:
    assert deploy()[0] == 0
    started = time.monotonic()
    ops.engine.docker("stop", CONTAINER)
    assert 9.5 < time.monotonic() - started < 14.5
    assert state(ops, ".State.ExitCode") == "137"


def test_delete_without_stat_in_the_stores_image_says_success_and_deletes_nothing(ops: Ops, deploy: Deploy) -> None:
    assert deploy()[0] == 0
    ops.engine.docker("exec", "nuclio-local-storage-reader", "/bin/rm", "/bin/stat")
    result = ops.nuctl("delete", "function", "probe", "--platform", "local")
    assert result.returncode == 0
    assert "uccessfully deleted" in result.stdout or "deleted" in result.stdout
    record = json.loads(ops.nuctl("get", "function", "probe", "-o", "json", "--platform", "local").stdout)
    assert record["metadata"]["name"] == "probe"
    ops.engine.docker("rm", "--force", "nuclio-local-storage-reader")


def test_a_mounted_platform_configuration_makes_log_lines_json(ops: Ops, deploy: Deploy, tmp_path: Path) -> None:
    """What operators are told to do."""
    folder = tmp_path / "platform"
    folder.mkdir()
    sink = {"kind": "stdout", "attributes": {"encoding": "json"}}
    bindings = [{"level": "info", "sink": "lines"}]
    logger = {"sinks": {"lines": sink}, "system": bindings, "functions": bindings}
    (folder / "platform.yaml").write_text(yaml.safe_dump({"logger": logger}), "utf-8")
    mount = {"name": "platform", "mountPath": "/etc/nuclio/config/platform"}
    volume = {"name": "platform", "hostPath": {"path": str(folder)}}
    assert deploy(volumes=[{"volume": volume, "volumeMount": mount}])[0] == 0
    lines = ops.engine.docker("logs", CONTAINER).splitlines()
    assert json.loads(next(line for line in lines if "probe loaded" in line))["answer"] == 42


@pytest.mark.skipif(not VERSIONS[0].real, reason="the stand-ins are small")
def test_a_function_adds_nuclios_programs_to_its_base(ops: Ops, deploy: Deploy) -> None:
    assert deploy()[0] == 0
    image, base = (
        int(ops.engine.docker("image", "inspect", "--format", "{{.Size}}", name)) for name in ("probe:1", BASE)
    )
    programs = VERSIONS[0]
    binaries = sum(path.stat().st_size for path in (Path(programs.processor[0]), programs.uhttpc))
    print(f"{(image - base) / 1e6:.1f} MB, of which processor and uhttpc {binaries / 1e6:.1f} MB")
    assert binaries < image - base < binaries + 8e6  # the wrapper and its wheels
