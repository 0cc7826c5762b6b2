"""The listening socket of the embedded platform, or a sentence that says why there is none and what mends it."""

from __future__ import annotations

import errno
import socket

BACKLOG = 2048


class CannotListen(Exception):
    """The text names the address and the cure, in both languages."""


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens: clients that connect from here on are answered once somebody accepts.

    Args:
        host: an address or a name of this machine; an IPv6 address without brackets.
        port: 0 takes a free one.

    Raises:
        CannotListen: the port is in use or not allowed, or the address is not of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            # After a restart, connections of the run before do not block the port. It does not admit a second server
            # either: the kernel refuses `listen`, so that it is called here and not after the models are loaded.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        zh, en = _cure(error, port)
        where = f"{url_host(host)}:{port}: {error.strerror or error}"
        raise CannotListen(f"无法监听 {where}。{zh} / cannot listen on {where}; {en}") from error
    return listener


def url_host(host: str) -> str:
    """Return the address as it stands in a URL: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def _cure(error: OSError, port: int) -> tuple[str, str]:
    if error.errno == errno.EADDRINUSE:
        return (
            f"端口 {port} 已被占用，请换 --port；查看占用者：ss -ltnp 'sport = :{port}'",
            f"port {port} is in use, try another --port; who holds it: ss -ltnp 'sport = :{port}'",
        )
    if error.errno == errno.EACCES:
        return "1024 以下的端口须 root，请换 --port", "ports below 1024 are root's, try another --port"
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return (
            "本机没有这个地址：用 ip -brief address 列出的地址，或 0.0.0.0（全部）",
            "this machine has no such address: use one that `ip -brief address` lists, or 0.0.0.0 for all",
        )
    return "请换 --host 或 --port", "try another --host or --port"
