"""uvicorn as the embedded platform runs it: says when it listens, and loses no call when it is told to end."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable

import uvicorn
from starlette.applications import Starlette

from pcb_aoi.platform.access import LOOPBACK, Network
from pcb_aoi.platform.protocol import Door, Protocol

# How long a stop waits for calls under way. `deploy.sh down` waits a little longer before it kills.
STOP_SECONDS = 30
# A server that was replaced is in nobody's way: a call may take as long as CVAT grants, 120 s where nobody raised it.
DRAIN_SECONDS = 600
# A client that is connected and has asked nothing after this long is no call.
SILENT_SECONDS = 5


class Server(uvicorn.Server):
    """`on_ready` is called once, when it accepts connections."""

    def __init__(
        self, app: Starlette, on_ready: Callable[[], None] = lambda: None, allow: tuple[Network, ...] = LOOPBACK
    ) -> None:
        self.door = Door(allow)
        super().__init__(
            uvicorn.Config(
                app,
                http=type("Protocol", (Protocol,), {"door": self.door}),
                log_config=None,
                access_log=False,
                proxy_headers=False,  # or a header could name another client than the one that is connected
                timeout_graceful_shutdown=STOP_SECONDS,
            )
        )
        self._on_ready = on_ready
        self._released = False

    def release(self) -> None:
        """Accept no more, finish every call, end. May be called from any thread."""
        self._released = True
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to accept, then tell."""
        await super().startup(sockets)
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting; after `release`, wait for every call before uvicorn closes what has not asked anything."""
        for server in self.servers:
            server.close()
        # A connection accepted a moment ago becomes known to uvicorn three turns of the loop later.
        for _ in range(10):
            await asyncio.sleep(0)
        started = time.monotonic()
        while self._released and self.server_state.connections and time.monotonic() < started + DRAIN_SECONDS:
            if not self.server_state.tasks and time.monotonic() > started + SILENT_SECONDS:
                break
            await asyncio.sleep(0.05)
        await super().shutdown(sockets)
