"""What one would write without a mesh in a WSGI application, on httpx."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from typing import Any

import httpx

from tests.benchmarks.wire import KEY, PATH, Origin

__all__ = ["make"]

_KEPT = frozenset(("content-type", "content-length"))


def make(origin: Origin) -> _Relay:
    """The relay to one origin with one key."""
    return _Relay(origin)


class _Relay:
    def __init__(self, origin: Origin) -> None:
        trust = ssl.create_default_context(cafile=origin.ca_file) if origin.ca_file else True
        self._url = origin.url + PATH
        self._headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
        self._client = httpx.Client(
            verify=trust,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=None),
            timeout=httpx.Timeout(None),
            trust_env=False,
        )

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., object]
    ) -> Iterator[bytes]:
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        call = self._client.stream("POST", self._url, content=body, headers=self._headers)
        with call as response:
            kept = [(name, value) for name, value in response.headers.items() if name in _KEPT]
            start_response(f"{response.status_code} {response.reason_phrase}", kept)
            yield from response.iter_raw()
