"""The official SDK, unmodified, as a client of the mesh on a real socket."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import openai
import pytest

from llm_mesh_middleware.testing import Answer, Stream, chat_stream, error_body
from tests.canaries import canary
from tests.conftest import (
    DASHSCOPE,
    DASHSCOPE_KEY,
    DEMO,
    MOONSHOT,
    MOONSHOT_KEY,
    SERVERS,
    Providers,
)

MeshOn = Callable[..., int]

MESSAGES = [{"role": "user", "content": "Good morning to you"}]
ANSWER = "You said: Good morning to you"
SDK_KEY = canary("sdk")


@pytest.fixture
def server() -> str:
    """One server does, but for the tests that name more."""
    return "uvicorn-httptools"


@pytest.fixture
def options(mesh_on: MeshOn, server: str) -> dict[str, object]:
    """What a user writes to send the SDK to the mesh."""
    return {
        "base_url": f"http://127.0.0.1:{mesh_on(server)}/v1",
        "default_headers": {"Host": DEMO},
        "api_key": SDK_KEY,
        "max_retries": 0,
    }


def assert_only_our_keys(providers: Providers) -> None:
    for upstream, key in (
        (providers.dashscope, DASHSCOPE_KEY),
        (providers.moonshot, MOONSHOT_KEY),
    ):
        for request in upstream.requests:
            assert request.header("authorization") == f"Bearer {key}"
            assert SDK_KEY not in repr(request.headers)


@pytest.mark.parametrize("server", SERVERS)
def test_a_chat_is_completed(options: dict[str, object], providers: Providers) -> None:
    with openai.OpenAI(**options) as client:
        for _ in range(8):  # both providers have their turn
            answer = client.chat.completions.create(model="any", messages=MESSAGES)
            assert answer.choices[0].message.content == ANSWER
            assert answer.usage is not None
            assert answer.model in ("qwen1.5-72b-chat", "moonshot-v1-8k")

    assert len(providers.requests) == 8
    assert_only_our_keys(providers)


async def test_a_chat_is_completed_asynchronously(
    options: dict[str, object], providers: Providers
) -> None:
    async with openai.AsyncOpenAI(**options) as client:
        answer = await client.chat.completions.create(model="any", messages=MESSAGES)

    assert answer.choices[0].message.content == ANSWER
    assert len(providers.requests) == 1
    assert_only_our_keys(providers)


@pytest.mark.parametrize("server", SERVERS)
def test_a_stream_is_read_to_its_end(options: dict[str, object], providers: Providers) -> None:
    with (
        openai.OpenAI(**options) as client,
        client.chat.completions.create(
            model="any",
            messages=MESSAGES,
            stream=True,
            extra_headers={"Host": DASHSCOPE},
        ) as stream,
    ):
        chunks = list(stream)

    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == ANSWER
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert len(providers.dashscope.requests) == 1


async def test_a_stream_is_read_asynchronously_with_its_token_counts(
    options: dict[str, object], providers: Providers
) -> None:
    async with openai.AsyncOpenAI(**options) as client:
        stream = await client.chat.completions.create(
            model="any",
            messages=MESSAGES,
            stream=True,
            stream_options={"include_usage": True},
            extra_headers={"Host": DASHSCOPE},
        )
        chunks = [chunk async for chunk in stream]

    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 10
    assert chunks[-1].choices == []


def test_embeddings_go_to_the_same_base_with_their_own_model(
    options: dict[str, object], providers: Providers
) -> None:
    with openai.OpenAI(**options) as client:
        answer = client.embeddings.create(
            model="text-embedding-v3", input=["a", "b"], extra_headers={"Host": DASHSCOPE}
        )

    assert [item.index for item in answer.data] == [0, 1]
    [request] = providers.dashscope.requests
    assert request.target == "/compatible-mode/v1/embeddings"
    assert request.json()["model"] == "text-embedding-v3"
    assert_only_our_keys(providers)


def test_models_are_listed(options: dict[str, object], providers: Providers) -> None:
    with openai.OpenAI(**options) as client:
        models = client.models.list(extra_headers={"Host": DASHSCOPE})

        model = client.models.retrieve("qwen1.5-72b-chat", extra_headers={"Host": DASHSCOPE})
        with pytest.raises(openai.NotFoundError) as caught:
            client.models.retrieve("gpt-4o", extra_headers={"Host": DASHSCOPE})

    assert [model.id for model in models] == [model.id] == ["qwen1.5-72b-chat"]
    assert caught.value.code == "model_not_found"
    assert not providers.requests


def test_an_error_of_the_mesh_is_the_sdks_own_exception(
    options: dict[str, object], providers: Providers
) -> None:
    with openai.OpenAI(**options) as client, pytest.raises(openai.NotFoundError) as raised:
        client.files.list(extra_headers={"Host": DASHSCOPE})
    assert raised.value.code == "unsupported_operation"
    assert not providers.requests


def test_an_error_of_the_provider_is_the_sdks_own_exception(
    options: dict[str, object], providers: Providers
) -> None:
    providers.dashscope.always(Answer(422, body=error_body("No such thing", code="odd")))
    with (
        openai.OpenAI(**options) as client,
        pytest.raises(openai.UnprocessableEntityError) as raised,
    ):
        client.chat.completions.create(
            model="any", messages=MESSAGES, extra_headers={"Host": DASHSCOPE}
        )
    assert raised.value.code == "odd"


def test_a_stream_that_breaks_off_raises_in_the_sdk(
    options: dict[str, object], providers: Providers
) -> None:
    providers.dashscope.always(Stream(chat_stream()[:2], end="reset"))
    with openai.OpenAI(**options) as client:
        stream = client.chat.completions.create(
            model="any",
            messages=MESSAGES,
            stream=True,
            extra_headers={"Host": DASHSCOPE},
        )
        with pytest.raises(openai.APIError) as raised:
            list(stream)
    assert raised.value.code == "stream_interrupted"


@pytest.fixture
def proxied(mesh_on: MeshOn, server: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """The other way: an ordinary URL, and the mesh as the process's proxy."""
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{mesh_on(server)}")
    return {"base_url": f"http://{DEMO}/v1", "api_key": SDK_KEY, "max_retries": 0}


@pytest.mark.parametrize("server", SERVERS)
def test_the_sdk_finds_the_mesh_by_the_proxy_variable(
    proxied: dict[str, object], providers: Providers
) -> None:
    with openai.OpenAI(**proxied) as client:
        answer = client.chat.completions.create(model="any", messages=MESSAGES)

    assert answer.choices[0].message.content == ANSWER
    assert len(providers.requests) == 1
    assert_only_our_keys(providers)


async def test_the_asynchronous_sdk_finds_the_mesh_by_the_proxy_variable(
    proxied: dict[str, object], providers: Providers
) -> None:
    async with openai.AsyncOpenAI(**proxied) as client:
        stream = await client.chat.completions.create(
            model="any",
            messages=MESSAGES,
            stream=True,
        )
        chunks = [chunk async for chunk in stream]

    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == ANSWER
    assert len(providers.requests) == 1


def test_a_plain_client_finds_a_providers_own_name_by_the_proxy_variable(
    proxied: dict[str, object], providers: Providers
) -> None:
    with httpx.Client() as client:
        answer = client.post(f"http://{MOONSHOT}/", json={"messages": MESSAGES})

    assert answer.json()["model"] == "moonshot-v1-8k"
    assert [request.header("host") for request in providers.moonshot.requests] == [MOONSHOT]
