"""The mesh as a transport of httpx2, which the OpenAI and Anthropic SDKs are built on."""

from __future__ import annotations

try:
    import httpx2
except ImportError as exc:
    raise ImportError("install llm-mesh-middleware[httpx2] for llm_mesh_httpx.httpx2") from exc

from ._transports import AsyncDeliveryStream, AsyncRouting, DeliveryStream, Routing

__all__ = ["AsyncMeshTransport", "MeshTransport"]


class _Stream(DeliveryStream, httpx2.SyncByteStream):
    pass


class _AsyncStream(AsyncDeliveryStream, httpx2.AsyncByteStream):
    pass


class MeshTransport(Routing[httpx2.Request, httpx2.Response], httpx2.BaseTransport):
    """As `llm_mesh_httpx.MeshTransport`; `transport` is one of httpx2's."""

    transport_type = httpx2.HTTPTransport
    request_type = httpx2.Request
    response_type = httpx2.Response
    whole_type = httpx2.ByteStream
    stream_type = _Stream


class AsyncMeshTransport(AsyncRouting[httpx2.Request, httpx2.Response], httpx2.AsyncBaseTransport):
    """The asynchronous twin of `MeshTransport`, on asyncio."""

    transport_type = httpx2.AsyncHTTPTransport
    request_type = httpx2.Request
    response_type = httpx2.Response
    whole_type = httpx2.ByteStream
    stream_type = _AsyncStream
