"""The OpenAI SDK notices no difference between a provider and the mesh before it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import ssl
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, DefaultAsyncHttpxClient, DefaultHttpxClient, OpenAI
from pydantic import BaseModel

from llm_mesh_middleware.testing import (
    Answer,
    Cut,
    FakeUpstream,
    Gate,
    RecordedRequest,
    Scripted,
    Stream,
    chat_completion,
    chat_stream,
    error_body,
    token_usage,
)
from tests.streams.conftest import Site
from tests.streams.serving import PLAIN

MESSAGES: Any = [{"role": "user", "content": "Good morning"}]
ASKED: Any = {"model": "m-1", "messages": MESSAGES}
COUNTS = token_usage(7, 2)
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


RAW = Answer(headers=[("x-request-id", "r-1"), ("x-odd", "a")], body=chat_completion("Hello"))


async def _raw_response(client: AsyncOpenAI) -> Any:
    raw = await client.chat.completions.with_raw_response.create(**ASKED)
    shown = {name: raw.headers.get(name) for name in ("x-request-id", "x-odd", "content-type")}
    return raw.status_code, raw.request_id, shown, raw.text, raw.parse().to_dict()


@use(RAW, _raw_response)
def raw_response(client: OpenAI) -> Any:
    raw = client.chat.completions.with_raw_response.create(**ASKED)
    shown = {name: raw.headers.get(name) for name in ("x-request-id", "x-odd", "content-type")}
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


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("name", USES)
def test_a_use_of_the_sdk_brings_the_same_through_the_mesh(
    site: Site, upstream: FakeUpstream, name: str, kind: str
) -> None:
    answer, sync, twin = USES[name]
    found, asked = [], []
    for port in (upstream.port, site.port()):
        upstream.clear()
        upstream.always(answer)
        found.append(done(sync, port) if kind == "sync" else adone(twin, port))
        asked.append(bodies(upstream))
    assert numberless(found[1]) == numberless(found[0])
    assert asked[1] == asked[0]


# What goes wrong must go wrong in the same way.

# Longer than the mesh waits, so that its first answer is its last word too.
LIMITED = [("retry-after", "60"), ("x-ratelimit-remaining-requests", "0"), ("x-request-id", "r-9")]
REFUSED = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    409: openai.ConflictError,
    422: openai.UnprocessableEntityError,
    429: openai.RateLimitError,
    500: openai.InternalServerError,
    503: openai.InternalServerError,
    504: openai.InternalServerError,
}


def failure(port: int, stream: bool) -> openai.APIError:
    """What the SDK raises."""
    with OpenAI(**options(port), http_client=DefaultHttpxClient(verify=NO_TLS)) as client:
        try:
            answer = client.chat.completions.create(**ASKED, stream=stream)
            for chunk in answer if stream else ():
                assert chunk.choices is not None
        except openai.APIError as error:
            return error
    pytest.fail("the SDK raises nothing")


def shown(error: openai.APIError) -> dict[str, Any]:
    found = {name: getattr(error, name) for name in ("message", "code", "type", "param", "body")}
    if isinstance(error, openai.APIStatusError):
        names = [name for name, _ in LIMITED] + ["content-type"]
        found["status"] = error.status_code
        found["headers"] = {name: error.response.headers.get(name) for name in names}
        found["request_id"] = error.request_id
    return found


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", REFUSED)
def test_a_refusal_is_the_same_exception_through_the_mesh(
    site: Site, upstream: FakeUpstream, status: int, stream: bool
) -> None:
    body = error_body("Not like this.", code="some_code", param="model")
    upstream.always(Answer(status, LIMITED, body))
    errors = [failure(port, stream) for port in (upstream.port, site.port())]
    assert [type(error) for error in errors] == [REFUSED[status]] * 2
    assert shown(errors[1]) == shown(errors[0])


def test_an_error_event_is_the_same_exception_through_the_mesh(
    site: Site, upstream: FakeUpstream
) -> None:
    told = json.dumps(error_body("Overloaded.", type="server_error", code="busy")).encode()
    upstream.always(Stream([*chat_stream(["a"])[:2], b"data: " + told + b"\n\n"]))
    errors = [failure(port, stream=True) for port in (upstream.port, site.port())]
    assert [type(error) for error in errors] == [openai.APIError] * 2
    assert shown(errors[1]) == shown(errors[0])


@pytest.mark.parametrize("end", ["done", "reset", "fin", "bad_chunk", "stall"])
def test_a_stream_that_is_cut_short_is_an_exception(
    site: Site, upstream: FakeUpstream, end: Any
) -> None:
    upstream.always(Stream([*chat_stream(["a"])[:2], 0.02], end=end))
    error = failure(site.port(idle_timeout=0.1), stream=True)
    assert type(error) is openai.APIError
    assert error.code == "stream_interrupted"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("answer", [Cut(how="stall"), Stream([Gate()])])
def test_a_provider_that_says_nothing_is_what_its_status_says(
    site: Site, upstream: FakeUpstream, answer: Scripted, stream: bool
) -> None:
    upstream.always(answer)
    error = failure(site.port(first_byte_timeout=0.1), stream)
    assert isinstance(error, openai.InternalServerError)
    assert (error.status_code, error.code) == (504, "upstream_timeout")


@pytest.mark.parametrize("stream", [False, True])
def test_a_provider_that_is_not_there_is_what_its_status_says(
    site: Site, upstream: FakeUpstream, stream: bool
) -> None:
    upstream.always(Cut())
    error = failure(site.port(), stream)
    assert isinstance(error, openai.InternalServerError)
    assert (error.status_code, error.code) == (502, "upstream_connect_error")


# The same from Node.

NODE_CLIENT = Path(__file__).with_name("node_client.mjs")
NO_NODE = os.environ.get("LLM_MESH_TEST_NODE") != "1" or shutil.which("npm") is None


@pytest.fixture(scope="module")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the client and the SDK it imports."""
    folder = tmp_path_factory.mktemp("node")
    shutil.copy(NODE_CLIENT, folder)
    install = ["npm", "install", "--no-audit", "--no-fund", "--silent", "openai@6"]
    subprocess.run(install, cwd=folder, check=True, timeout=120)
    return folder


