"""Requests as the exchange makes them, and answers read as a driver reads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias
from urllib.parse import urlsplit

from llm_mesh_middleware._core.values.endpoint import Endpoint, TLSFiles
from llm_mesh_middleware._core.values.messages import UpstreamRequest
from llm_mesh_middleware._engine.http.protocols import AsyncUpstreamClient, AsyncUpstreamResponse
from llm_mesh_middleware.testing import FakeUpstream
from tests.canaries import canary

HOST = "llm.example"
KEY = canary("engine")
TARGET = "/v1/chat/completions"
HEADERS = (
    (b"host", HOST.encode()),
    (b"authorization", b"Bearer " + KEY.encode()),
    (b"content-type", b"application/json"),
    (b"accept-encoding", b"identity"),
)

NO_FILES = TLSFiles()

MakeClient: TypeAlias = Callable[..., AsyncUpstreamClient]


def request_to(
    upstream: FakeUpstream | str,
    *,
    body: bytes = b'{"model":"m","messages":[{"role":"user","content":"Good morning"}]}',
    headers: tuple[tuple[bytes, bytes], ...] = HEADERS,
    method: str = "POST",
    target: str = TARGET,
    address: str | None = None,
    server_name: str = HOST,
    tls: TLSFiles = NO_FILES,
    connect_timeout_s: float = 5.0,
) -> UpstreamRequest:
    """A call to the provider `llm.example`, which is really at the upstream's own address."""
    url = urlsplit(upstream if isinstance(upstream, str) else upstream.url)
    assert url.hostname is not None
    assert url.port is not None
    endpoint = Endpoint(HOST, url.scheme, address or url.hostname, url.port, server_name, tls)
    return UpstreamRequest(
        endpoint=endpoint,
        method=method,
        target=target,
        headers=headers,
        body=body,
        connect_timeout_s=connect_timeout_s,
    )


async def read_piece(response: AsyncUpstreamResponse) -> bytes:
    """The next bytes of the body."""
    reading = response.read()
    return reading if isinstance(reading, bytes) else await reading


async def read_all(response: AsyncUpstreamResponse) -> bytes:
    """The body to its end, and the connection given back."""
    chunks = []
    while chunk := await read_piece(response):
        chunks.append(chunk)
    await response.aclose()
    return b"".join(chunks)


async def call(client: AsyncUpstreamClient, request: UpstreamRequest) -> bytes:
    """Send and read to the end; the answer must be a 200."""
    response = await client.open(request)
    assert response.head.status == 200
    return await read_all(response)


async def send(client: AsyncUpstreamClient, request: UpstreamRequest) -> None:
    """Send and read to the end, whatever comes; for calls that must fail somewhere in it."""
    response = await client.open(request)
    try:
        while await read_piece(response):
            pass
    finally:
        await response.aclose()
