"""Servers for the tests here: stopped at the end, whatever the test did."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from serving import Client, Serve

from pcb_aoi.platform.access import LOOPBACK, Network
from pcb_aoi.platform.functions import Functions


@pytest.fixture
def functions(tmp_path: Path) -> Path:
    """A folder for function folders."""
    return tmp_path / "functions"


@pytest.fixture
def serve(functions: Path, serve_folder: Callable[..., Client]) -> Serve:
    """Start the platform over the folder `functions`."""
    return lambda allow=LOOPBACK: serve_folder(functions, [], allow)


@pytest.fixture
def serve_folder() -> Iterator[Callable[..., Client]]:
    """Start the platform over a folder."""
    clients: list[Client] = []

    def start(functions: Path, names: list[str], allow: tuple[Network, ...] = LOOPBACK) -> Client:
        client = Client(Functions(functions, names), allow)
        clients.append(client)
        return client

    yield start
    for client in clients:
        client.stop()
