"""What one would write without a mesh, on aiohttp: the baseline."""

from __future__ import annotations

import ssl

import aiohttp

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
        # True is aiohttp's word for its own default, which plain HTTP never uses.
        trust = ssl.create_default_context(cafile=self._ca_file) if self._ca_file else True
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=trust), auto_decompress=False
        )

    async def _stop(self) -> None:
        await self._session.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await run_lifespan(receive, send, self._start, self._stop)
            return
        body = await read_body(receive)
        async with self._session.post(self._url, data=body, headers=self._headers) as response:
            headers = [
                (name.lower(), value)
                for name, value in response.raw_headers
                if name.lower() in _KEPT
            ]
            start = {"type": "http.response.start", "status": response.status, "headers": headers}
            await send(start)
            async for chunk in response.content.iter_any():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
