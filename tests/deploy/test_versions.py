"""Which versions are kept to go back to: only those that passed."""

from __future__ import annotations

import pytest
from deploy_world import World, function

from deploy import nuctl, versions
from deploy.nuctl import Record

FUNCTION = function()
KEPT = "pcb-aoi-inner-layer-kept"


def passes(world: World, content: str, image: str = FUNCTION.image) -> None:
    record = nuctl.parse(world.record(FUNCTION, content, image))
    assert record is not None
    world.add_image(image)
    versions.passed(world.options, FUNCTION, record)


def contents(world: World) -> tuple[str, str]:
    history = versions.load(world.options, FUNCTION)
    return history.good.content if history.good else "", history.previous.content if history.previous else ""


def test_one_that_passes_is_good_and_the_one_before_it_the_previous(world: World) -> None:
    assert contents(world) == ("", "")
    passes(world, "a")
    assert contents(world) == ("a", "")
    passes(world, "a")  # unchanged
    assert contents(world) == ("a", "")
    passes(world, "b")
    assert contents(world) == ("b", "a")
    passes(world, "c")
    assert contents(world) == ("c", "b")
    assert world.images == {FUNCTION.image, f"{KEPT}:b", f"{KEPT}:c"}  # older tags go


def test_images_kept_are_never_nested(world: World) -> None:
    passes(world, "a")
    passes(world, "b")
    passes(world, "a", f"{KEPT}:a")  # after a rollback, the image that runs is one that was kept
    assert contents(world) == ("a", "b")
    assert world.images == {FUNCTION.image, f"{KEPT}:a", f"{KEPT}:b"}


def test_what_is_kept_is_what_the_container_runs_and_not_what_has_its_name(world: World) -> None:
    """A bundle of the same version number has been loaded: its image took the name."""
    world.container(image="sha256:runs")
    world.add_image("sha256:runs")
    record = nuctl.parse(world.record(FUNCTION, "a", FUNCTION.image))
    assert record is not None
    versions.passed(world.options, FUNCTION, record)
    assert contents(world) == ("a", "")
    assert f"{KEPT}:a" in world.images
    assert FUNCTION.image not in world.images


def test_where_rollback_goes(world: World) -> None:
    history = versions.History()
    assert history.target("x") is None
    passes(world, "a")
    history = versions.load(world.options, FUNCTION)
    assert history.target("a") is None
    for bad in ("b", "c", ""):  # however many failed
        target = history.target(bad)
        assert target is not None
        assert target.content == "a"
    passes(world, "b")
    target = versions.load(world.options, FUNCTION).target("b")
    assert target is not None
    assert target.content == "a"


def test_what_somebody_else_deployed_and_what_has_no_image_is_not_kept(world: World) -> None:
    versions.passed(world.options, FUNCTION, Record("", "ready", "x:1", "cvat", "", {}))
    versions.passed(world.options, FUNCTION, Record("a", "ready", "gone:1", "cvat", "", {}))
    assert contents(world) == ("", "")


def test_namespaces_do_not_mix(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    passes(world, "a")
    monkeypatch.setenv("NUCTL_NAMESPACE", "cvat")
    assert contents(world) == ("", "")


def test_a_registrys_port_is_no_tag() -> None:
    assert versions.kept_image(function(image="host:5000/pcb"), "a") == "host:5000/pcb-kept:a"
    assert versions.kept_image(function(image="host:5000/pcb:1"), "a") == "host:5000/pcb-kept:a"
