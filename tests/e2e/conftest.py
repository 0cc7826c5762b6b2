"""What the end-to-end tests share: an engine, a site, and somebody who operates it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import images
from tests.e2e.engine import Engine
from tests.e2e.programs import VERSIONS
from tests.e2e.running import Running, Start
from tests.e2e.site import Ops, make_site


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say whose programs the tests ran, even where little is said."""
    terminalreporter.write_line(f"nuclio: {', '.join(map(str, VERSIONS))}")


@pytest.fixture(scope="session")
def cache() -> Path:
    """Downloads that are the same every time; safe to delete."""
    folder = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "pcb-aoi-e2e"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_site(tmp_path_factory.mktemp("site") / "pcb-aoi")


@pytest.fixture(scope="session")
def engine(cache: Path) -> Iterator[Engine]:
    """A Docker engine with Python's base image and nuclio's helper images."""
    # A short path: the name of a unix socket has 108 bytes.
    folder = Path(tempfile.mkdtemp(prefix="pcb-e2e-"))
    engine = Engine(folder)
    engine.start()
    try:
        images.import_python(engine, cache)
        for programs in VERSIONS:
            images.import_helpers(engine, programs, cache)
        yield engine
    finally:
        engine.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def ops(engine: Engine, site: Path, tmp_path_factory: pytest.TempPathFactory) -> Ops:
    return Ops(site, engine, tmp_path_factory.mktemp("tools"))


@pytest.fixture(params=VERSIONS, ids=str)
def start(request: pytest.FixtureRequest, cache: Path, tmp_path: Path) -> Iterator[Start]:
    """Start processors of one version of nuclio without Docker, and stop what is left of them."""
    running: list[Running] = []
    yield Start(request.param, cache, tmp_path, running)
    for processor in running:
        processor.kill()
