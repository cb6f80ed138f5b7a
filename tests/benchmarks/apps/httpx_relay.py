"""What one would write without a mesh, on httpx."""

from __future__ import annotations

import ssl

import httpx

from tests.benchmarks.apps.bare import Receive, Scope, Send, read_body, run_lifespan
from tests.benchmarks.wire import KEY, PATH, Origin

__all__ = ["make"]

_KEPT = frozenset((b"content-type", b"content-length"))


def make(origin: Origin) -> _Relay:
    """The relay to one origin with one key."""
    return _Relay(origin)


class _Relay:
    def __init__(self, origin: Origin) -> None:
        self._url = origin.url + PATH
        self._ca_file = origin.ca_file
        self._headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}

    async def _start(self) -> None:
        self._client = httpx.AsyncClient(
            verify=ssl.create_default_context(cafile=self._ca_file) if self._ca_file else True,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=None),
            timeout=httpx.Timeout(None),
            trust_env=False,
        )

    async def _stop(self) -> None:
        await self._client.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await run_lifespan(receive, send, self._start, self._stop)
            return
        body = await read_body(receive)
        call = self._client.stream("POST", self._url, content=body, headers=self._headers)
        async with call as response:
            headers = [
                (name.lower(), value)
                for name, value in response.headers.raw
                if name.lower() in _KEPT
            ]
            start = {
                "type": "http.response.start",
                "status": response.status_code,
                "headers": headers,
            }
            await send(start)
            async for chunk in response.aiter_raw():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
