"""up, status, down and rollback with Docker and nuctl played by fakes: what is deployed, kept, said, removed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from deploy_world import RAISED, Port, World, function

from deploy import loading, local, plan, rollback, rows, say, versions
from deploy.nuctl import Nuctl
from deploy.plan import Function
from deploy.rows import Row
from pcb_aoi import __version__

IMAGE = f"pcb-aoi-inner-layer:{__version__}-cpu"
KEPT = "pcb-aoi-inner-layer-kept"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "_LOOK_S", 0.01)


@pytest.fixture
def site(world: World, port: Port) -> World:
    """One function whose sample has one defect, known to the weights that answer."""
    samples = world.options.root / "samples" / "inner-layer"
    samples.mkdir(parents=True)
    (samples / "a").write_bytes(b"x")
    image = {"file": "a", "um_per_px": 10, "found_by": ["c0ffee"],
             "defects": [{"label": "open", "box": [10, 10, 30, 30]}]}  # fmt: skip
    (samples / "truth.json").write_text(json.dumps({"images": [image]}), "utf-8")
    world.add_image(IMAGE)
    return world


def deliver(world: World, port: Port, content: str, identity: str, status: int = 0) -> Row:
    """Deploy one version, which nuctl puts there."""
    wanted = function(port.number, content)
    world.deploys(wanted, content, IMAGE, identity, status)
    return local.deliver(world.options, Nuctl.of(world.options), wanted, ["--path", "/x"])


def roll_back(world: World, port: Port) -> int:
    """Run `rollback` as on a bundle's site; nuctl puts there what it is given."""
    wanted = function(port.number)
    plan.remember(world.options, [wanted])
    world.on_deploy("""
file=$(sed 's/.*--file \\([^ ]*\\).*/\\1/' <<<"$*")
cp "$file" record
sed -i 's/"Id": "[^"]*"/"Id": "'$RANDOM$RANDOM'"/; s/exited/running/' container
""")
    return rollback.rollback(replace(world.options, command="rollback"))


def running(world: World) -> str:
    record = json.loads((world.folder / "record").read_text("utf-8"))
    return str(record["metadata"]["annotations"]["pcb-aoi.io/content"])


def good(world: World) -> str:
    history = versions.load(world.options, function())
    return " ".join(version.content for version in (history.good, history.previous) if version)


def test_a_deployment_is_called_and_kept(site: World, port: Port) -> None:
    row = deliver(site, port, "a", "1")
    assert (row.state, row.provider, row.version, row.sha256) == ("deployed", "CPU", "1.0.0", "c0ffee")
    assert good(site) == "a"
    assert site.images == {IMAGE, f"{KEPT}:a"}


def test_equal_content_is_called_and_not_deployed(site: World, port: Port) -> None:
    deliver(site, port, "a", "1")
    deploys = len([call for call in site.calls if call.startswith("nuctl deploy")])
    assert deliver(site, port, "a", "2").state == "unchanged"
    assert len([call for call in site.calls if call.startswith("nuctl deploy")]) == deploys
    port.shapes = []
    assert deliver(site, port, "a", "2").state == "failed"


def test_equal_content_that_is_not_healthy_is_deployed_again(site: World, port: Port) -> None:
    deliver(site, port, "a", "1")
    site.container("1", status="exited")
    assert deliver(site, port, "a", "2").state == "deployed"


def test_two_failed_upgrades_leave_the_last_good_one(
    site: World, port: Port, capsys: pytest.CaptureFixture[str]
) -> None:
    deliver(site, port, "a", "1")
    site.add_image(IMAGE)
    port.shapes = []  # an upgrade that answers, and finds nothing
    row = deliver(site, port, "b", "2")
    assert row.state == "failed"
    assert "missing: open" in row.remark
    assert "rollback --platform local --function inner-layer" in capsys.readouterr().err
    (site.folder / "log").write_text(RAISED, "utf-8")
    row = deliver(site, port, "c", "3", status=1)  # one that does not even deploy
    assert row.state == "failed"
    assert good(site) == "a"
    port.shapes = [{"label": "开路", "points": [10, 10, 30, 30]}]
    assert roll_back(site, port) == 0
    assert running(site) == "a"
    assert good(site) == "a"
    assert not any("kept-kept" in image or "previous" in image for image in site.images)


