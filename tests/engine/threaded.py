"""The synchronous client behind the asynchronous protocol, so that one list of tests is for all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

from llm_mesh_middleware._core.values.messages import UpstreamRequest
from llm_mesh_middleware._engine.http.httpx_client import SyncHttpxUpstreamClient
from llm_mesh_middleware._engine.http.protocols import UpstreamResponse
from llm_mesh_middleware._engine.http.tls import TLSContexts
from llm_mesh_middleware._engine.tasks.cancel_scope import Line

T = TypeVar("T")


class ThreadedClient:
    """Each blocking call in a thread; a cancellation cuts the line under it."""

    def __init__(self, contexts: TLSContexts, *, trust_env: bool) -> None:
        self._client = SyncHttpxUpstreamClient(contexts, trust_env=trust_env)

    async def open(self, request: UpstreamRequest) -> ThreadedResponse:
        line = Line()
        response = await in_thread(line, lambda: self._client.open(request, soon(), line))
        return ThreadedResponse(response, line)

    async def aclose(self) -> None:
        self._client.close()


class ThreadedResponse:
    def __init__(self, response: UpstreamResponse, line: Line) -> None:
        self._response = response
        self._line = line
        self.head = response.head

    async def read(self) -> bytes:
        return await in_thread(self._line, lambda: self._response.read(soon()))

    async def aclose(self) -> None:
        self._response.close()


def soon() -> float:
    """Later than any test waits."""
    return time.monotonic() + 10


async def in_thread(line: Line, call: Callable[[], T]) -> T:
    """What `call` returns."""
    task = asyncio.get_running_loop().run_in_executor(None, call)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        line.cut()
        await asyncio.wait((task,))
        if task.exception() is None and hasattr(result := task.result(), "close"):
            result.close()
        raise
