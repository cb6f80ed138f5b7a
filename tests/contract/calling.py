"""Asking an adapter, and what comes back: one vocabulary for sockets and in-process transports."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from http.client import HTTPConnection, HTTPResponse
from typing import Any, Protocol

from tests.canaries import watched

HOST = "llm"
QUESTION = {"messages": [{"role": "user", "content": "Good morning to you"}]}


@dataclass(frozen=True)
class Ask:
    """One request; a mapping is sent as JSON."""

    body: Mapping[str, object] | bytes | None = None
    headers: Sequence[tuple[str, str]] = ()
    method: str = "POST"
    host: str = HOST
    path: str = "/v1/chat/completions"

    @property
    def data(self) -> bytes:
        """The body as it is sent."""
        if self.method == "GET":
            return b""
        if isinstance(self.body, bytes):
            return self.body
        return json.dumps(QUESTION if self.body is None else self.body).encode()


class Call(Protocol):
    """A request that has been sent; whatever waits for its answer does so when it is looked at."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]:
        """By name in lower case."""

    def pieces(self) -> Iterator[bytes]:
        """The body as it comes."""

    def leave(self) -> None:
        """Go away, wherever the answer is; also what ends a call that is over."""


Caller = Callable[[Ask], Call]


@dataclass(frozen=True)
class Seen:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of the error object, whose form is looked at."""
        error = self.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert self.headers["content-type"] == "application/json"
        assert "Traceback" not in error["message"]
        return str(error["code"])


def seen(call: Call) -> Seen:
    """Wait for the whole answer to `call`, and end it."""
    try:
        headers, body = dict(call.headers), b"".join(call.pieces())
        watched("the head of an answer", repr(headers))
        return Seen(call.status, headers, watched("an answer", body))
    finally:
        call.leave()


def calling(port: int) -> Caller:
    """Calls over a socket of their own each, to a server at `port`."""
    return lambda ask: SocketCall(port, ask)


class SocketCall:
    """A call on an HTTP/1.1 connection; every wait ends after five seconds."""

    def __init__(self, port: int, ask: Ask) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=5)
        self._connection.putrequest(ask.method, ask.path, skip_host=True, skip_accept_encoding=True)
        fields = [("host", ask.host), *ask.headers]
        names = {name for name, _ in fields}
        if ask.method != "GET":
            fields += [("content-length", str(len(ask.data)))] * ("content-length" not in names)
            fields += [("content-type", "application/json")]
        for name, value in fields:
            self._connection.putheader(name, value)
        self._connection.endheaders(ask.data or None)

    @cached_property
    def _response(self) -> HTTPResponse:
        return self._connection.getresponse()

    @property
    def status(self) -> int:
        return self._response.status

    @property
    def headers(self) -> Mapping[str, str]:
        return {name.lower(): value for name, value in self._response.getheaders()}

    def pieces(self) -> Iterator[bytes]:
        while data := self._response.read1(65536):
            yield data

    def leave(self) -> None:
        if "_response" in vars(self):
            self._response.close()
        self._connection.close()
