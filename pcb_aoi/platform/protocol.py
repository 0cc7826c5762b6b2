"""HTTP/1.1 as the embedded platform speaks it: uvicorn's, with a door, a clock for the head, and a reason of its own.

A client that may not call is refused as it connects, before it can hold anything. One that may has seconds to say what
it wants. And the cause of a failure goes into the status line: it is the only part of an answer that CVAT shows.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import resource
import time
from typing import Any

import h11
import nuclio_sdk
from uvicorn.protocols.http.h11_impl import H11Protocol

from pcb_aoi.platform.access import Network, is_allowed

# A head is sent in one piece, as soon as the client is connected.
HEAD_SECONDS = 10.0
# How long a refused client may take to read why, and how many may at once.
_REFUSED_SECONDS = 2.0
_REFUSED_AT_ONCE = 64
# Connections of clients that may call. Each costs a file; some are left for everything else.
MOST_CONNECTIONS = 4096
_OTHER_FILES = 256
# One line in the log for each client and minute.
_SAID_EVERY_S = 60.0

REASON_HEADER = "x-pcb-aoi-reason"
_LONGEST_REASON = 200

log = nuclio_sdk.Logger(logging.INFO, "pcb_aoi.platform.protocol")


def raise_file_limit() -> int:
    """Raise the number of files that this process may have open as far as it may; return how many that are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_CONNECTIONS + _OTHER_FILES
    if soft < wanted:
        soft = min(wanted, hard) if hard != resource.RLIM_INFINITY else wanted
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft


def reason(text: str) -> str:
    """Return a text as it may stand in a status line: printable ASCII, in one line, not too long."""
    return " ".join(re.sub(r"[^\x20-\x7e]+", " ", text).split())[:_LONGEST_REASON]


class Door:
    """Who may connect, and how many at a time. One for a server."""

    def __init__(self, networks: tuple[Network, ...]) -> None:
        self._networks = networks
        self._said: dict[str, float] = {}
        self.most = max(16, min(MOST_CONNECTIONS, raise_file_limit() - _OTHER_FILES))
        self.refused = 0
        """Refused clients that still read why."""

    def refusal(self, host: str, connections: int) -> tuple[int, str] | None:
        """Return status and text for a client that is not let in, with so many connections open; None for others."""
        if not is_allowed(host, self._networks):
            self._say(host, "client refused", f"serve --allow {host}")
            return 403, f"client {host} is not allowed"
        if connections > self.most:
            self._say(host, "too many connections", "close those that ask nothing")
            return 503, f"more than {self.most} connections"
        return None

    def _say(self, host: str, text: str, cure: str) -> None:
        now = time.monotonic()
        if now - self._said.get(host, -_SAID_EVERY_S) >= _SAID_EVERY_S:
            self._said = {known: at for known, at in self._said.items() if now - at < _SAID_EVERY_S} | {host: now}
            log.warn_with(text, client=host, cure=cure)


class Connection(h11.Connection):
    """Takes the reason of a response from a header of it."""

    def send(self, event: h11.Event) -> bytes | None:  # type: ignore[override]
        """As h11's."""
        if isinstance(event, h11.Response):
            given = [value for name, value in event.headers if name == REASON_HEADER.encode()]
            others = [(name, value) for name, value in event.headers if name != REASON_HEADER.encode()]
            event = h11.Response(
                status_code=event.status_code, headers=others, reason=given[0] if given else event.reason
            )
        return super().send(event)


class Protocol(H11Protocol):
    """One connection. `door` is set by the server, on a class of its own."""

    door: Door

    def __init__(self, *args: Any, **keywords: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(*args, **keywords)
        self.conn = Connection(h11.SERVER)
        self._refused = False
        self._clock: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Let the client in, or tell it why not."""
        host = str((transport.get_extra_info("peername") or ("unknown",))[0])
        refusal = self.door.refusal(host, len(self.connections))
        if refusal is None:
            super().connection_made(transport)
            self._await_head()
            return
        self._refused = True
        self.transport = transport
        self.door.refused += 1
        if self.door.refused > _REFUSED_AT_ONCE:
            transport.abort()
            return
        transport.write(_answer(*refusal))
        transport.write_eof()
        # What it sends meanwhile is read and thrown away: closed at once, the kernel would throw away the answer.
        self._clock = self.loop.call_later(_REFUSED_SECONDS, transport.abort)

    def data_received(self, data: bytes) -> None:
        """Stop the clock once the head is there."""
        if self._refused:
            return
        super().data_received(data)
        if self.cycle is None:
            return
        if not self.cycle.response_complete:
            self._stop_clock()
        elif self.conn.their_state is h11.SEND_BODY and not self.transport.is_closing():
            # The rest of a body that was refused before its end: cut off, its client might not read why.
            self._await_head()

    def on_response_complete(self) -> None:
        """Start the clock again: the client may send another head."""
        super().on_response_complete()
        if not self.transport.is_closing():
            self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client."""
        self._stop_clock()
        if self._refused:
            self.door.refused -= 1
        else:
            super().connection_lost(exc)

    def _await_head(self) -> None:
        self._stop_clock()
        self._clock = self.loop.call_later(HEAD_SECONDS, self._no_head)

    def _stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _no_head(self) -> None:
        self.transport.write(_answer(408, f"no request within {HEAD_SECONDS:g} s"))
        self.transport.close()


def _answer(status: int, text: str) -> bytes:
    body = json.dumps({"error": text}).encode()
    head = (
        f"HTTP/1.1 {status} {reason(text)}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
