"""HTTP as nuclio's trigger speaks it: any verb, its limits, its spelling of headers."""

from __future__ import annotations

import contextlib
import re
import socketserver
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import Message
from email.utils import formatdate
from http import HTTPStatus
from typing import BinaryIO
from urllib.parse import parse_qsl, unquote

HEADER_LIMIT = 16 * 1024
PLAIN = "text/plain; charset=utf-8"


@dataclass
class Request:
    """One request. Header names are canonical, and of equal ones the last is kept."""

    method: str
    path: str
    fields: dict[str, str]
    headers: dict[str, str]
    body: bytes | None
    """None where nothing came at all."""


@dataclass
class Reply:
    """One answer. `chunked` is how nuclio sends that a handler timed out."""

    status: int
    body: bytes = b""
    content_type: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    chunked: bool = False


class Refused(Exception):
    """The request is answered by the server itself, and the connection closed."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.reply = Reply(status, text.encode(), PLAIN)


class Server(socketserver.ThreadingTCPServer):
    """Answers each request with what `answer` makes of it."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 1024

    def __init__(self, address: tuple[str, int], body_limit: int, answer: Callable[[Request], Reply]) -> None:
        self.body_limit, self.answer = body_limit, answer
        super().__init__(address, Connection)


class Connection(socketserver.StreamRequestHandler):
    """One connection and its requests, one after the other."""

    server: Server
    disable_nagle_algorithm = True

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError, TimeoutError):
            while self._one_request():
                pass

    def finish(self) -> None:
        with contextlib.suppress(OSError):
            super().finish()

    def _one_request(self) -> bool:
        try:
            head = _read_head(self.rfile)
            if head is None:
                return False
            line, headers = head
            if headers.get("Expect", "").lower() == "100-continue":
                self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request = _request(line, headers, self.rfile, self.server.body_limit)
        except Refused as refused:
            self._send(refused.reply, close=True, body=True)
            # Read on for a moment: closed at once, the answer may be lost with what is still on its way.
            self.request.settimeout(0.3)
            while self.rfile.read(65536):
                pass
            return False
        close = headers.get("Connection", "").lower() == "close" or line[2] == "HTTP/1.0"
        self._send(self.server.answer(request), close, body=request.method != "HEAD")
        return not close

    def _send(self, reply: Reply, close: bool, body: bool) -> None:
        lines = [f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}", "Server: nuclio"]
        lines.append(f"Date: {formatdate(time.time(), usegmt=True)}")
        if reply.content_type:
            lines.append(f"Content-Type: {reply.content_type}")
        lines.append("Transfer-Encoding: chunked" if reply.chunked else f"Content-Length: {len(reply.body)}")
        # UTF-8 whatever the client expects; a line break would end the header.
        for name, value in reply.headers.items():
            lines.append(f"{canonical(name)}: " + re.sub("[\r\n]", " ", value))
        lines += ["Connection: close"] if close else []
        content = reply.body if body else b""
        if reply.chunked:
            content = b"%x\r\n%s\r\n0\r\n\r\n" % (len(reply.body), reply.body)
        self.wfile.write("\r\n".join(lines).encode() + b"\r\n\r\n" + content)


def canonical(name: str) -> str:
    """Spell a header as Go does: `x-pcb-aoi` becomes `X-Pcb-Aoi`."""
    return "-".join(part.capitalize() for part in name.split("-"))


def _read_head(stream: BinaryIO) -> tuple[list[str], dict[str, str]] | None:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = stream.readline(HEADER_LIMIT + 1)
        if not line:
            return None
        head += line
        if len(head) > HEADER_LIMIT:
            raise Refused(431, "Too big request header")
    first, *rest = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/"):
        raise Refused(400, "Error when parsing request")
    pairs = (line.partition(":")[::2] for line in rest)
    return words, {canonical(name.strip()): value.strip() for name, value in pairs}


def _request(line: list[str], headers: dict[str, str], stream: BinaryIO, limit: int) -> Request:
    path, _, query = line[1].partition("?")
    body: bytes | None = None
    if headers.get("Transfer-Encoding", "").lower() == "chunked":
        body = _read_chunks(stream, limit)
    elif "Content-Length" in headers:
        length = int(headers["Content-Length"])
        if length > limit:
            raise Refused(400, "Error when parsing request")
        body = stream.read(length)
        if len(body) < length:
            raise ConnectionError
    if headers.get("Content-Type", "").startswith("multipart/form-data"):
        _check_multipart(headers["Content-Type"], body or b"")
    return Request(line[0], unquote(path), dict(parse_qsl(query, keep_blank_values=True)), headers, body)


def _read_chunks(stream: BinaryIO, limit: int) -> bytes:
    body = b""
    while size := int(stream.readline().split(b";")[0], 16):
        if len(body) + size > limit:
            raise Refused(400, "Error when parsing request")
        body += stream.read(size)
        stream.readline()
    stream.readline()
    return body


def _check_multipart(content_type: str, body: bytes) -> None:
    """The server parses a form before the handler sees it, and refuses one that is none."""
    message = Message()
    message["Content-Type"] = content_type
    boundary = str(message.get_param("boundary", "")).encode()
    if not boundary or not body.startswith(b"--" + boundary) or b"--" + boundary + b"--" not in body:
        raise Refused(400, "Error when parsing request")
