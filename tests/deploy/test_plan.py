"""The plan: what the function files say, what has changed, what a bundle brought."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from deploy_world import function

from deploy import plan, say, shell
from deploy.options import Options
from pcb_aoi import __version__

ROOT = Path(__file__).parents[2]


@pytest.fixture
def options(tmp_path: Path) -> Options:
    """A copy of what the plan is made from."""
    root = tmp_path / "check out"
    for name in ("functions", "pcb_aoi"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("*.onnx", "__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", root)
    return Options(root=root, cwd=tmp_path, command="up", platform="local")


def test_it_says_what_the_function_files_say(options: Options) -> None:
    functions = plan.read(options)
    assert [item.folder for item in functions] == sorted(path.parent.name for path in ROOT.glob("functions/*/main.py"))
    assert {item.name for item in functions} == {f"pcb-{item.folder}" for item in functions}
    assert sorted(item.port for item in functions) == list(range(32101, 32106))
    inner = next(item for item in functions if item.folder == "inner-layer")
    tag = f"{__version__}-cpu"
    assert (inner.image, inner.base, inner.ready_s) == (f"pcb-aoi-inner-layer:{tag}", f"pcb-aoi-base:{tag}", 300)
    assert inner.config["metadata"]["annotations"]["name"] == "内层"
    gpu = plan.read(replace(options, gpu=True, functions=("inner-layer",)))
    assert [item.image for item in gpu] == [f"pcb-aoi-inner-layer:{__version__}-gpu"]
    assert gpu[0].content != inner.content


def test_a_fingerprint_follows_content_and_nothing_else(options: Options) -> None:
    def contents(stack: str = "cpu") -> dict[str, str]:
        return {item.folder: item.content for item in plan.read(options, stack)}

    before = contents()
    (options.root / "functions/inner-layer/__pycache__").mkdir()
    (options.root / "functions/inner-layer/__pycache__/main.pyc").write_bytes(b"x")
    (options.root / "functions/inner-layer/main.py").touch()
    assert contents() == before
    (options.root / "functions/inner-layer/model.onnx").write_bytes(b"x")
    changed = contents()
    assert {name for name in before if before[name] != changed[name]} == {"inner-layer"}
    (options.root / "pcb_aoi/errors.py").write_text("# other\n", "utf-8")
    assert all(changed[name] != content for name, content in contents().items())
    assert contents("cuda12") != contents("cuda13")


def test_a_function_without_weights_is_named_and_left_out(options: Options, capsys: pytest.CaptureFixture[str]) -> None:
    file = options.root / "functions/gold-osp/model.yaml"
    file.write_text("sha256: null\n", "utf-8")
    kept = plan.deployable(plan.read(options))
    assert "gold-osp" not in {item.folder for item in kept}
    assert len(kept) == 4
    assert "gold-osp: no weights yet" in capsys.readouterr().err
    with pytest.raises(say.Fatal):
        plan.deployable([function(has_weights=False)])


@pytest.mark.parametrize(
    ("text", "said"),
    [("spec: [", "function.yaml"), ("spec: {}", "KeyError('triggers')"), ("- a", "TypeError"), ("", "TypeError")],
)
def test_a_broken_function_file_is_named(
    options: Options, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (options.root / "functions/inner-layer/function.yaml").write_text(text, "utf-8")
    with pytest.raises(say.Fatal):
        plan.read(options)
    error = capsys.readouterr().err
    assert said in error
    assert "inner-layer" in error


def test_a_bundles_plan_holds_until_the_checkouts_own_is_deployed(options: Options) -> None:
    brought = [function(), function(folder="other", name="pcb-other")]
    plan.remember(options, brought)
    samples = plan.state(options) / "samples" / "inner-layer"
    samples.mkdir(parents=True)
    assert plan.known(options) == brought
    assert plan.known(replace(options, functions=("other",))) == brought[1:]
    assert plan.samples(options, brought[0]) == samples
    plan.remember(options, [function(port=7)])  # a second bundle, of one function
    assert {item.name: item.port for item in plan.known(options)} == {"pcb-inner-layer": 7, "pcb-other": 1}
    plan.forget(replace(options, dry_run=True))
    assert len(plan.known(options)) == 2
    plan.forget(options)
    assert len(plan.known(options)) == 5
    assert plan.samples(options, brought[0]) == options.root / "samples" / "inner-layer"


def test_a_function_that_a_bundle_lacks_is_named(options: Options, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(say.Fatal):
        plan.chosen([function()], replace(options, functions=("gold-osp",)))
    assert "gold-osp" in capsys.readouterr().err


def test_patience_is_the_files_or_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("READINESS_TIMEOUT", raising=False)
    assert plan.patience(function(ready_s=300)) == 300
    monkeypatch.setenv("READINESS_TIMEOUT", "20")
    assert plan.patience(function(ready_s=300)) == 20
    monkeypatch.setenv("READINESS_TIMEOUT", "20s")
    with pytest.raises(say.Fatal):
        plan.patience(function())


def test_without_yaml_the_cure_is_named(
    options: Options, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shell, "output", lambda *_, **__: None)  # no Python can import yaml
    with pytest.raises(say.Fatal):
        plan.read(options)
    assert "./deploy.sh install" in capsys.readouterr().err
