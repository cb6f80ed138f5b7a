"""Requests to the API server, its responses and faults.

Bodies are read here, because kubernetes_asyncio would write Secrets to its debug log, and has no
models for the mesh's kinds.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any, TypeAlias

import aiohttp
from kubernetes_asyncio.client import ApiClient
from kubernetes_asyncio.client.exceptions import ApiException

from llm_mesh_middleware import __version__

from .access import load_access
from .faults import APIFault, Expired

__all__ = ["Connection", "Object"]

# A JSON object as the API server sends it; never changed by us.
Object: TypeAlias = Mapping[str, Any]

_CONNECT_S = 10.0
_ANSWER_S = 30.0
_END_S = 0.5
# The name in audit logs; up to the slash, it is the manager of the fields that the mesh writes.
_USER_AGENT = f"llm-mesh/{__version__}"
_MERGE_PATCH = "application/merge-patch+json"
_LONGEST_MESSAGE = 300
# aiohttp raises RuntimeError or AssertionError if a session was closed meanwhile, here after a 401
# or at the end.
_LOST = (
    aiohttp.ClientError,
    ApiException,
    AssertionError,
    OSError,
    RuntimeError,
    TimeoutError,
)


class Connection:
    """An API client that is created on first use, and again when access is denied."""

    def __init__(self, kubeconfig: str | None, context: str | None) -> None:
        self._kubeconfig = kubeconfig
        self._context = context
        self._client: ApiClient | None = None
        self._opening = asyncio.Lock()
        self._calls: set[asyncio.Future[None]] = set()
        self.is_closed = False
        self.namespace = ""

    async def open(self) -> None:
        """Read address and credentials.

        Raises:
            APIFault: there are none.
        """
        async with self._opening:
            if self.is_closed:
                raise APIFault("the connection is closed")
            if self._client is None:
                access = await load_access(self._kubeconfig, self._context)
                self.namespace = access.namespace
                self._client = ApiClient(access.configuration)
                self._client.user_agent = _USER_AGENT

    async def close(self) -> None:
        """Cut all connections, for good."""
        self.is_closed = True
        # A connection that is being opened cannot be cut, and asyncio loses it if it is cancelled
        # at the start of TLS.
        if self._calls:
            await asyncio.wait(self._calls, timeout=_END_S)
        await self._forget()

    async def _forget(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def get(self, path: str, **query: str) -> Object:
        """Return an object or a list of them.

        Raises:
            APIFault: there is none.
        """
        return await self._ask("GET", path, query=query)

    async def patch(self, path: str, body: Object) -> Object:
        """Merge `body` into the object at `path` (RFC 7396).

        Raises:
            APIFault: it was not merged.
        """
        return await self._ask("PATCH", path, body=body)

    async def events(
        self, path: str, *, timeout_s: int, **query: str
    ) -> AsyncGenerator[Object, None]:
        """Yield the events of a watch until it ends.

        Raises:
            APIFault: it ended with an error.
        """
        query |= {"watch": "1", "timeoutSeconds": str(timeout_s)}
        # The read timeout is longer than the watch, so it detects a dead connection.
        response = await self._open("GET", path, query=query, read_s=timeout_s + _ANSWER_S)
        rest = b""
        try:
            async for data in response.content.iter_any():
                *lines, rest = (rest + data).split(b"\n")
                for line in filter(bytes.strip, lines):
                    yield _decoded(line)
        except _LOST as exc:
            raise _unanswered(exc) from exc
        finally:
            _cut(response)

    async def _ask(
        self, method: str, path: str, *, query: Object | None = None, body: Object | None = None
    ) -> Object:
        response = await self._open(method, path, query=query, body=body)
        try:
            return _decoded(await response.read())
        except _LOST as exc:
            raise _unanswered(exc) from exc
        finally:
            response.release()

    async def _open(
        self,
        method: str,
        path: str,
        *,
        query: Object | None = None,
        body: Object | None = None,
        read_s: float = _ANSWER_S,
    ) -> aiohttp.ClientResponse:
        await self.open()
        client = self._client
        if client is None:
            raise APIFault("the connection is closed")
        call: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._calls.add(call)
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = _MERGE_PATCH
        try:
            response: aiohttp.ClientResponse = await client.call_api(
                path,
                method,
                query_params=list((query or {}).items()),
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
                _preload_content=False,
                _request_timeout=aiohttp.ClientTimeout(sock_connect=_CONNECT_S, sock_read=read_s),
            )
            if response.status < 400:
                return response
            answer = await response.read()
            response.release()
        except _LOST as exc:
            raise _unanswered(exc) from exc
        finally:
            self._calls.discard(call)
            call.set_result(None)
        if response.status == 401 and client is self._client:
            await self._forget()  # a token may have been replaced
        raise _refused(response, answer)


def _cut(response: aiohttp.ClientResponse) -> None:
    """Close a connection in the middle of a response, without a TLS shutdown."""
    connection = response.connection
    if connection is not None and connection.transport is not None:
        connection.transport.abort()
    response.close()


def _decoded(data: bytes) -> Object:
    try:
        value = json.loads(data)
    except ValueError as exc:
        raise APIFault("the API server sent something that is not JSON") from exc
    if not isinstance(value, dict):
        raise APIFault("the API server sent JSON that is not an object")
    return value


def _unanswered(exc: Exception) -> APIFault:
    reason = str(exc) or type(exc).__name__
    return APIFault(f"no response from the API server: {reason}"[:_LONGEST_MESSAGE])


def _refused(response: aiohttp.ClientResponse, answer: bytes) -> APIFault:
    """Return the fault of an error response; its body is a `Status`, unless a proxy sent it."""
    try:
        message = str(_decoded(answer).get("message") or response.reason)
    except APIFault:
        message = str(response.reason)
    message = f"the API server answered {response.status}: {message}"[:_LONGEST_MESSAGE]
    if response.status == 410:
        return Expired(message)
    advice = response.headers.get("retry-after", "")
    seconds = float(advice) if advice.isdigit() else 0.0
    return APIFault(message, status=response.status, retry_after_s=seconds)
