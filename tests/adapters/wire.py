"""A bare HTTP/1.1 client on a socket: it sends any bytes, and shows what came back as it came."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tests.canaries import watched

Fields = Iterable[tuple[str, str]]
Connect = Callable[[int], "Client"]

QUESTION = {"messages": [{"role": "user", "content": "Good morning to you"}]}
CHAT = json.dumps(QUESTION).encode()
STREAMED_CHAT = json.dumps(QUESTION | {"stream": True}).encode()


def request_bytes(
    host: str | None,
    body: bytes = CHAT,
    *extra: str,
    method: str = "POST",
    target: str = "/v1/chat/completions",
) -> bytes:
    """Write a request with its length; `extra` are further header lines as they stand."""
    lines = [f"{method} {target} HTTP/1.1"]
    if host is not None:
        lines.append(f"Host: {host}")
    lines += ["Content-Type: application/json", *extra]
    if method not in ("GET", "CONNECT"):
        lines.append(f"Content-Length: {len(body)}")
    head = "\r\n".join([*lines, "", ""]).encode("latin-1")
    return head + (body if method not in ("GET", "CONNECT") else b"")


@dataclass(frozen=True)
class Response:
    """One answer; header names are in lower case."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """The value of a field, joined by `, ` if it came twice."""
        values = [value for key, value in self.headers if key == name]
        return ", ".join(values) if values else None

    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)

    def error(self) -> dict[str, Any]:
        """The OpenAI error object, its form checked."""
        assert self.header("content-type") == "application/json"
        assert self.header("content-length") == str(len(self.body))
        body = self.json()
        assert list(body) == ["error"]
        error = body["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert all(isinstance(error[name], str) for name in ("message", "type", "code"))
        assert error["message"]
        assert "Traceback" not in error["message"]
        assert "Error(" not in error["message"]
        return dict(error)


class Client:
    """One connection. Every wait ends with an exception after five seconds."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 5)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Write all of `data`."""
        self._socket.sendall(data)

    def ask(self, data: bytes) -> Response:
        """Write a request and read its whole answer."""
        self.send(data)
        return self.read()

    def read(self) -> Response:
        """One whole answer, interim ones passed over."""
        head = self.read_head()
        while head.status == 100:
            head = self.read_head()
        body = watched("an answer", b"".join(self.read_body(head)))
        watched("the head of an answer", repr(head.headers))
        return Response(head.status, head.headers, body)

    def read_head(self) -> Response:
        """Status and fields of the next answer, which may be an interim one."""
        first, *lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")[:-2]
        pairs = (line.partition(":") for line in lines)
        headers = [(name.lower(), value.strip()) for name, _, value in pairs]
        return Response(int(first.split(" ")[1]), headers)

    def read_body(self, head: Response) -> Iterable[bytes]:
        """The pieces of the body in the server's own chunks, each as soon as it is there."""
        if head.status in (101, 204):
            return
        if head.header("transfer-encoding") == "chunked":
            while size := int(self._until(b"\r\n"), 16):
                yield self._exactly(size)
                self._exactly(2)
            self._exactly(2)
        elif (length := head.header("content-length")) is not None:
            yield self._exactly(int(length))
        else:
            if self._received:  # what has come with the head
                yield self._exactly(len(self._received))
            yield from iter(self._receive, b"")

    def read_frame(self) -> bytes:
        """The payload of one short WebSocket frame."""
        return self._exactly(self._exactly(2)[1])

    def is_closed(self) -> bool:
        """Wait for the server's end of the connection; False if it sends something instead."""
        try:
            return not self._received and not self._receive()
        except ConnectionResetError:
            return True

    def has_nothing(self, seconds: float) -> bool:
        """Whether nothing comes, not even the end, for `seconds`."""
        if self._received:
            return False
        self._socket.settimeout(seconds)
        try:
            self._received = self._receive()
        except TimeoutError:
            return True
        finally:
            self._socket.settimeout(5)
        return False

    def reset(self) -> None:
        """Leave without a goodbye: RST instead of FIN."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def close(self) -> None:
        """Leave in good order."""
        self._socket.close()

    def _receive(self) -> bytes:
        return self._socket.recv(65536)

    def _more(self) -> None:
        data = self._receive()
        assert data, f"the server closed after {self._received[:200]!r}"
        self._received += data

    def _until(self, end: bytes) -> bytes:
        while end not in self._received:
            self._more()
        before, _, self._received = self._received.partition(end)
        return before + end

    def _exactly(self, size: int) -> bytes:
        while len(self._received) < size:
            self._more()
        data, self._received = self._received[:size], self._received[size:]
        return data
