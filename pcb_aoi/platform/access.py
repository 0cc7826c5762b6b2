"""Who may call the embedded platform, and under which name: CVAT sends no token that could be asked for.

Clients are refused as they connect (protocol.py), names once a request says which it means.
"""

from __future__ import annotations

import ipaddress
import logging
import socket

import nuclio_sdk
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
LOOPBACK: tuple[Network, ...] = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))

# Names that no stranger can register: a web page's name is none of these.
_PRIVATE_ENDINGS = (".local", ".localhost", ".internal", ".lan", ".home.arpa", ".test")

log = nuclio_sdk.Logger(logging.INFO, "pcb_aoi.platform.access")


def is_allowed(host: str, networks: tuple[Network, ...]) -> bool:
    """Say whether a client's address is in one of the networks."""
    address = _address(host)
    return address is not None and any(address in network for network in networks)


class OwnNames:
    """ASGI middleware: 403 for every name that is not this machine's, before a byte of the body is read.

    The name is the Host header's: a web page that has its own name point at 127.0.0.1 (DNS rebinding) comes from an
    allowed client, but under that name.
    """

    def __init__(self, app: ASGIApp, names: tuple[str, ...] = ()) -> None:
        self._app = app
        self._names = {name.lower() for name in (*names, socket.gethostname())}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 403."""
        if scope["type"] == "lifespan" or self._own(name := _called(scope)):
            await self._app(scope, receive, send)
            return
        log.warn_with("name refused", name=name, cure="set CVAT_NUCLIO_HOST to this machine's address")
        error = f"this is not {name}: set CVAT_NUCLIO_HOST to the address of this machine"
        await JSONResponse({"error": error}, 403)(scope, receive, send)

    def _own(self, name: str) -> bool:
        # One word is a name of the local network or of Docker Compose; an address is nobody's name.
        return (
            "." not in name
            or name in self._names
            or name.endswith(_PRIVATE_ENDINGS)
            or _address(name.strip("[]")) is not None
        )


def _called(scope: Scope) -> str:
    """Return the name in the Host header without its port, in small letters; empty without the header."""
    header: bytes = dict(scope["headers"]).get(b"host", b"")
    host = header.decode("latin-1").lower().rstrip(".")
    return host.rpartition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0].rstrip(".")


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
