"""A client that goes away under ASGI closes the upstream connection within 100 ms."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from llm_mesh_middleware.testing import (
    Answer,
    Cut,
    FakeUpstream,
    RecordedRequest,
    Scripted,
    Stream,
    chat_stream,
)
from tests.contract.adapters import DjangoASGI
from tests.contract.calling import QUESTION, Ask
from tests.django.meshes import WatchedMesh, make_mesh
from tests.django.project import COMMON, MESH, SYNCHRONOUS

AT_ONCE_S = 0.1
TRIES = 4
STREAMED = Ask(QUESTION | {"stream": True})
EVENT = chat_stream(["Good "], include_usage=False)[0]
LONG_EVENT = chat_stream(["Good " * 20_000], include_usage=False)[1]


@pytest.fixture(scope="module")
def asgi() -> Iterator[DjangoASGI]:
    with ExitStack() as stack:
        yield DjangoASGI(stack)


def is_fast(go: Callable[[], RecordedRequest]) -> bool:
    """Whether one of a few goes is fast enough: a busy machine keeps threads waiting for longer."""
    for _ in range(TRIES):
        request = go()
        if request.wait_disconnected(AT_ONCE_S):
            return True
        assert request.wait_disconnected()
    return False


def assert_cancelled(mesh: WatchedMesh) -> None:
    assert {type(entry.error).__name__ for entry in mesh.ledger.entries} == {"ClientDisconnected"}
    assert {status.in_flight for status in mesh.health().values()} == {0}


@pytest.mark.parametrize("middleware", [[MESH, COMMON], [SYNCHRONOUS, MESH]], ids=["first", "last"])
@pytest.mark.parametrize(
    "answer",
    [Cut(how="stall"), Answer(delay=5), Stream([], end="stall")],
    ids=["no head", "slow head", "no event"],
)
def test_while_it_waits_for_the_answer(
    asgi: DjangoASGI, upstream: FakeUpstream, answer: Scripted, middleware: list[str]
) -> None:
    upstream.always(answer)
    mesh = make_mesh(upstream)

    def go() -> RecordedRequest:
        count = len(upstream.requests) + 1
        waiting = call(STREAMED)
        request = upstream.wait_for_requests(count)[-1]
        waiting.leave()
        return request

    with asgi.serve(mesh, MIDDLEWARE=middleware) as call:
        assert is_fast(go)
    assert_cancelled(mesh)


@pytest.mark.parametrize("keepalive_s", [0, 0.02])
@pytest.mark.parametrize(
    "answer",
    [Stream([EVENT], end="stall"), Stream([EVENT] * 1000, pause=0.01), Stream([LONG_EVENT] * 500)],
    ids=["waiting", "reading", "not reading"],
)
def test_in_the_middle_of_a_stream(
    asgi: DjangoASGI, upstream: FakeUpstream, answer: Stream, keepalive_s: float
) -> None:
    upstream.always(answer)
    mesh = make_mesh(upstream, sse_keepalive=keepalive_s)

    def go() -> RecordedRequest:
        count = len(upstream.requests) + 1
        streaming = call(STREAMED)
        next(iter(streaming.pieces()))
        request = upstream.wait_for_requests(count)[-1]  # a keep-alive may be the first piece
        streaming.leave()
        return request

    with asgi.serve(mesh) as call:
        assert is_fast(go)
    assert_cancelled(mesh)


def test_before_the_first_event_of_a_stream_that_is_kept_alive(
    asgi: DjangoASGI, upstream: FakeUpstream
) -> None:
    upstream.always(Cut(how="stall"))
    mesh = make_mesh(upstream, sse_keepalive=0.02)

    def go() -> RecordedRequest:
        streaming = call(STREAMED)
        assert next(iter(streaming.pieces())).startswith(b": keep-alive")
        streaming.leave()
        return upstream.requests[-1]

    with asgi.serve(mesh) as call:
        assert is_fast(go)
    assert_cancelled(mesh)