CUT_SHORT = [*chat_stream(["a"])[:2], 0.02]
NODE_USES: dict[str, Scripted] = {
    "whole": Answer(body=chat_completion("Hello", usage=COUNTS)),
    "stream": streamed,
    "stream_with_counts": streamed,
    "tools": called,
    "refused": Answer(400, LIMITED, error_body("No.", code="x")),
    "limited": Answer(429, LIMITED, error_body("Slow down.", code="x")),
    "error_event": Stream([*CUT_SHORT, b'data: {"error":{"message":"m","code":"busy"}}\n\n']),
}


def without_null_counts(members: dict[str, Any]) -> dict[str, Any]:
    """Asked for counts, a provider writes `"usage": null` into every event before them."""
    return {k: v for k, v in members.items() if (k, v) != ("usage", None)}


def node(folder: Path, use: str, port: int) -> Any:
    """What the client prints; its Host is the address, which Node does not let it change."""
    command = ["node", NODE_CLIENT.name, use, f"http://127.0.0.1:{port}/v1"]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=20)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout, object_hook=without_null_counts)


@pytest.mark.skipif(NO_NODE, reason="wants LLM_MESH_TEST_NODE=1 and npm: it installs a package")
@pytest.mark.parametrize("name", NODE_USES)
def test_the_sdk_for_node_brings_the_same_through_the_mesh(
    site: Site, upstream: FakeUpstream, node_modules: Path, name: str
) -> None:
    found = []
    for port in (upstream.port, site.port()):
        upstream.clear()
        upstream.always(NODE_USES[name])
        found.append((node(node_modules, name, port), bodies(upstream)))
    assert found[1] == found[0]
    assert found[1][1]


@pytest.mark.skipif(NO_NODE, reason="wants LLM_MESH_TEST_NODE=1 and npm: it installs a package")
@pytest.mark.parametrize("end", ["done", "reset", "stall"])
def test_a_stream_that_is_cut_short_is_an_exception_in_node(
    site: Site, upstream: FakeUpstream, node_modules: Path, end: Any
) -> None:
    upstream.always(Stream(CUT_SHORT, end=end))
    found = node(node_modules, "stream", site.port(idle_timeout=0.1))
    assert found["error"]["code"] == "stream_interrupted"
