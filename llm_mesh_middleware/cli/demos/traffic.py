"""Steady traffic: a few clients that call again and again, as an application would."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

__all__ = ["steady_traffic"]

_CLIENTS = 10
_PAUSE_S = 0.5
_LIMIT_S = 30.0
# Host, headers, whether it streams, and how often.
_CALLS: Sequence[tuple[str, Mapping[str, str], bool, int]] = (
    ("assistant", {}, True, 5),
    ("assistant", {}, False, 2),
    ("assistant", {"user-type": "subscriber"}, True, 3),
    ("batch", {}, False, 2),
)


@contextmanager
def steady_traffic(port: int, after_each: Callable[[], None]) -> Iterator[None]:
    """Call the mesh at `port` while the context lasts; `after_each` is called after each call."""
    is_over = threading.Event()
    clients = [
        threading.Thread(target=_run, args=(port, is_over, after_each), daemon=True)
        for _ in range(_CLIENTS)
    ]
    for client in clients:
        client.start()
    try:
        yield
    finally:
        is_over.set()
        for client in clients:
            client.join(_LIMIT_S)


def _run(port: int, is_over: threading.Event, after_each: Callable[[], None]) -> None:
    while not is_over.wait(random.uniform(0, 2 * _PAUSE_S)):
        # The mesh replies whatever happens; only its own end is without a reply.
        with contextlib.suppress(OSError, http.client.HTTPException):
            _call(port)
        after_each()


def _call(port: int) -> None:
    host, headers, is_stream, _ = random.sample(_CALLS, 1, counts=[each[-1] for each in _CALLS])[0]
    asked = {"stream": is_stream, "messages": [{"role": "user", "content": str(random.random())}]}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_LIMIT_S)
    with contextlib.closing(connection):
        fields = {"host": host, "content-type": "application/json", **headers}
        connection.request("POST", "/v1/chat/completions", json.dumps(asked), fields)
        connection.getresponse().read()
