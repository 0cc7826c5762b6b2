"""Who may call, and under which name."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest
from serving import INVOKE, TO_A, Serve, write_function
from starlette.responses import Response

from pcb_aoi.platform.access import OwnNames, is_allowed


def test_clients_outside_the_allow_list_are_403(functions: Path, serve: Serve) -> None:
    write_function(functions, "a")
    client = serve((ipaddress.ip_network("10.0.0.0/8"),))
    for spoof in ({}, {"X-Forwarded-For": "10.0.0.1"}):
        status, reply, _ = client("GET", "/api/functions", headers=spoof)
        assert (status, reply) == (403, {"error": "client 127.0.0.1 is not allowed"})
    assert client.invoke("pcb-a", {})[0] == 403
    assert client.gates["pcb-a"]["calls"] == []


@pytest.mark.parametrize(
    "host", ["localhost:8070", "127.0.0.1:8070", "[::1]:8070", "host.docker.internal:8070", "cvat-host", "10.1.2.3", ""]
)
def test_names_of_this_machine_are_served(functions: Path, serve: Serve, host: str) -> None:
    write_function(functions, "a")
    assert serve()("GET", "/api/functions", headers={"Host": host})[0] == 200


@pytest.mark.parametrize("host", ["pages.example.com", "PAGES.example.com:8070", "127.0.0.1.example.com", "a.com."])
def test_a_page_whose_name_points_here_is_403(functions: Path, serve: Serve, host: str) -> None:
    write_function(functions, "a")
    client = serve()
    status, reply, _ = client("GET", "/api/functions", headers={"Host": host})
    assert (status, "CVAT_NUCLIO_HOST" in reply["error"]) == (403, True)
    assert client("POST", INVOKE, b"", {**TO_A, "Host": host})[0] == 403
    assert client.gates["pcb-a"]["calls"] == []


@pytest.mark.parametrize(
    ("client", "allowed"), [("10.1.2.3", True), ("::ffff:10.1.2.3", True), ("::ffff:11.1.2.3", False), ("unix", False)]
)
def test_mapped_addresses_are_compared_as_ipv4(client: str, allowed: bool) -> None:
    assert is_allowed(client, (ipaddress.ip_network("10.0.0.0/8"),)) == allowed


def test_the_name_that_it_listens_on_is_its_own() -> None:
    own = OwnNames(Response(), ("AOI.factory.example",))
    assert own._own("aoi.factory.example")
    assert not own._own("other.factory.example")
