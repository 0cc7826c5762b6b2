"""What Docker says of a container, and why it ended."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from deploy_world import RAISED, World

from deploy import container

# What nuclio's processor 1.14.1 leaves when init_context raises.
# And when main.py cannot be imported: one line of JSON.
IMPORT = (
    '{"datetime": "2026-11-28 05:38:29,922", "level": "error", "message": "Caught unhandled exception while '
    'initializing", "with": {"err": "x", "traceback": "Traceback (most recent call last):\\n  File \\"/opt/nuclio/'
    "main.py\\\", line 1, in <module>\\n    import nothing\\nModuleNotFoundError: No module named 'nothing'\\n\"}}\n"
    "panic: Wrapper process for worker 0 exited unexpectedly with: exit status 1\n"
)


@pytest.mark.parametrize(
    ("log", "error"),
    [
        (RAISED, "pcb_aoi.errors.ModelError: 模型文件不符。 weights do not fit"),
        (IMPORT, "ModuleNotFoundError: No module named 'nothing'"),
        (RAISED + IMPORT, "ModuleNotFoundError: No module named 'nothing'"),
        (
            RAISED + RAISED.replace("do not fit", "are gone"),
            "pcb_aoi.errors.ModelError: 模型文件不符。 weights are gone",
        ),
        ("Traceback (most recent call last):\n  a\nKeyboardInterrupt\n", "KeyboardInterrupt"),
        ("panic: no Python here\n", ""),
        ("", ""),
    ],
)
def test_the_last_python_error_is_found(log: str, error: str) -> None:
    assert container.python_error(log) == error


def test_why_it_fell(world: World) -> None:
    world.container(status="exited")
    (world.folder / "log").write_text("panic: Wrapper exited: signal: killed\n", "utf-8")
    assert container.why_it_fell("x") == "panic: Wrapper exited: signal: killed"
    text = world.container(status="exited").replace('"OOMKilled": false', '"OOMKilled": true')
    (world.folder / "container").write_text(text, "utf-8")
    assert "over its memory limit" in container.why_it_fell("x")
    (world.folder / "log").write_text(RAISED, "utf-8")
    assert container.why_it_fell("x").startswith("pcb_aoi.errors.ModelError")


def test_dockers_word(world: World) -> None:
    assert container.inspect("x") == container.MISSING
    world.container(status="running", health="starting", restarts=2)
    state = container.inspect("x")
    assert (state.word, state.restarts, state.fell) == ("starting", 2, True)
    world.container(status="exited", health="healthy")
    state = container.inspect("x")
    assert (state.word, state.fell) == ("exited", True)  # the health is that of its life
    world.container(status="running", health="unhealthy")
    assert not container.inspect("x").fell


def test_a_container_on_trial_after_a_reboot_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def inspects(*words: str) -> Iterator[container.State]:
        for word in words:
            clock[0] += 1
            yield container.State("1", "running", word, 0, False)

    clock = [0.0]
    monkeypatch.setattr(time, "sleep", lambda _: None)
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    for words, verdict in (
        (("starting", "starting", "healthy"), "healthy"),
        (("unhealthy",), "unhealthy"),
        (("starting",) * 9, "starting"),
    ):
        states = inspects(*words)
        monkeypatch.setattr(container, "inspect", lambda _, states=states: next(states))
        assert container.settled("x", 5).word == verdict
