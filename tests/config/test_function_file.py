"""function_file: one reader of function.yaml, for the lint, the embedded platform and the tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from pcb_aoi.config.function_file import FunctionFile
from pcb_aoi.errors import ConfigError

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "functions/inner-layer/function.yaml"


def written(path: Path, data: object) -> FunctionFile:
    path.write_text(yaml.safe_dump(data), "utf-8")
    return FunctionFile.load(path)


def test_a_shipped_file_is_read() -> None:
    file = FunctionFile.load(SHIPPED)
    assert file.metadata["name"] == "pcb-inner-layer"
    assert (file.event_timeout_s, file.http_trigger["attributes"]["port"]) == (120, 32101)
    assert file.env["PCB_AOI_DEVICE"] == "cpu"
    assert file.record()["spec"] == file.spec


@pytest.mark.parametrize(
    ("data", "key"),
    [({}, "metadata"), ({"metadata": {}}, "spec"), ({"metadata": [], "spec": {}}, "metadata"), ([], "mapping")],
)
def test_a_file_that_is_no_function_is_refused(tmp_path: Path, data: object, key: str) -> None:
    with pytest.raises(ConfigError, match=f"f.yaml.*{key}"):
        written(tmp_path / "f.yaml", data)


@pytest.mark.parametrize("triggers", [None, [], {"a": {"kind": "cron"}}, {"a": "http"}])
def test_without_an_http_trigger_there_is_an_empty_one(tmp_path: Path, triggers: object) -> None:
    file = written(tmp_path / "f.yaml", {"metadata": {}, "spec": {"triggers": triggers}})
    assert (file.http_triggers, file.http_trigger) == ([], {})


def test_the_project_is_cvat_unless_the_file_says_otherwise(tmp_path: Path) -> None:
    metadata = {"name": "a", "annotations": {"spec": "[]"}}
    data = {"metadata": metadata, "spec": {"description": "x"}}
    assert written(tmp_path / "f.yaml", data).record()["metadata"]["labels"] == {"nuclio.io/project-name": "cvat"}
    own = {**data, "metadata": {**metadata, "labels": {"nuclio.io/project-name": "mine"}}}
    assert written(tmp_path / "f.yaml", own).record()["metadata"]["labels"] == {"nuclio.io/project-name": "mine"}


def test_the_environment_is_set_for_the_start_alone_and_gives_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = [{"name": "PCB_TEST_A", "value": 5}, {"name": "PCB_TEST_B", "value": "file"}, {"name": "PCB_TEST_C"}]
    file = written(tmp_path / "f.yaml", {"metadata": {}, "spec": {"env": env}})
    monkeypatch.setenv("PCB_TEST_B", "user")
    with file.environment():
        assert [os.environ[f"PCB_TEST_{name}"] for name in "ABC"] == ["5", "user", ""]
    assert [os.environ.get(f"PCB_TEST_{name}") for name in "ABC"] == [None, "user", None]
