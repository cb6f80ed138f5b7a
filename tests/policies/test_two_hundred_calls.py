"""Two hundred equal requests at once make one call, whatever becomes of the first of them."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from llm_mesh_middleware import LLMPolicy, Mesh
from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._core.values.messages import ClientRequest
from llm_mesh_middleware.testing import (
    Answer,
    FakeUpstream,
    Gate,
    RecordedRequest,
    Stream,
    chat_completion,
    chat_stream,
)
from tests.resilience.meshes import HOST, key_of, provider, route

POLICY = LLMPolicy.model_validate({"metadata": {"name": "team"}, "spec": {"cache": {}}})
COUNT = 200


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream(tls=False, api_key=key_of("primary")) as upstream:
        yield upstream


async def result(mesh: Mesh, *, is_stream: bool) -> str:
    """Ask; return what the cache did, and the status unless it is 200."""
    body = {"model": "m", "stream": is_stream, "messages": [{"role": "user", "content": "hi"}]}
    asked = ClientRequest(
        "POST", "/v1/chat/completions", Headers([]), json.dumps(body).encode(), {"consumer": "a"}
    )
    host = mesh.find(HOST.encode())
    assert host is not None
    delivery = await mesh.asend(host, asked)
    try:
        reply = delivery.reply
        text = b"".join([piece async for piece in delivery]) if reply.is_stream else delivery.take()
        assert (b"net." in text) is (reply.status == 200)
        told = dict(reply.headers)[b"x-llm-mesh-cache"].decode()
        return told if reply.status == 200 else f"{told} {reply.status}"
    finally:
        await delivery.aclose()


def gated(gate: Gate) -> Callable[[RecordedRequest], Answer | Stream]:
    events = chat_stream(["A ", "net."])
    return lambda request: Stream([events[0], gate, *events[1:]])


def failing_once() -> Callable[[RecordedRequest], Answer | Stream]:
    answers = iter([Answer(500)])
    return lambda request: next(answers, Answer(body=chat_completion("A net.")))


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize(
    ("leaves", "fails", "calls", "told"),
    [
        (False, False, 1, {"miss": 1, "hit": COUNT - 1}),
        (True, False, 1, {"hit": COUNT - 1}),
        (False, True, 2, {"miss 500": 1, "miss": 1, "hit": COUNT - 2}),
    ],
)
async def test_two_hundred_equal_requests_at_once(
    upstream: FakeUpstream,
    leaves: bool,
    fails: bool,
    calls: int,
    told: dict[str, int],
    is_stream: bool,
) -> None:
    gate = Gate()
    upstream.always(failing_once() if fails else gated(gate))
    configs = {"defaultConfig": {"openAIConfig": {"model": "m", "apiKey": key_of("primary")}}}
    primary = provider("primary", upstream, configs=configs)
    mesh = Mesh((primary, route({"providerHost": "primary.example"}), POLICY))
    asking = [
        asyncio.create_task(result(mesh, is_stream=is_stream if number == 0 else number % 2 > 0))
        for number in range(COUNT)
    ]
    if not fails:
        assert await asyncio.to_thread(gate.wait_reached, 10)
    if leaves:
        asking[0].cancel()
        await asyncio.wait(asking[:1])
    gate.open()
    done = await asyncio.gather(*asking[leaves:])
    await mesh.aclose()

    assert Counter(done) == told
    assert len(upstream.requests) == calls
