"""The kinds of calls of a soak run: a table, and their bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["CALLS", "HOST", "KIND_HEADER", "Call", "request"]

HOST = "soak.example"
KIND_HEADER = "x-soak"
_CALLERS, _TEXTS = 500, 200  # how many buckets of limits, and how many entries of the cache
_ALL = b"Good morning to you"


@dataclass(frozen=True)
class Call:
    """A kind of call: its share, whether it asks for a stream, what its reply must have."""

    share: int
    is_stream: bool
    status: tuple[int, ...]
    has: bytes = b""
    path: str = "/v1/chat/completions"

    @property
    def leaves(self) -> bool:
        """Whether the client closes the connection before the reply is complete."""
        return self.is_stream and not self.has


CALLS: Mapping[str, Call] = {
    "unary": Call(40, False, (200,), _ALL),
    "stream": Call(18, True, (200,), b"data: [DONE]"),
    "unary, translated": Call(7, False, (200,), _ALL, "/v1/messages"),
    "stream, translated": Call(5, True, (200,), b"message_stop", "/v1/messages"),
    "unary, limited": Call(6, False, (200, 429)),
    "unary, cached": Call(4, False, (200,), _ALL),
    "stream, cached": Call(2, True, (200,), b"data: [DONE]"),
    "left before it": Call(3, True, ()),
    "left in the stream": Call(7, True, (200,)),
    "refused": Call(2, False, (400,)),
    "down": Call(2, False, (500,)),
    "half": Call(1, False, (502,)),
    "closed": Call(1, False, (502,)),
    "broken": Call(2, True, (200,), b"stream_interrupted"),
}


def request(name: str, call: Call, number: int) -> bytes:
    """Return the bytes of a call; `number` says who calls, and what text the cache must know."""
    content = f"{name} {number % _TEXTS}" if name.endswith("cached") else name
    message = {"role": "user", "content": content}
    body: dict[str, object] = {"model": "m", "messages": [message], "stream": call.is_stream}
    if call.path == "/v1/messages":
        body["max_tokens"] = 100
    data = json.dumps(body).encode()
    head = (
        f"POST {call.path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
        f"{KIND_HEADER}: {name}\r\nX-Caller: {number % _CALLERS}\r\n"
        f"Connection: close\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    return head.encode() + data
