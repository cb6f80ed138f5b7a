"""The synchronous client behind the asynchronous protocol, so that one list of tests is for all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

from llm_mesh_middleware._core.values.messages import UpstreamRequest
from llm_mesh_middleware._engine.http.pooled_client import PooledClient
from llm_mesh_middleware._engine.http.protocols import UpstreamResponse
from llm_mesh_middleware._engine.tasks.cancel_scope import CancelScope
from llm_mesh_middleware._engine.tls import TLSContexts

T = TypeVar("T")


class ThreadedClient:
    """Each blocking call in a thread; a cancellation of the task cancels its scope."""

    def __init__(self, contexts: TLSContexts, *, trust_env: bool = False) -> None:
        self._client = PooledClient(contexts, trust_env=trust_env)

    async def open(self, request: UpstreamRequest) -> ThreadedResponse:
        scope = CancelScope()
        response = await in_thread(scope, lambda: self._client.open(request, soon(), scope))
        return ThreadedResponse(response, scope)

    async def aclose(self) -> None:
        self._client.close()


class ThreadedResponse:
    def __init__(self, response: UpstreamResponse, scope: CancelScope) -> None:
        self._response = response
        self._scope = scope
        self.head = response.head

    async def read(self) -> bytes:
        return await in_thread(self._scope, lambda: self._response.read(soon()))

    async def aclose(self) -> None:
        self._response.close()


def soon() -> float:
    """Later than any test waits."""
    return time.monotonic() + 10


async def in_thread(scope: CancelScope, call: Callable[[], T]) -> T:
    """What `call` returns."""
    task = asyncio.get_running_loop().run_in_executor(None, call)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        scope.cancel()
        await asyncio.wait((task,))
        if task.exception() is None and hasattr(result := task.result(), "close"):
            result.close()
        raise
