"""Where a request is served: in the event loop under ASGI, in its own thread under WSGI."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from django.http import HttpRequest

from llm_mesh_middleware.testing import FakeUpstream, Stream, chat_stream
from tests.contract.adapters import DjangoASGI, DjangoWSGI
from tests.contract.calling import QUESTION, Ask, seen
from tests.django.meshes import make_mesh
from tests.django.project import AUTHENTICATED, COMMON, MESH, SYNCHRONOUS

STREAMED = Ask(QUESTION | {"stream": True})
EVENTS = chat_stream(["Good ", "morning"], include_usage=False)


@pytest.fixture(scope="module")
def asgi() -> Iterator[DjangoASGI]:
    with ExitStack() as stack:
        yield DjangoASGI(stack)


@pytest.fixture(scope="module")
def wsgi() -> Iterator[DjangoWSGI]:
    with ExitStack() as stack:
        yield DjangoWSGI(stack)


def thread_of(asgi: DjangoASGI) -> int:
    async def ask() -> int:
        return threading.get_ident()

    return asyncio.run_coroutine_threadsafe(ask(), asgi._loop).result(5)


@pytest.mark.parametrize(
    "middleware",
    [[MESH], [MESH, COMMON], [MESH, SYNCHRONOUS], [MESH, SYNCHRONOUS, COMMON], AUTHENTICATED],
    ids=lambda middleware: "-".join(name.rpartition(".")[2] for name in middleware),
)
def test_under_asgi_no_request_of_the_mesh_leaves_the_event_loop(
    asgi: DjangoASGI, upstream: FakeUpstream, middleware: list[str]
) -> None:
    mesh = make_mesh(upstream)
    upstream.script(Stream(EVENTS))
    with asgi.serve(mesh, MIDDLEWARE=list(middleware)) as call:
        assert seen(call(STREAMED)).body == b"".join(EVENTS)
        assert seen(call(Ask())).status == 200
        assert seen(call(Ask(host="app.example"))).status == 200
    assert mesh.asked == mesh.called == {thread_of(asgi)}


def test_behind_a_middleware_that_knows_no_coroutines_calls_are_made_in_the_event_loop(
    asgi: DjangoASGI, upstream: FakeUpstream
) -> None:
    mesh = make_mesh(upstream)
    upstream.script(Stream(EVENTS))
    with asgi.serve(mesh, MIDDLEWARE=[SYNCHRONOUS, MESH, COMMON]) as call:
        assert seen(call(STREAMED)).body == b"".join(EVENTS)
        assert seen(call(Ask(host="app.example"))).status == 200
    assert mesh.called == {thread_of(asgi)}


def test_a_chain_that_django_makes_synchronous_all_the_same_is_served(
    asgi: DjangoASGI, upstream: FakeUpstream
) -> None:
    """As by a wrapper that does not tell Django what it wraps."""
    mesh = make_mesh(upstream)
    upstream.script(Stream(EVENTS))
    wrapped = [f"{__name__}.wrapping", SYNCHRONOUS]
    with asgi.serve(mesh, MIDDLEWARE=wrapped) as call:
        assert seen(call(STREAMED)).body == b"".join(EVENTS)
        assert seen(call(Ask(host="app.example"))).status == 200
    assert mesh.called == {thread_of(asgi)}


def wrapping(get_response: Any) -> Any:
    from llm_mesh_django import LLMMeshMiddleware

    inner = LLMMeshMiddleware(get_response)

    def call(request: HttpRequest) -> Any:
        return inner(request)

    return call


def test_under_wsgi_a_call_is_made_in_the_thread_of_its_request(
    wsgi: DjangoWSGI, upstream: FakeUpstream
) -> None:
    mesh = make_mesh(upstream)
    threads: set[int] = set()

    def attributes(request: HttpRequest) -> dict[str, str]:
        threads.add(threading.get_ident())
        return {}

    with wsgi.serve(mesh, attributes=attributes) as call:
        assert seen(call(Ask())).status == 200
    assert mesh.asked == mesh.called == threads


def test_a_synchronous_callable_gets_a_thread_and_an_asynchronous_one_does_not(
    asgi: DjangoASGI, upstream: FakeUpstream
) -> None:
    threads: list[int] = []

    def attributes(request: HttpRequest) -> dict[str, str]:
        threads.append(threading.get_ident())
        return {}

    async def aattributes(request: HttpRequest) -> dict[str, str]:
        return attributes(request)

    for word in (attributes, aattributes):
        with asgi.serve(make_mesh(upstream), attributes=word) as call:
            assert seen(call(Ask())).status == 200
    loop = thread_of(asgi)
    assert [thread == loop for thread in threads] == [False, True]
