"""One owner of retries: the mesh's number holds under the OpenAI SDK with retries of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from llm_mesh_middleware import LLMMeshMiddleware, Mesh, MeshSettings
from llm_mesh_middleware.testing import Answer, FakeUpstream, error_body
from tests.canaries import canary
from tests.conftest import Serve
from tests.resilience.meshes import (
    FALLBACK,
    PRIMARY,
    Ledger,
    provider,
    route,
    running,
    two_tiers,
)
from tests.resilience.meshes import ask as mesh_ask

# The official SDK sends no Host but that of its base URL.
LOCAL = "127.0.0.1"


def refusal(status: int) -> Answer:
    # The shortest pause there is, for the mesh and for the SDK alike.
    return Answer(status, [("retry-after-ms", "1")], error_body("no", code="busy"))


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def client(
    serve: Serve, primary: FakeUpstream, fallback: FakeUpstream, ledger: Ledger
) -> Iterator[Any]:
    """`client(retries) -> openai.OpenAI`, as the SDK comes, in front of both providers."""
    clients: list[openai.OpenAI] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "lifespan"

    def start(attempts: int, *refs: dict[str, object]) -> openai.OpenAI:
        documents = (
            provider("primary", primary),
            provider("fallback", fallback),
            route(
                *(refs or (PRIMARY, FALLBACK)),
                host=LOCAL,
                retry={"attempts": attempts, "backoff": "1ms"},
            ),
        )
        mesh = Mesh(documents, settings=MeshSettings(), observer=ledger)
        port = serve(LLMMeshMiddleware(app, mesh=mesh))
        clients.append(openai.OpenAI(base_url=f"http://{LOCAL}:{port}/v1", api_key=canary("any")))
        return clients[-1]

    yield start
    for one in clients:
        one.close()


def ask(client: openai.OpenAI, *, stream: bool = False) -> Any:
    return client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": "Good morning"}], stream=stream
    )


@pytest.mark.parametrize(("status", "stream"), [(503, False), (429, True)])
@pytest.mark.parametrize("attempts", [1, 2, 3])
def test_n_retries_are_n_plus_1_calls_when_every_provider_refuses(
    client: Any,
    primary: FakeUpstream,
    fallback: FakeUpstream,
    ledger: Ledger,
    attempts: int,
    status: int,
    stream: bool,
) -> None:
    primary.always(refusal(status))
    fallback.always(refusal(status))
    with pytest.raises(openai.APIStatusError) as caught:
        ask(client(attempts), stream=stream)
    assert caught.value.status_code == status
    assert caught.value.code == "busy"
    assert len(primary.requests) + len(fallback.requests) == attempts + 1
    assert len(ledger.entries) == 1  # the SDK has asked once
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert caught.value.response.headers["x-llm-mesh-attempts"] == str(attempts + 1)
    # A provider's own wish reaches the client, who may want to wait.
    assert caught.value.response.headers["retry-after-ms"] == "1"


@pytest.mark.parametrize("attempts", [1, 2, 3])
def test_n_retries_are_n_plus_1_attempts_when_every_connection_is_refused(
    client: Any, primary: FakeUpstream, fallback: FakeUpstream, ledger: Ledger, attempts: int
) -> None:
    asking = client(attempts)
    primary.close()
    fallback.close()
    with pytest.raises(openai.APIStatusError) as caught:
        ask(asking)
    assert (caught.value.status_code, caught.value.code) == (502, "upstream_connect_error")
    assert ledger.sent == attempts + 1
    assert len(ledger.entries) == 1
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert caught.value.response.headers["x-llm-mesh-attempts"] == str(attempts + 1)


def test_a_mesh_without_retries_leaves_them_to_the_sdk(
    client: Any, primary: FakeUpstream, ledger: Ledger
) -> None:
    """`attempts: 0` says that the mesh is not the owner: then somebody else may be.

    The SDK is told nothing, and makes its two retries. The provider sees three calls, as without a
    mesh, and never their product.
    """
    primary.always(refusal(503))
    with pytest.raises(openai.InternalServerError) as caught:
        ask(client(0, PRIMARY))
    assert "x-should-retry" not in caught.value.response.headers
    assert caught.value.response.headers["x-llm-mesh-attempts"] == "1"
    assert len(primary.requests) == len(ledger.entries) == 1 + openai.DEFAULT_MAX_RETRIES


def test_what_is_never_tried_again_is_left_to_the_sdk_too(
    client: Any, primary: FakeUpstream, ledger: Ledger
) -> None:
    primary.script(refusal(500))  # not among the default codes
    assert ask(client(2, PRIMARY)).choices
    assert len(primary.requests) == len(ledger.entries) == 2


def test_a_refusal_for_good_is_neither_retried_nor_marked(
    client: Any, primary: FakeUpstream, ledger: Ledger
) -> None:
    primary.always(refusal(400))
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client(2))
    assert "x-should-retry" not in caught.value.response.headers
    assert len(primary.requests) == len(ledger.entries) == 1


def test_an_answer_after_a_retry_is_like_any_other(
    client: Any, primary: FakeUpstream, ledger: Ledger
) -> None:
    primary.script(refusal(429), refusal(503))
    answer = ask(client(2, PRIMARY))
    assert answer.choices[0].message.content == "You said: Good morning"
    assert len(primary.requests) == 3
    assert len(ledger.entries) == 1


def test_a_providers_own_advice_to_retry_does_not_survive_the_meshs_retries(
    client: Any, primary: FakeUpstream, ledger: Ledger
) -> None:
    headers = [("retry-after-ms", "1"), ("x-should-retry", "true")]
    primary.always(Answer(503, headers, error_body("no", code="busy")))
    with pytest.raises(openai.InternalServerError) as caught:
        ask(client(1, PRIMARY))
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert len(primary.requests) == 2
    assert len(ledger.entries) == 1


async def test_the_async_client_is_told_the_same(
    client: Any, primary: FakeUpstream, fallback: FakeUpstream
) -> None:
    primary.always(refusal(503))
    fallback.always(refusal(503))
    base_url = str((await asyncio.to_thread(client, 2)).base_url)
    async with openai.AsyncOpenAI(base_url=base_url, api_key=canary("any")) as asking:
        with pytest.raises(openai.InternalServerError):
            await asking.chat.completions.create(
                model="m", messages=[{"role": "user", "content": "Good morning"}]
            )
    assert len(primary.requests) + len(fallback.requests) == 3


@pytest.mark.parametrize(
    ("status", "is_marked"),
    [(400, False), (404, False), (408, True), (409, True), (429, True), (500, True), (503, True)],
)
async def test_what_an_sdk_would_retry_is_marked_once_the_mesh_has_retried_it(
    primary: FakeUpstream, fallback: FakeUpstream, status: int, is_marked: bool
) -> None:
    for upstream in (primary, fallback):
        upstream.always(Answer(status, body=error_body("no")))
    retry = {"codes": [status], "backoff": "1ms"}
    async with running(*two_tiers(primary, fallback, retry=retry)) as mesh:
        answer = await mesh_ask(mesh)
    assert int(answer.headers["x-llm-mesh-attempts"]) > 1
    assert answer.headers.get("x-should-retry") == ("false" if is_marked else None)