def test_rollback_goes_a_step_back_and_twice_comes_back(
    site: World, port: Port, capsys: pytest.CaptureFixture[str]
) -> None:
    deliver(site, port, "a", "1")
    deliver(site, port, "b", "2")
    for expected, kept in (("a", "a b"), ("b", "b a"), ("a", "a b")):
        assert roll_back(site, port) == 0
        assert running(site) == expected
        assert good(site) == kept
    out = capsys.readouterr().out
    assert f"{KEPT}:b" in out
    assert "planted defects 1/1" in out
    assert site.images == {IMAGE, f"{KEPT}:a", f"{KEPT}:b"}


def test_a_rollback_that_does_not_answer_well_fails(
    site: World, port: Port, capsys: pytest.CaptureFixture[str]
) -> None:
    deliver(site, port, "a", "1")
    deliver(site, port, "b", "2")
    port.shapes = []
    assert roll_back(site, port) == 1
    assert "missing: open" in capsys.readouterr().out
    assert good(site) == "b a"


def test_a_rollback_whose_image_has_gone_fails_before_it_changes_anything(site: World, port: Port) -> None:
    deliver(site, port, "a", "1")
    deliver(site, port, "b", "2")
    (site.folder / "images").write_text("", "utf-8")
    assert roll_back(site, port) == 1
    assert running(site) == "b"


def test_what_another_checkout_deployed_is_asked_and_kept_before_it_is_replaced(site: World, port: Port) -> None:
    site.record(function(), "old", IMAGE)
    site.container("1")
    deliver(site, port, "new", "2")
    assert good(site) == "new old"


def test_what_another_checkout_deployed_and_does_not_answer_is_not_kept(site: World, port: Port) -> None:
    site.record(function(), "old", IMAGE)
    site.container("1")
    port.shapes = []
    deliver(site, port, "new", "2")
    assert good(site) == ""


@pytest.fixture
def known(site: World, port: Port) -> Function:
    """The plan of a bundle, of the function that runs."""
    deliver(site, port, "a", "1")
    wanted = function(port.number, "a")
    plan.remember(site.options, [wanted])
    return wanted


