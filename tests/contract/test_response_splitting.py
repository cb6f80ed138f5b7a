"""A second response that a provider sends behind the first never reaches the next client."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider

from llm_mesh_middleware.testing import Answer, Raw, chat_completion
from tests.contract.conftest import World


def response(text: str) -> bytes:
    body = json.dumps(chat_completion(text)).encode()
    fields = b"content-type: application/json\r\ncontent-length: %d" % len(body)
    return b"HTTP/1.1 200 OK\r\n%b\r\n\r\n%b" % (fields, body)


def chunked(text: str) -> bytes:
    body = json.dumps(chat_completion(text)).encode()
    head = (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    return head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


FIRST = {
    "a length": response("mine"),
    "chunks": chunked("mine"),
    "an early hint": b"HTTP/1.1 103 Early Hints\r\n\r\n" + response("mine"),
}


@pytest.fixture(params=[False, True], ids=["plain", "instrumented"])
def instrumentation(request: pytest.FixtureRequest) -> Iterator[None]:
    """Once without, once with OpenTelemetry's instrumentation of httpx switched on."""
    if not request.param:
        yield
        return
    instrumentor = HTTPXClientInstrumentor()
    instrumentor.instrument(tracer_provider=TracerProvider())
    yield
    instrumentor.uninstrument()


@pytest.mark.usefixtures("instrumentation")
@pytest.mark.parametrize("client", ["aiohttp", "httpx"])
@pytest.mark.parametrize("first", FIRST.values(), ids=FIRST)
def test_a_second_response_does_not_reach_the_next_client(
    world: World, client: str, first: bytes
) -> None:
    world.primary.script(Raw(first + response("smuggled"), end="stall"))
    world.primary.always(Answer(body=chat_completion("yours")))
    world.start(upstream_client=client)

    said = [world.ask().json()["choices"][0]["message"]["content"] for _ in range(3)]
    assert said == ["mine", "yours", "yours"]
    first_used, *used = [request.connection for request in world.primary.requests]
    assert first_used not in used
