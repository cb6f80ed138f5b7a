"""What clients do with the OpenAI SDK, and what the provider answers to it."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import openai
from openai import AsyncOpenAI, DefaultAsyncHttpxClient, DefaultHttpxClient, OpenAI
from pydantic import BaseModel

from llm_mesh_middleware.testing import (
    Answer,
    FakeUpstream,
    RecordedRequest,
    Scripted,
    Stream,
    chat_completion,
    chat_stream,
    token_usage,
)
from tests.streams.serving import PLAIN

MESSAGES: Any = [{"role": "user", "content": "Good morning"}]
ASKED: Any = {"model": "m-1", "messages": MESSAGES}
COUNTS = token_usage(7, 2)
# Longer than the mesh waits, so that its first answer is its last word too.
LIMITED = [("retry-after", "60"), ("x-ratelimit-remaining-requests", "0"), ("x-request-id", "r-9")]
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # to load the system's authorities takes 50 ms


class City(BaseModel):
    name: str
    people: int


TOOLS: Any = [openai.pydantic_function_tool(City)]
TOOLS[0]["function"]["parameters"]["additionalProperties"] = False


def call_delta(**call: object) -> bytes:
    choice = {"index": 0, "delta": {"tool_calls": [{"index": 0, **call}]}, "finish_reason": None}
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return b"data: " + json.dumps(chunk | {"choices": [choice]}).encode() + b"\n\n"


PARSED = '{"name":"Hangzhou","people":12}'


def asks_counts(request: RecordedRequest) -> bool:
    return bool((request.json().get("stream_options") or {}).get("include_usage"))


def streamed(request: RecordedRequest) -> Stream:
    """Counts where they are asked for, as a provider does it."""
    return Stream(chat_stream(["Hel", "lo"], usage=COUNTS, include_usage=asks_counts(request)))


def called(request: RecordedRequest) -> Stream:
    """A tool call in parts."""
    head, *end = chat_stream(
        [], finish_reason="tool_calls", usage=COUNTS, include_usage=asks_counts(request)
    )
    return Stream(
        [
            head,
            call_delta(id="call_1", type="function", function={"name": "City", "arguments": ""}),
            call_delta(function={"arguments": PARSED[:14]}),
            call_delta(function={"arguments": PARSED[14:]}),
            *end,
        ]
    )


# What a client does, in both kinds of client, and what the provider answers to it.

Sync = Callable[[OpenAI], Any]
Async = Callable[[AsyncOpenAI], Awaitable[Any]]
USES: dict[str, tuple[Scripted | None, Sync, Async]] = {}


def use(answer: Scripted | None, twin: Async) -> Callable[[Sync], Sync]:
    """Add a use of the SDK to the table; `twin` is the same with the asynchronous client."""

    def add(sync: Sync) -> Sync:
        USES[sync.__name__] = answer, sync, twin
        return sync

    return add


async def _whole(client: AsyncOpenAI) -> Any:
    return (await client.chat.completions.create(**ASKED)).to_dict()


@use(Answer(body=chat_completion("Hello", usage=COUNTS)), _whole)
def whole(client: OpenAI) -> Any:
    return client.chat.completions.create(**ASKED).to_dict()


async def _stream(client: AsyncOpenAI) -> Any:
    stream = await client.chat.completions.create(**ASKED, stream=True)
    return [chunk.to_dict() async for chunk in stream]


@use(Stream(chat_stream(["Hel", "lo"])), _stream)
def stream(client: OpenAI) -> Any:
    return [chunk.to_dict() for chunk in client.chat.completions.create(**ASKED, stream=True)]


async def _stream_with_counts(client: AsyncOpenAI) -> Any:
    options = {"include_usage": True}
    stream = await client.chat.completions.create(**ASKED, stream=True, stream_options=options)
    return [chunk.to_dict() async for chunk in stream]


@use(streamed, _stream_with_counts)
def stream_with_counts(client: OpenAI) -> Any:
    options = {"include_usage": True}
    stream = client.chat.completions.create(**ASKED, stream=True, stream_options=options)
    return [chunk.to_dict() for chunk in stream]


async def _tools(client: AsyncOpenAI) -> Any:
    async with client.chat.completions.stream(**ASKED, tools=TOOLS) as stream:
        events = [event.type async for event in stream]
        return events, repr(await stream.get_final_completion())


@use(called, _tools)
def tools(client: OpenAI) -> Any:
    with client.chat.completions.stream(**ASKED, tools=TOOLS) as stream:
        events = [event.type for event in stream]
        return events, repr(stream.get_final_completion())


async def _parse(client: AsyncOpenAI) -> Any:
    completion = await client.chat.completions.parse(**ASKED, response_format=City)
    return completion.choices[0].message.parsed, repr(completion)


@use(Answer(body=chat_completion(PARSED, usage=COUNTS)), _parse)
def parse(client: OpenAI) -> Any:
    completion = client.chat.completions.parse(**ASKED, response_format=City)
    return completion.choices[0].message.parsed, repr(completion)


async def _parse_stream(client: AsyncOpenAI) -> Any:
    async with client.chat.completions.stream(**ASKED, response_format=City) as stream:
        events = [event.type async for event in stream]
        return events, (await stream.get_final_completion()).choices[0].message.parsed


@use(Stream(chat_stream([PARSED[:9], PARSED[9:]])), _parse_stream)
def parse_stream(client: OpenAI) -> Any:
    with client.chat.completions.stream(**ASKED, response_format=City) as stream:
        events = [event.type for event in stream]
        return events, stream.get_final_completion().choices[0].message.parsed


RAW = Answer(headers=[("x-request-id", "r-1"), ("retry-after", "a")], body=chat_completion("Hello"))


async def _raw_response(client: AsyncOpenAI) -> Any:
    raw = await client.chat.completions.with_raw_response.create(**ASKED)
    shown = {
        name: raw.headers.get(name) for name in ("x-request-id", "retry-after", "content-type")
    }
    return raw.status_code, raw.request_id, shown, raw.text, raw.parse().to_dict()


@use(RAW, _raw_response)
def raw_response(client: OpenAI) -> Any:
    raw = client.chat.completions.with_raw_response.create(**ASKED)
    shown = {
        name: raw.headers.get(name) for name in ("x-request-id", "retry-after", "content-type")
    }
    return raw.status_code, raw.request_id, shown, raw.text, raw.parse().to_dict()


async def _streaming_response(client: AsyncOpenAI) -> Any:
    create = client.chat.completions.with_streaming_response.create
    async with create(**ASKED, stream=True) as response:
        return response.status_code, [line async for line in response.iter_lines()]


@use(Stream([b": hi\n\n", *chat_stream(["Hel", "lo"])]), _streaming_response)
def streaming_response(client: OpenAI) -> Any:
    create = client.chat.completions.with_streaming_response.create
    with create(**ASKED, stream=True) as response:
        return response.status_code, list(response.iter_lines())


async def _text(client: AsyncOpenAI) -> Any:
    whole = await client.completions.create(model="m-1", prompt="Hi there")
    stream = await client.completions.create(model="m-1", prompt="Hi there", stream=True)
    return whole.to_dict(), [chunk.to_dict() async for chunk in stream]


@use(None, _text)
def text(client: OpenAI) -> Any:
    whole = client.completions.create(model="m-1", prompt="Hi there")
    stream = client.completions.create(model="m-1", prompt="Hi there", stream=True)
    return whole.to_dict(), [chunk.to_dict() for chunk in stream]


async def _responses(client: AsyncOpenAI) -> Any:
    whole = await client.responses.create(model="m-1", input="Hi there")
    stream = await client.responses.create(model="m-1", input="Hi there", stream=True)
    return whole.to_dict(), [event.to_dict() async for event in stream]


@use(None, _responses)
def responses(client: OpenAI) -> Any:
    whole = client.responses.create(model="m-1", input="Hi there")
    stream = client.responses.create(model="m-1", input="Hi there", stream=True)
    return whole.to_dict(), [event.to_dict() for event in stream]


async def _embeddings(client: AsyncOpenAI) -> Any:
    return (await client.embeddings.create(model="e-1", input=["Hi", "there"])).to_dict()


@use(None, _embeddings)
def embeddings(client: OpenAI) -> Any:
    return client.embeddings.create(model="e-1", input=["Hi", "there"]).to_dict()


async def _models(client: AsyncOpenAI) -> Any:
    return [model.to_dict() async for model in client.models.list()]


@use(None, _models)
def models(client: OpenAI) -> Any:
    return [model.to_dict() for model in client.models.list()]


def options(port: int) -> dict[str, Any]:
    return {
        "base_url": f"http://127.0.0.1:{port}/v1",
        "api_key": "not-for-providers",
        "default_headers": {"Host": PLAIN},
        "max_retries": 0,
        "timeout": 5.0,
    }


def done(use: Sync, port: int) -> Any:
    with OpenAI(**options(port), http_client=DefaultHttpxClient(verify=NO_TLS)) as client:
        return use(client)


def adone(use: Async, port: int) -> Any:
    async def run() -> Any:
        http_client = DefaultAsyncHttpxClient(verify=NO_TLS)
        async with AsyncOpenAI(**options(port), http_client=http_client) as client:
            return await use(client)

    return asyncio.run(run())


def numberless(value: Any) -> Any:
    """Without the numbers that the fake provider gives its answers."""
    return re.sub(r"(?<=(cmpl|resp)[-_])\d+|(?<=msg_)\d+", "N", repr(value))


def bodies(upstream: FakeUpstream) -> list[Any]:
    """What the provider was asked, without what the mesh asks on its own account."""
    asked = [json.loads(request.body or b"null") for request in upstream.requests]
    for body in asked:
        if body is not None:
            body.pop("stream_options", None)
    return asked
