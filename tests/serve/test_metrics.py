"""GET /metrics and /healthz."""

from __future__ import annotations

import base64
import http.client
import sys
from contextlib import closing
from pathlib import Path

import analytic
import pytest
from files import encode
from prometheus_client.parser import text_string_to_metric_families
from serving import Client, Serve, write_detector, write_function


def get(client: Client, path: str) -> tuple[int, str, str]:
    with closing(http.client.HTTPConnection("127.0.0.1", client.port, timeout=60)) as connection:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.getheader("content-type", ""), response.read().decode()


def samples(client: Client) -> dict[tuple[str, ...], float]:
    """As Prometheus reads the page: name, function and the other labels' values -> value."""
    status, kind, text = get(client, "/metrics")
    assert (status, kind.startswith("text/plain")) == (200, True)
    families = text_string_to_metric_families(text)
    return {
        (one.name, one.labels.pop("function"), *one.labels.values()): one.value
        for family in families
        for one in family.samples
    }


def test_prometheus_reads_what_became_of_the_calls(functions: Path, serve: Serve) -> None:
    folder = write_detector(functions, "a")
    write_function(functions, "b")
    client = serve()
    board = base64.b64encode(encode(analytic.board(100, 100, [(10, 10, 40, 40)]))).decode()
    for image in (board, "?", board, base64.b64encode(b"no image").decode()):
        client.invoke("pcb-a", {"image": image})
    found = samples(client)
    assert folder.name == "a"
    assert {key[2]: value for key, value in found.items() if key[:2] == ("pcb_aoi_calls_total", "pcb-a")} == {
        "ok": 2, "bad_request": 1, "unsupported_image": 1,
    }  # fmt: skip
    assert found["pcb_aoi_boxes_total", "pcb-a", "bright"] == 2
    assert found["pcb_aoi_frames_skipped_total", "pcb-a"] == 1
    assert (found["pcb_aoi_ready", "pcb-a"], found["pcb_aoi_ready", "pcb-b"]) == (1, 1)
    assert found["pcb_aoi_call_seconds_count", "pcb-a"] == 4
    assert 0 < found["pcb_aoi_call_seconds_sum", "pcb-a"] < 60
    (model,) = [key for key in found if key[:2] == ("pcb_aoi_model_info", "pcb-a")]
    assert "1.2.3" in model


def test_without_prometheus_client_there_is_no_page_and_the_cure(
    functions: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    monkeypatch.delitem(sys.modules, "pcb_aoi.platform.prometheus", raising=False)
    write_function(functions, "a")
    client = serve()
    status, _, text = get(client, "/metrics")
    assert (status, "--extra metrics" in text) == (404, True)
    assert client.invoke("pcb-a", {})[0] == 201


def test_health_names_what_is_ill(functions: Path, serve: Serve) -> None:
    write_function(functions, "a", eventTimeout="50ms")
    write_function(functions, "b")
    client = serve()
    assert get(client, "/healthz") == (200, "text/plain; charset=utf-8", "ok\n")
    assert client.invoke("pcb-a", {"wait": True}, **{"X-Nuclio-Invoke-Timeout": "50ms"})[0] == 408
    assert get(client, "/healthz")[::2] == (503, "unhealthy: pcb-a\n")
