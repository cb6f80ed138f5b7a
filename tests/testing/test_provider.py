"""Unscripted, the upstream is a small provider that the official SDK is content with."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator

import httpx2
import openai
import pytest
from openai.types.chat import ChatCompletionUserMessageParam

from llm_mesh_middleware.testing import CertificateAuthority, FakeUpstream
from tests.canaries import canary
from tests.testing.clients import CHAT, QUESTION

KEY = canary("the fake upstream")
MESSAGES: list[ChatCompletionUserMessageParam] = [
    {"role": "user", "content": "Good morning to you"}
]


@pytest.fixture(scope="module")
def provider(ca: CertificateAuthority) -> Iterator[FakeUpstream]:
    with FakeUpstream(ca=ca, api_key=KEY, models=("m-1", "m-2")) as upstream:
        yield upstream


@pytest.fixture
def sdk(provider: FakeUpstream) -> Iterator[openai.OpenAI]:
    provider.clear()
    http_client = httpx2.Client(verify=provider.ca.client_context(), trust_env=False)
    with openai.OpenAI(
        api_key=KEY, base_url=f"{provider.url}/v1", max_retries=0, http_client=http_client
    ) as client:
        yield client


def call(provider: FakeUpstream, method: str, path: str, body: object = None) -> tuple[int, object]:
    connection = http.client.HTTPSConnection(
        "127.0.0.1", provider.port, context=provider.ca.client_context(), timeout=2
    )
    try:
        data = body if isinstance(body, bytes) else json.dumps(body)
        connection.request(method, path, data, {"authorization": f"Bearer {KEY}"})
        response = connection.getresponse()
        return response.status, json.load(response)
    finally:
        connection.close()


def test_half_of_a_surrogate_pair_is_echoed_too(provider: FakeUpstream) -> None:
    body = {"model": "m-1", "messages": [{"role": "user", "content": "cut \ud83d"}]}
    status, answer = call(provider, "POST", "/v1/chat/completions", body)
    assert status == 200
    assert answer["choices"][0]["message"]["content"] == "You said: cut \ud83d"  # type: ignore[index]


def test_chat_echoes_the_last_message_and_counts_words(sdk: openai.OpenAI) -> None:
    answer = sdk.chat.completions.create(model="m-1", messages=MESSAGES)

    assert answer.choices[0].message.content == "You said: Good morning to you"
    assert (answer.model, answer.choices[0].finish_reason) == ("m-1", "stop")
    assert answer.usage is not None
    usage = answer.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (4, 6, 10)


def test_a_chat_stream_comes_word_by_word_without_usage(sdk: openai.OpenAI) -> None:
    chunks = list(sdk.chat.completions.create(model="m-1", messages=MESSAGES, stream=True))

    deltas = [chunk.choices[0].delta.content for chunk in chunks]
    assert deltas == ["", "You", " said:", " Good", " morning", " to", " you", None]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(chunk.usage is None for chunk in chunks)


def test_a_chat_stream_ends_with_usage_when_asked(sdk: openai.OpenAI) -> None:
    chunks = list(
        sdk.chat.completions.create(
            model="m-1", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        )
    )

    assert [len(chunk.choices) for chunk in chunks] == [1] * 8 + [0]
    assert [chunk.usage is None for chunk in chunks] == [True] * 8 + [False]
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 10


@pytest.mark.parametrize("stream", [False, True])
def test_completions_echo_the_prompt(sdk: openai.OpenAI, stream: bool) -> None:
    if stream:
        parts = sdk.completions.create(model="m-1", prompt="Good night", stream=True)
        text = "".join(part.choices[0].text for part in parts)
    else:
        text = sdk.completions.create(model="m-1", prompt="Good night").choices[0].text

    assert text == "You said: Good night"


def test_responses_echo_the_input(sdk: openai.OpenAI) -> None:
    answer = sdk.responses.create(model="m-1", input="Good night")

    assert answer.output_text == "You said: Good night"
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (2, 4)


def test_responses_stream_until_completed(sdk: openai.OpenAI) -> None:
    events = list(sdk.responses.create(model="m-1", input="Good night", stream=True))

    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == "You said: Good night"
    last = events[-1]
    assert last.type == "response.completed"
    assert last.response.output_text == text


def test_embeddings_are_the_same_for_the_same_text_in_both_encodings(sdk: openai.OpenAI) -> None:
    texts = ["one two", "three", "one two"]
    packed = sdk.embeddings.create(model="m-1", input=texts)  # the SDK asks for base64
    plain = sdk.embeddings.create(model="m-1", input=texts, encoding_format="float")

    vectors = [one.embedding for one in plain.data]
    assert vectors == [one.embedding for one in packed.data]
    assert vectors[0] == vectors[2] != vectors[1]
    assert (len(vectors[0]), plain.usage.total_tokens) == (8, 5)


def test_embeddings_have_the_dimensions_asked_for(sdk: openai.OpenAI) -> None:
    answer = sdk.embeddings.create(model="m-1", input=[[7, 8, 9]], dimensions=40)

    assert [len(one.embedding) for one in answer.data] == [40]
    assert answer.usage.prompt_tokens == 3


def test_models_are_listed(sdk: openai.OpenAI) -> None:
    assert [model.id for model in sdk.models.list()] == ["m-1", "m-2"]


def test_another_key_is_refused_and_not_repeated(provider: FakeUpstream) -> None:
    http_client = httpx2.Client(verify=provider.ca.client_context(), trust_env=False)
    with (
        openai.OpenAI(
            api_key=canary("other"), base_url=provider.url, max_retries=0, http_client=http_client
        ) as client,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        client.models.list()

    assert caught.value.code == "invalid_api_key"
    assert canary("other") not in caught.value.message


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", CHAT, None, 404),
        ("POST", "/v1/nothing", QUESTION, 404),
        ("POST", CHAT, b"{", 400),
        ("POST", CHAT, b"\xff", 400),
        ("POST", CHAT, [], 400),
        ("POST", CHAT, {"messages": MESSAGES}, 400),
        ("POST", CHAT, {"model": "m-1", "messages": []}, 400),
        ("POST", "/v1/embeddings", {"model": "m-1", "input": []}, 400),
        ("POST", "/compatible-mode/v1/chat/completions?x=1", QUESTION, 200),
    ],
)
def test_what_a_provider_would_refuse_is_refused_with_an_error_object(
    provider: FakeUpstream, method: str, path: str, body: object, status: int
) -> None:
    answered, answer = call(provider, method, path, body)

    assert answered == status
    assert isinstance(answer, dict)
    if status != 200:
        assert set(answer["error"]) == {"message", "type", "param", "code"}


def test_parts_of_a_message_are_read_as_text(provider: FakeUpstream) -> None:
    parts = [
        {"type": "text", "text": "Good"},
        {"type": "image_url"},
        {"type": "text", "text": "day"},
    ]
    body = {"model": "m-1", "messages": [{"role": "user", "content": parts}]}

    _, answer = call(provider, "POST", CHAT, body)

    assert isinstance(answer, dict)
    assert answer["choices"][0]["message"]["content"].split() == ["You", "said:", "Good", "day"]
