"""The mesh as a transport of httpx; `llm_mesh_httpx.httpx2` is the same for httpx2.

For virtual hosts the timeouts are the mesh's, by phase (`LLM_MESH_*_TIMEOUT`, `timeouts` of a
rule); a client's `timeout` applies to its other calls.
"""

from __future__ import annotations

import httpx

from ._transports import AsyncDeliveryStream, AsyncRouting, DeliveryStream, Routing

__all__ = ["AsyncMeshTransport", "MeshTransport"]


class _Stream(DeliveryStream, httpx.SyncByteStream):
    pass


class _AsyncStream(AsyncDeliveryStream, httpx.AsyncByteStream):
    pass


class MeshTransport(Routing[httpx.Request, httpx.Response], httpx.BaseTransport):
    """Routes calls to virtual hosts through the mesh, and all others through `transport`.

    Args:
        mesh: a mesh to share, or the `config` of a new one; by default it is read from
            `LLM_MESH_*`.
        transport: for all other hosts; by default `httpx.HTTPTransport()`.
        settings: the settings of a new mesh.

    Raises:
        ConfigError: the configuration cannot be used.
    """

    transport_type = httpx.HTTPTransport
    request_type = httpx.Request
    response_type = httpx.Response
    whole_type = httpx.ByteStream
    stream_type = _Stream


class AsyncMeshTransport(AsyncRouting[httpx.Request, httpx.Response], httpx.AsyncBaseTransport):
    """The asynchronous twin of `MeshTransport`, on asyncio."""

    transport_type = httpx.AsyncHTTPTransport
    request_type = httpx.Request
    response_type = httpx.Response
    whole_type = httpx.ByteStream
    stream_type = _AsyncStream
