"""Google's SDK on providers that speak chat completions."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import httpx
import pytest
from google import genai
from google.genai import errors, types

from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._core.values.messages import ClientRequest
from llm_mesh_middleware._dialects import gemini
from llm_mesh_middleware.testing import FakeUpstream, Stream
from tests.rows import rows
from tests.translation.chat_shapes import DONE, USAGE, call, chunk, completion
from tests.translation.worlds import CHAT, World, events, make_world

PNG = b64encode(b"\x89PNG").decode()
WORDS = completion({"role": "assistant", "content": "Hello"}, "stop")
LOOK = types.FunctionDeclaration(
    name="look",
    description="Look.",
    parameters=types.Schema(
        type=types.Type.OBJECT,
        properties={"city": types.Schema(type=types.Type.STRING, nullable=True, max_length=9)},
    ),
)
TOOLS = [types.Tool(function_declarations=[LOOK])]


@pytest.fixture(scope="module")
def chat(kept_upstream: FakeUpstream) -> Iterator[World]:
    """One world for all, as it takes the SDK long to make a client."""
    with make_world(kept_upstream, CHAT) as made:
        yield made


@cache
def sdk(client: httpx.Client) -> genai.Client:
    options = types.HttpOptions(base_url="http://llm", httpx_client=client)
    return genai.Client(api_key="theirs", http_options=options)


def client_of(world: World) -> genai.Client:
    """Google's SDK before a world's mesh."""
    return sdk(world.httpx_client)


def generate(world: World, contents: Any = "hi", **config: Any) -> types.GenerateContentResponse:
    made = types.GenerateContentConfig(
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True), **config
    )
    return client_of(world).models.generate_content(model="m", contents=contents, config=made)


def sent(world: World, contents: Any = "hi", **config: Any) -> dict[str, Any]:
    """What the provider is asked for what the SDK is given."""
    world.answers(WORDS)
    generate(world, contents, **config)
    return world.asked()


HI = {"role": "user", "content": "hi"}
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
FORM = {"type": "json_schema", "json_schema": {"name": "output", "schema": SCHEMA}}
REQUESTS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"messages": [HI], "model": "m"}),
    (
        {"system_instruction": "Be brief"},
        {"messages": [{"role": "system", "content": "Be brief"}, HI]},
    ),
    (
        {"max_output_tokens": 5, "temperature": 0.5, "top_p": 0.9, "stop_sequences": ["a"]},
        {"max_tokens": 5, "temperature": 0.5, "top_p": 0.9, "stop": ["a"]},
    ),
    (
        {"seed": 7, "frequency_penalty": 0.5, "presence_penalty": 0.25, "candidate_count": 1},
        {"seed": 7, "frequency_penalty": 0.5, "presence_penalty": 0.25},
    ),
    ({"response_mime_type": "application/json"}, {"response_format": {"type": "json_object"}}),
    (
        {"response_mime_type": "application/json", "response_json_schema": SCHEMA},
        {"response_format": FORM},
    ),
    (
        {
            "response_mime_type": "application/json",
            "response_schema": types.Schema(
                type=types.Type.OBJECT, properties={"a": types.Schema(type=types.Type.STRING)}
            ),
        },
        {"response_format": FORM},
    ),
    (
        {"thinking_config": types.ThinkingConfig(thinking_budget=4096)},
        {"reasoning_effort": "medium"},
    ),
    (
        {"thinking_config": types.ThinkingConfig(thinking_level=types.ThinkingLevel.HIGH)},
        {"reasoning_effort": "high"},
    ),
    (
        {"tools": TOOLS},
        {
            "tools": [
                {
                    "type": "function",
                    "function": {
                        "name": "look",
                        "description": "Look.",
                        "parameters": {
                            "type": "object",
                            "properties": {"city": {"type": ["string", "null"], "maxLength": 9}},
                        },
                    },
                }
            ]
        },
    ),
    *(
        (
            {
                "tools": TOOLS,
                "tool_config": types.ToolConfig(
                    function_calling_config=types.FunctionCallingConfig(
                        mode=types.FunctionCallingConfigMode(mode), allowed_function_names=names
                    )
                ),
            },
            {"tool_choice": choice},
        )
        for mode, names, choice in (
            ("AUTO", None, "auto"),
            ("NONE", None, "none"),
            ("ANY", None, "required"),
            ("ANY", ["look"], {"type": "function", "function": {"name": "look"}}),
        )
    ),
]


@pytest.mark.parametrize(("config", "expected"), REQUESTS)
def test_a_request_is_translated(
    chat: World, config: dict[str, Any], expected: dict[str, Any]
) -> None:
    asked = sent(chat, **config)
    assert {name: asked[name] for name in expected} == expected, asked


def test_media_are_parts(chat: World) -> None:
    parts = [
        types.Part.from_text(text="What?"),
        types.Part.from_bytes(data=b"\xff\xfe\xfb", mime_type="image/png"),
        types.Part.from_uri(file_uri="https://x.example/i.png", mime_type="image/png"),
        types.Part.from_bytes(data=b"%PDF", mime_type="application/pdf"),
        types.Part.from_bytes(data=b"RIFF", mime_type="audio/wav"),
    ]
    (message,) = sent(chat, [types.Content(role="user", parts=parts)])["messages"]
    assert [part["type"] for part in message["content"]] == [
        "text",
        "image_url",
        "image_url",
        "file",
        "input_audio",
    ]
    assert message["content"][1]["image_url"]["url"] == "data:image/png;base64,//77"


def test_each_response_goes_to_its_call(chat: World) -> None:
    """By its id, or without one by the name and the order."""
    called = [
        types.Part.from_function_call(name="f", args={"x": 1}),
        types.Part.from_function_call(name="f", args={"x": 2}),
        types.Part(function_call=types.FunctionCall(id="mine", name="g", args={})),
    ]
    answered = [
        types.Part(
            function_response=types.FunctionResponse(id="mine", name="g", response={"y": 1})
        ),
        types.Part.from_function_response(name="f", response={"output": "one"}),
        types.Part.from_function_response(name="f", response={"error": "two"}),
        types.Part.from_text(text="and?"),
    ]
    asked = sent(
        chat,
        [
            types.Content(role="user", parts=[types.Part.from_text(text="hi")]),
            types.Content(role="model", parts=called),
            types.Content(role="user", parts=answered),
        ],
        tools=TOOLS,
    )
    _, said, *results, last = asked["messages"]
    assert [one["id"] for one in said["tool_calls"]] == ["call_1", "call_2", "mine"]
    assert [(one["tool_call_id"], one["content"]) for one in results] == [
        ("mine", '{"y":1}'),
        ("call_1", "one"),
        ("call_2", "[tool error] two"),
    ]
    assert last == {"role": "user", "content": "and?"}


def test_members_may_be_spelled_as_protobuf_allows(chat: World) -> None:
    chat.answers(WORDS)
    call_: Any = {"function_call": {"name": "f", "args": {"a_b": {"c_d": 1}}}}
    body = {
        "contents": [
            {"parts": [{"inline_data": {"mime_type": "image/png", "data": PNG}}]},
            {"role": "model", "parts": [call_]},
        ],
        "generation_config": {"max_output_tokens": 3, "thinking_config": {"thinking_budget": 0}},
        "system_instruction": {"parts": [{"text": "Be brief"}]},
    }
    got = chat.post("/v1beta/models/m:generateContent", body)
    assert got.status_code == 200
    asked = chat.asked()
    assert (asked["max_tokens"], asked["messages"][0]["content"]) == (3, "Be brief")
    (called,) = asked["messages"][2]["tool_calls"]
    assert json.loads(called["function"]["arguments"]) == {"a_b": {"c_d": 1}}


def test_an_answer_has_thoughts_text_and_calls(chat: World) -> None:
    message = {
        "role": "assistant",
        "content": "Lo",
        "reasoning_content": "hm",
        "tool_calls": [call("a", "look", '{"x": 1}'), call("b", "look", "")],
    }
    chat.answers(completion(message, "tool_calls", usage=USAGE))
    got = generate(chat, tools=TOOLS)
    (candidate,) = got.candidates or []
    assert candidate.finish_reason is types.FinishReason.STOP
    parts = (candidate.content and candidate.content.parts) or []
    assert [(part.text, part.thought) for part in parts[:2]] == [("hm", True), ("Lo", None)]
    made = [(one.id, one.name, one.args) for one in got.function_calls or []]
    assert made == [("a", "look", {"x": 1}), ("b", "look", {})]
    usage = got.usage_metadata
    assert usage is not None
    assert (usage.prompt_token_count, usage.cached_content_token_count) == (10, 4)
    assert (usage.candidates_token_count, usage.thoughts_token_count) == (5, 2)
    assert got.model_version


@pytest.mark.parametrize(
    ("reason", "expected"),
    [("stop", "STOP"), ("length", "MAX_TOKENS"), ("content_filter", "SAFETY")],
)
def test_every_reason_to_stop_has_its_word(chat: World, reason: str, expected: str) -> None:
    chat.answers(completion({"role": "assistant", "content": "x"}, reason))
    (candidate,) = generate(chat).candidates or []
    assert candidate.finish_reason == expected


def pieces(index: int, text: str, **more: Any) -> Any:
    function = {"arguments": text, **more.pop("function", {})}
    return chunk({"tool_calls": [{"index": index, "function": function, **more}]})


def test_a_stream_tells_interleaved_calls_whole(chat: World) -> None:
    chat.streams(
        chunk({"role": "assistant", "content": ""}),
        chunk({"reasoning_content": "hm"}),
        chunk({"content": "Lo"}),
        pieces(0, "", id="a", function={"name": "one"}),
        pieces(1, '{"y":', id="b", function={"name": "two"}),
        pieces(0, '{"x":1}'),
        pieces(1, "2}"),
        chunk({}, "tool_calls"),
        chunk(usage=USAGE),
        DONE,
    )
    got = list(client_of(chat).models.generate_content_stream(model="m", contents="hi"))
    called = [one for event in got for one in event.function_calls or []]
    assert [(one.id, one.name, one.args) for one in called] == [
        ("a", "one", {"x": 1}),
        ("b", "two", {"y": 2}),
    ]
    assert "".join(event.text or "" for event in got) == "Lo"
    reasons = [(event.candidates or [types.Candidate()])[0].finish_reason for event in got]
    assert reasons[-1] is types.FinishReason.STOP
    assert set(reasons[:-1]) == {None}
    usage = got[-1].usage_metadata
    assert usage is not None
    assert usage.prompt_token_count == 10
    assert chat.asked()["stream"] is True


def test_a_stream_without_events_is_one_array(chat: World) -> None:
    chat.answers(WORDS)
    got = chat.post("/v1beta/models/m:streamGenerateContent", {"contents": [{"parts": []}]})
    assert got.headers["content-type"] == "application/json"
    (whole,) = got.json()
    assert whole["candidates"][0]["content"]["parts"] == [{"text": "Hello"}]
    assert "stream" not in chat.asked()


def test_a_stream_that_is_cut_off_is_an_error(chat: World) -> None:
    """The SDK does not close such a response, so it is given one that is read already."""
    chat.streams(chunk({"content": "Lo"}))
    got = chat.post("/v1beta/models/m:streamGenerateContent?alt=sse", {"contents": []}).content
    replay = httpx.MockTransport(lambda _: httpx.Response(200, content=got))
    with httpx.Client(transport=replay) as http:
        stream = sdk(http).models.generate_content_stream(model="m", contents="hi")
        with pytest.raises(errors.ServerError, match="too early"):
            list(stream)


@pytest.mark.parametrize(
    ("status", "expected", "word", "kind"),
    [
        (400, 400, "INVALID_ARGUMENT", errors.ClientError),
        (401, 401, "UNAUTHENTICATED", errors.ClientError),
        (403, 403, "PERMISSION_DENIED", errors.ClientError),
        (404, 404, "NOT_FOUND", errors.ClientError),
        (429, 429, "RESOURCE_EXHAUSTED", errors.ClientError),
        (500, 500, "INTERNAL", errors.ServerError),
        (503, 503, "UNAVAILABLE", errors.ServerError),
        (529, 503, "UNAVAILABLE", errors.ServerError),
    ],
)
def test_every_error_raises_its_class(
    chat: World, status: int, expected: int, word: str, kind: type[errors.APIError]
) -> None:
    error = {"error": {"message": "their words", "type": "x", "code": "c", "param": None}}
    chat.answers(error, status, [("retry-after", "7")])
    with pytest.raises(kind, match="their words") as raised:
        generate(chat)
    assert (raised.value.code, raised.value.status) == (expected, word)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"cachedContent": "cachedContents/1"}, "cachedContent"),
    ({"tools": [{"googleSearch": {}}]}, "tools[0]"),
    ({"contents": [{"parts": [{"executableCode": {"code": "1"}}]}]}, "contents[0].parts[0]"),
    ({"contents": [{"role": "tool", "parts": []}]}, "contents[0].role"),
    ({"generationConfig": {"responseModalities": ["AUDIO"]}}, "responseModalities"),
    ({"generationConfig": {"temperature": "hot"}}, "temperature"),
    ({"generationConfig": []}, "generationConfig"),
    ({"contents": "hi"}, "contents"),
]


@pytest.mark.parametrize(("asked", "named"), REFUSED)
def test_what_cannot_be_said_is_refused_by_name(
    chat: World, asked: dict[str, Any], named: str
) -> None:
    body = {"contents": [{"parts": [{"text": "hi"}]}]} | asked
    got = chat.post("/v1beta/models/m:generateContent", body)
    error = got.json()["error"]
    assert (got.status_code, error["code"], error["status"]) == (400, 400, "INVALID_ARGUMENT")
    assert named in error["message"]


def test_what_is_dropped_is_named(chat: World) -> None:
    chat.answers(WORDS)
    body = {
        "contents": [{"parts": [{"text": "hi"}]}],
        "safetySettings": [],
        "labels": {"a": "b"},
        "tools": [{"googleSearch": {}}, {"functionDeclarations": [{"name": "f"}]}],
        "generationConfig": {"topK": 3, "speechConfig": {}},
    }
    got = chat.post("/v1beta/models/m:generateContent", body)
    assert sorted(got.headers["x-llm-mesh-dropped"].split(", ")) == [
        "generationConfig.speechConfig",
        "generationConfig.topK",
        "safetySettings",
        "tools[0]",
    ]


def test_a_count_is_estimated(chat: World) -> None:
    got = client_of(chat).models.count_tokens(model="m", contents="x" * 3600)
    assert 1000 <= (got.total_tokens or 0) <= 1100
    whole = {"generateContentRequest": {"contents": [{"parts": [{"text": "x" * 3600}]}]}}
    raw = chat.post("/v1beta/models/m:countTokens", {"contents": []} | whole)
    assert raw.headers["x-llm-mesh-estimated"] == "totalTokens"
    assert raw.json()["totalTokens"] >= 1000


def test_models_are_listed_in_googles_form(world: Callable[..., World]) -> None:
    named = world(CHAT, modelMapping={"small": "gpt-4o-mini"})
    got = [model.name for model in client_of(named).models.list()]
    assert got == ["models/small"]
    assert client_of(named).models.get(model="small").name == "models/small"


@rows(("query", "expected"), [("alt=sse", True), ("a=b&alt=sse", True), ("", False)])
def test_only_events_can_be_kept_alive_by_comments(query: str, expected: bool) -> None:
    request = ClientRequest("POST", "/", Headers(()), query=query)
    assert gemini.STREAM.wants_stream(request) is expected


def test_a_stream_is_joined_where_the_provider_only_streams(world: Callable[..., World]) -> None:
    chat = world(CHAT, stream=True)
    chat.upstream.always(
        Stream(events(chunk({"content": "Lo"}), chunk({}, "stop"), chunk(usage=USAGE), DONE))
    )
    assert generate(chat).text == "Lo"
