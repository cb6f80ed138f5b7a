"""Adapters without a network: transports of httpx and httpx2, synchronous and not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import httpx
import httpx2

import llm_mesh_httpx
import llm_mesh_httpx.httpx2
from llm_mesh_middleware import Mesh
from tests.contract.calling import Ask, Caller

_WAIT_S = 5
_END = object()


def _request(client: Any, ask: Ask) -> Any:
    headers = [*ask.headers, ("content-type", "application/json")]
    url = f"http://{ask.host}{ask.path}"
    return client.build_request(ask.method, url, headers=headers, content=ask.data or None)


class _Call:
    """A call whose response is on its way; `answer` brings it."""

    def __init__(self, answer: Future[Any]) -> None:
        self._answer = answer

    @property
    def _response(self) -> Any:
        return self._answer.result(_WAIT_S)

    @property
    def status(self) -> int:
        return int(self._response.status_code)

    @property
    def headers(self) -> Mapping[str, str]:
        return dict(self._response.headers)


class _SyncCall(_Call):
    def pieces(self) -> Iterator[bytes]:
        yield from self._response.iter_raw()

    def leave(self) -> None:
        self._answer.add_done_callback(_close)


def _close(answer: Future[Any]) -> None:
    with suppress(Exception):
        answer.result().close()


class Sync:
    """A client of either library with the synchronous transport."""

    is_inbound = notices_at_once = False

    def __init__(self, library: Any, adapters: Any) -> None:
        self._library = library
        self._adapters = adapters

    def __call__(self, stack: ExitStack) -> Sync:
        self._pool = stack.enter_context(ThreadPoolExecutor(16))
        return self

    @contextmanager
    def serve(self, mesh: Mesh, **words: Any) -> Iterator[Caller]:
        client = self._library.Client(transport=self._adapters.MeshTransport(mesh))

        def call(ask: Ask) -> _SyncCall:
            request = _request(client, ask)
            return _SyncCall(self._pool.submit(client.send, request, stream=True))

        yield call
        client.close()
        mesh.close()


class _AsyncCall(_Call):
    """Everything happens in the loop, one piece at a time."""

    def __init__(self, client: Any, ask: Ask, run: Callable[..., Future[Any]]) -> None:
        self._run = run
        super().__init__(run(client.send(_request(client, ask), stream=True)))

    def pieces(self) -> Iterator[bytes]:
        body = self._response.aiter_raw()
        while (piece := self._run(_next(body)).result(_WAIT_S)) is not _END:
            yield piece

    def leave(self) -> None:
        if not self._answer.cancel() and self._answer.exception() is None:
            self._run(self._response.aclose()).result(_WAIT_S)


async def _next(body: Any) -> Any:
    return await anext(body, _END)


class Async:
    """A client of either library with the asynchronous transport, in a loop of its own."""

    is_inbound = False
    notices_at_once = True

    def __init__(self, library: Any, adapters: Any) -> None:
        self._library = library
        self._adapters = adapters

    def __call__(self, stack: ExitStack) -> Async:
        loop = self._loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="outbound")
        thread.start()
        stack.callback(loop.close)
        stack.callback(thread.join, _WAIT_S)
        stack.callback(loop.call_soon_threadsafe, loop.stop)
        return self

    @contextmanager
    def serve(self, mesh: Mesh, **words: Any) -> Iterator[Caller]:
        client = self._library.AsyncClient(transport=self._adapters.AsyncMeshTransport(mesh))
        yield lambda ask: _AsyncCall(client, ask, self._run)
        self._run(client.aclose()).result(_WAIT_S)
        self._run(mesh.aclose()).result(_WAIT_S)

    def _run(self, coroutine: Any) -> Future[Any]:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)


OUTBOUND: Mapping[str, Sync | Async] = {
    "httpx": Sync(httpx, llm_mesh_httpx),
    "httpx-async": Async(httpx, llm_mesh_httpx),
    "httpx2": Sync(httpx2, llm_mesh_httpx.httpx2),
    "httpx2-async": Async(httpx2, llm_mesh_httpx.httpx2),
}
