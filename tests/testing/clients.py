"""Raw clients: what is tested here is bytes and sockets, so nothing in between may be clever."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Callable

from llm_mesh_middleware.testing import FakeUpstream

HOST = "llm.example"
CHAT = "/v1/chat/completions"
QUESTION = {"model": "m-1", "messages": [{"role": "user", "content": "Good morning to you"}]}

Connect = Callable[[], socket.socket]


def request_bytes(body: dict[str, object] | None = None, *extra: str, path: str = CHAT) -> bytes:
    """Write a request the way a client does, with the question of this module by default."""
    payload = json.dumps(QUESTION if body is None else body).encode()
    lines = [f"POST {path} HTTP/1.1", f"Host: {HOST}", f"Content-Length: {len(payload)}", *extra]
    return "\r\n".join([*lines, "", ""]).encode() + payload


def read_all(sock: socket.socket) -> tuple[bytes, str]:
    """Read until it ends; say what came and whether the end was `fin` or `reset`."""
    received = b""
    while True:
        try:
            data = sock.recv(65536)
        except (ConnectionResetError, ssl.SSLError):
            return received, "reset"
        if not data:
            return received, "fin"
        received += data


def read_below_tls(sock: ssl.SSLSocket) -> str:
    """Read the TCP stream under a TLS one until it ends; say how."""
    try:
        while socket.socket.recv(sock, 65536):
            pass
    except ConnectionResetError:
        return "reset"
    return "fin"


def read_until(sock: socket.socket, end: bytes) -> bytes:
    """Read until what came ends with `end`."""
    received = b""
    while not received.endswith(end):
        data = sock.recv(65536)
        assert data, f"ended after {received!r}"
        received += data
    return received


class SNIConnection(http.client.HTTPSConnection):
    """The standard library's client, dialling 127.0.0.1 but asking for a provider's name."""

    def __init__(self, upstream: FakeUpstream, name: str, context: ssl.SSLContext) -> None:
        super().__init__(name, upstream.port, timeout=20, context=context)
        self._name, self._tls = name, context

    def connect(self) -> None:
        """Connect by address, then shake hands by name."""
        sock = socket.create_connection(("127.0.0.1", self.port), self.timeout)
        try:
            self.sock = self._tls.wrap_socket(sock, server_hostname=self._name)
        except BaseException:
            sock.close()
            raise