def status(world: World, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    capsys.readouterr()
    code = local.status(replace(world.options, command="status"))
    return code, capsys.readouterr().out


@pytest.mark.usefixtures("known")
def test_status_shows_what_answers(site: World, port: Port, capsys: pytest.CaptureFixture[str]) -> None:
    port.about["sha256"] = "0123456789abcdef" * 4
    code, out = status(site, capsys)
    assert code == 0, out
    for word in ("ready/healthy", str(port.number), IMAGE, "CPU", "1.0.0", "0123456789ab"):
        assert word in out


@pytest.mark.usefixtures("known")
def test_status_shows_what_became_of_the_calls(site: World, port: Port, capsys: pytest.CaptureFixture[str]) -> None:
    failure = {"time": "t", "status": 503, "code": "deadline", "cause": "704 tiles", "answered": 109}
    failures = [{**failure, "cure": ["裁剪", "crop"]}]
    port.about |= {"calls": 112, "skipped": 2, "boxes": {"open": 5}, "failures": failures}
    out = status(site, capsys)[1]
    for text in ("112 calls, 2 frames skipped, boxes: open 5", "503 deadline: 704 tiles", "109 frames answered before"):
        assert text in out


def test_status_names_what_is_wrong_and_the_cure(
    site: World, port: Port, known: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    up_again = "./deploy.sh up --platform local --function inner-layer"
    name = "nuclio-nuclio-pcb-inner-layer"

    def faults(*words: str) -> None:
        code, out = status(site, capsys)
        assert code == 1
        for word in words:
            assert word in out

    site.container("1", health="unhealthy")
    faults("ready/unhealthy", f"docker restart {name}")
    (site.folder / "log").write_text(RAISED, "utf-8")
    site.container("1", status="restarting", restarts=3)
    faults("ready/restarting", "ModelError", f"docker logs {name}")
    (site.folder / "container").unlink()
    faults("ready/missing", up_again)
    site.container("1")
    site.record(known, "a", IMAGE, state="error")
    faults("error/healthy", up_again)
    record = site.record(known, "a", IMAGE)
    (site.folder / "record").write_text(record.replace('"cvat"', '"default"'), "utf-8")
    faults("not in project cvat", "nuctl delete function pcb-inner-layer")
    site.record(known, "a", IMAGE)
    port.shapes = []
    faults("missing: open", f"docker logs {name}")
    (site.folder / "record").unlink()
    faults("absent/healthy", up_again)


@pytest.mark.usefixtures("known")
def test_down_removes_the_function(site: World) -> None:
    assert local.down(replace(site.options, command="down")) == 0
    assert not (site.folder / "record").exists()
    assert not (site.folder / "container").exists()
    assert local.down(replace(site.options, command="down")) == 0


@pytest.mark.usefixtures("known")
def test_down_does_not_believe_a_nuctl_that_deletes_nothing(site: World, capsys: pytest.CaptureFixture[str]) -> None:
    (site.folder / "keeps").touch()
    with pytest.raises(say.Fatal):
        local.down(replace(site.options, command="down"))
    error = capsys.readouterr().err
    assert "nuclio still has pcb-inner-layer" in error
    assert "docker run --rm gcr.io/iguazio/alpine:3.20 /bin/stat /" in error


@pytest.mark.usefixtures("known")
def test_down_removes_a_container_that_nuclio_does_not_know(site: World) -> None:
    (site.folder / "record").unlink()
    assert local.down(replace(site.options, command="down")) == 0
    assert "docker rm --force nuclio-nuclio-pcb-inner-layer" in site.calls


def test_a_failed_function_ends_up_with_1_after_the_table(site: World, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(say.Fatal) as caught:
        local.finish(site.options, [Row("pcb-a", "deployed"), Row("pcb-b", "failed", remark="why")])
    assert caught.value.status == 1
    assert "why" in capsys.readouterr().out
    assert local.finish(site.options, [Row("pcb-a", "deployed")]) == 0


def test_the_tables_columns_are_aligned_where_letters_are_wide(capsys: pytest.CaptureFixture[str]) -> None:
    rows.show([Row("a", "内层", sha256="0" * 64), Row("b", "ok", remark="x")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "a         内层   -     -      -         -        000000000000  -   -"
    assert lines[2] == "b         ok     -     -      -         -        -             -   x"


def test_a_dry_run_changes_nothing(site: World, port: Port, capsys: pytest.CaptureFixture[str]) -> None:
    dry = replace(site.options, dry_run=True)
    local.deliver(dry, Nuctl.of(dry), function(port.number), ["--path", "/a b"])
    assert "+ nuctl deploy pcb-inner-layer --path /a\\ b" in capsys.readouterr().out
    assert site.calls == []
    assert not Path(dry.state).exists()


def test_a_dry_rollback_prints_its_plan_without_images_and_without_docker(
    site: World, port: Port, capsys: pytest.CaptureFixture[str]
) -> None:
    deliver(site, port, "a", "1")
    deliver(site, port, "b", "2")
    plan.remember(site.options, [function(port.number, "b")])
    (site.folder / "images").write_text("", "utf-8")
    site.fake("nuctl", "exit 1\n")
    assert rollback.rollback(replace(site.options, command="rollback", platform="local", dry_run=True)) == 0
    assert "+ nuctl deploy pcb-inner-layer" in capsys.readouterr().out
