"""Reads the bodies of calls, within limits on the size of each, on the time it takes, and on what is held of all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.exceptions import HTTPException
from starlette.requests import Request

# Of all bodies that are being read, wait for a worker or are worked on: two of the largest.
MOST_BYTES = 512 * 2**20
# CVAT sends without a pause; a client that sent nothing for so long sends no more.
PAUSE_SECONDS = 20.0


class Bodies:
    """What calls may hold together; those that do not fit wait, their bytes in the network. For one event loop.

    A small body passes large ones that wait: what keeps them out must not keep out everybody.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0
        self._freed = asyncio.Event()

    @asynccontextmanager
    async def read(self, request: Request, limit: int, seconds: float) -> AsyncIterator[bytes]:
        """Read a body of at most `limit` bytes within `seconds`; it counts as held until the block ends.

        Raises:
            HTTPException: 413 as soon as the body is known to be over the limit; 408 when it does not come in time;
                503 when there was no room for it in time.
            ClientDisconnect: the client has gone.
        """
        declared = request.headers.get("content-length", "")
        size = int(declared) if declared.isdigit() else limit
        if size > limit:
            raise _too_large(limit)
        until = asyncio.get_running_loop().time() + seconds
        async with self._room(size, until):
            try:
                async with asyncio.timeout_at(until):
                    body = await _all(request, limit)
            except TimeoutError:
                raise HTTPException(408, "the body did not come in time") from None
            yield body

    @asynccontextmanager
    async def _room(self, size: int, until: float) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout_at(until):
                while self._held and self._held + size > self._most:
                    self._freed.clear()
                    await self._freed.wait()
        except TimeoutError:
            raise HTTPException(503, "other calls hold the memory for bodies") from None
        self._held += size
        try:
            yield
        finally:
            self._held -= size
            self._freed.set()


async def _all(request: Request, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    stream = request.stream()
    while True:
        async with asyncio.timeout(PAUSE_SECONDS):
            chunk = await anext(stream, None)
        if chunk is None:
            return b"".join(chunks)
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        chunks.append(chunk)


def _too_large(limit: int) -> HTTPException:
    return HTTPException(413, f"body exceeds the limit of {limit} bytes")
