"""SDKs and frameworks, unmodified, with nothing between them and the mesh."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import httpx2
import openai
import pytest

import llm_mesh_httpx
from llm_mesh_httpx.httpx2 import AsyncMeshTransport, MeshTransport
from llm_mesh_middleware import Mesh
from llm_mesh_middleware.testing import Answer, Stream, chat_stream, error_body
from tests.canaries import canary
from tests.conftest import (
    DASHSCOPE,
    DASHSCOPE_KEY,
    DEMO,
    MOONSHOT,
    MOONSHOT_KEY,
    Providers,
)

MESSAGES: Any = [{"role": "user", "content": "Good morning to you"}]
ANSWER = "You said: Good morning to you"
SDK_KEY = canary("sdk")


@pytest.fixture(autouse=True)
def only_our_keys(providers: Providers) -> Iterator[None]:
    yield
    for upstream, key in (
        (providers.dashscope, DASHSCOPE_KEY),
        (providers.moonshot, MOONSHOT_KEY),
    ):
        for request in upstream.requests:
            assert SDK_KEY not in repr(request.headers)
            is_messages = request.path.endswith("/messages")
            assert request.header("x-api-key") == (key if is_messages else None)
            assert request.header("authorization") == (None if is_messages else f"Bearer {key}")


def options(host: str, client: object) -> dict[str, Any]:
    """What a user gives an SDK."""
    return {
        "base_url": f"http://{host}/v1",
        "api_key": SDK_KEY,
        "max_retries": 0,
        "http_client": client,
    }


@pytest.fixture
def chat(mesh: Mesh) -> Iterator[Callable[..., openai.OpenAI]]:
    with httpx2.Client(transport=MeshTransport(mesh)) as client:
        yield lambda host=DEMO: openai.OpenAI(**options(host, client))


def test_openai_completes_a_chat(chat: Callable[..., openai.OpenAI], providers: Providers) -> None:
    client = chat()
    for _ in range(8):
        answer = client.chat.completions.create(model="any", messages=MESSAGES)
        assert answer.choices[0].message.content == ANSWER
        assert answer.usage is not None
    assert len(providers.requests) == 8


def test_openai_reads_a_stream(chat: Callable[..., openai.OpenAI]) -> None:
    stream = chat().chat.completions.create(model="any", messages=MESSAGES, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == ANSWER


def test_openai_shows_the_raw_response(chat: Callable[..., openai.OpenAI]) -> None:
    raw = chat(MOONSHOT).chat.completions.with_raw_response.create(model="any", messages=MESSAGES)
    assert raw.headers["x-llm-mesh-provider"] == "moonshot"
    assert raw.parse().choices[0].message.content == ANSWER
    assert raw.elapsed.total_seconds() > 0


def test_openai_lists_models_and_makes_embeddings(chat: Callable[..., openai.OpenAI]) -> None:
    client = chat(DASHSCOPE)
    assert [model.id for model in client.models.list()] == ["qwen1.5-72b-chat"]
    made = client.embeddings.create(model="text-embedding-v3", input=["a", "b"])
    assert [item.index for item in made.data] == [0, 1]


def test_openai_gets_a_response(chat: Callable[..., openai.OpenAI]) -> None:
    answer = chat(DASHSCOPE).responses.create(model="any", input="Good morning to you")
    assert answer.output_text == ANSWER


def test_openai_raises_what_it_always_raises(
    chat: Callable[..., openai.OpenAI], providers: Providers
) -> None:
    with pytest.raises(openai.NotFoundError) as unknown:
        chat(DASHSCOPE).files.list()
    assert unknown.value.code == "unsupported_operation"
    providers.dashscope.always(Answer(422, body=error_body("No such thing", code="odd")))
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        chat(DASHSCOPE).chat.completions.create(model="any", messages=MESSAGES)
    assert refused.value.code == "odd"


def test_openai_raises_for_a_stream_that_breaks_off(
    chat: Callable[..., openai.OpenAI], providers: Providers
) -> None:
    providers.dashscope.always(Stream(chat_stream()[:2], end="reset"))
    client = chat(DASHSCOPE)
    stream = client.chat.completions.create(model="any", messages=MESSAGES, stream=True)
    with pytest.raises(openai.APIError) as raised:
        list(stream)
    assert raised.value.code == "stream_interrupted"


def test_openai_takes_a_client_of_httpx_too(mesh: Mesh) -> None:
    with httpx.Client(transport=llm_mesh_httpx.MeshTransport(mesh)) as client:
        sdk = openai.OpenAI(**options(DEMO, client))
        answer = sdk.chat.completions.create(model="any", messages=MESSAGES)
        stream = sdk.chat.completions.create(model="any", messages=MESSAGES, stream=True)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == ANSWER
    assert answer.choices[0].message.content == ANSWER


async def test_openai_completes_and_streams_asynchronously(mesh: Mesh) -> None:
    async with httpx2.AsyncClient(transport=AsyncMeshTransport(mesh)) as client:
        sdk = openai.AsyncOpenAI(**options(DEMO, client))
        answer = await sdk.chat.completions.create(model="any", messages=MESSAGES)
        assert answer.choices[0].message.content == ANSWER
        stream = await sdk.chat.completions.create(
            model="any", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
        assert chunks[-1].usage is not None
        raw = await sdk.chat.completions.with_raw_response.create(model="any", messages=MESSAGES)
        assert raw.headers["x-llm-mesh-route"] == "demo-llm-server"
    await mesh.aclose()


@pytest.fixture
def anthropic() -> Any:
    """Loaded when it is asked for: that takes longer than all tests of this folder."""
    return importlib.import_module("anthropic")


def claude(host: str, client: object) -> dict[str, Any]:
    return options(host, client) | {"base_url": f"http://{host}"}


@pytest.mark.slow
def test_anthropic_gets_a_message_of_the_model_it_asked_for(
    anthropic: Any, mesh: Mesh, providers: Providers
) -> None:
    with httpx2.Client(transport=MeshTransport(mesh)) as client:
        sdk = anthropic.Anthropic(**claude(MOONSHOT, client))
        raw = sdk.messages.with_raw_response.create(model="any", max_tokens=64, messages=MESSAGES)
    message = raw.parse()
    assert message.content[0].text == ANSWER
    assert (message.model, message.usage.output_tokens) == ("any", 6)
    assert raw.headers["x-llm-mesh-model"] == "moonshot-v1-8k"
    (request,) = providers.moonshot.requests
    assert request.path == "/v1/chat/completions"  # what the provider serves
    assert request.header("anthropic-version") is None


@pytest.mark.slow
async def test_anthropic_reads_a_stream_asynchronously(anthropic: Any, mesh: Mesh) -> None:
    async with httpx2.AsyncClient(transport=AsyncMeshTransport(mesh)) as client:
        sdk = anthropic.AsyncAnthropic(**claude(DEMO, client))
        async with sdk.messages.stream(model="any", max_tokens=64, messages=MESSAGES) as stream:
            text = "".join([piece async for piece in stream.text_stream])
            message = await stream.get_final_message()
    assert text == ANSWER
    assert (message.stop_reason, message.usage.output_tokens) == ("end_turn", 6)
    await mesh.aclose()


@pytest.mark.slow
def test_anthropic_raises_what_it_always_raises(
    anthropic: Any, mesh: Mesh, providers: Providers
) -> None:
    providers.dashscope.always(Answer(429, body=error_body("Slow down", code="limit")))
    with httpx2.Client(transport=MeshTransport(mesh)) as client:
        sdk = anthropic.Anthropic(**claude(DASHSCOPE, client))
        with pytest.raises(anthropic.RateLimitError):
            sdk.messages.create(model="any", max_tokens=64, messages=MESSAGES)


@pytest.mark.slow
def test_anthropic_raises_for_a_stream_that_breaks_off(
    anthropic: Any, mesh: Mesh, providers: Providers
) -> None:
    providers.dashscope.always(Stream(chat_stream()[:2], end="reset"))
    with httpx2.Client(transport=MeshTransport(mesh)) as client:
        sdk = anthropic.Anthropic(**claude(DASHSCOPE, client))
        stream = sdk.messages.create(model="any", max_tokens=9, messages=MESSAGES, stream=True)
        with pytest.raises(anthropic.APIStatusError, match="broke off in the middle"):
            list(stream)


@pytest.mark.slow
async def test_langchain_completes_and_streams(mesh: Mesh) -> None:
    chat_models = pytest.importorskip("langchain_openai")
    with httpx2.Client(transport=MeshTransport(mesh)) as client:
        async with httpx2.AsyncClient(transport=AsyncMeshTransport(mesh)) as async_client:
            model = chat_models.ChatOpenAI(
                model="any", http_async_client=async_client, **options(DEMO, client)
            )
            assert model.invoke("Good morning to you").content == ANSWER
            assert "".join(part.content for part in model.stream("Good morning to you")) == ANSWER
            assert (await model.ainvoke("Good morning to you")).content == ANSWER
    await mesh.aclose()


@pytest.mark.slow
async def test_an_agent_of_pydantic_ai_is_answered(mesh: Mesh) -> None:
    agents = pytest.importorskip("pydantic_ai")
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    async with httpx2.AsyncClient(transport=AsyncMeshTransport(mesh)) as client:
        given = {"base_url": f"http://{DEMO}/v1", "api_key": SDK_KEY, "http_client": client}
        agent = agents.Agent(OpenAIChatModel("any", provider=OpenAIProvider(**given)))
        result = await agent.run("Good morning to you")
    assert result.output == ANSWER
    await mesh.aclose()
