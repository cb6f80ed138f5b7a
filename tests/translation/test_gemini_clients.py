"""Requests and whole answers of clients that speak Gemini, translated: judged by Google's SDK."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
from google.genai import types

from llm_mesh_middleware._core.conversation.parts import Proof, Reasoning, Text
from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._core.values.messages import ClientRequest
from llm_mesh_middleware._core.values.payload import decode_fields
from tests.translation import gemini_clients
from tests.translation.chat_shapes import USAGE, call, completion
from tests.translation.dialect_table import DIALECTS
from tests.translation.gemini_clients import WORDS, generate
from tests.translation.worlds import World

chat = gemini_clients.chat

PNG = b64encode(b"\x89PNG").decode()


LOOK = types.FunctionDeclaration(
    name="look",
    description="Look.",
    parameters=types.Schema(
        type=types.Type.OBJECT,
        properties={"city": types.Schema(type=types.Type.STRING, nullable=True, max_length=9)},
    ),
)


TOOLS = [types.Tool(function_declarations=[LOOK])]


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


def part(text: str, signature: bytes | None = None, *, thought: bool = True) -> types.Part:
    return types.Part(text=text, thought=thought or None, thought_signature=signature)


def test_what_a_stream_has_said_is_one_turn(chat: World) -> None:
    """The SDK's history has each event as a content of its own."""
    said = [part("a", thought=False), part("b", thought=False)]
    contents: list[Any] = [
        types.UserContent("hi"),
        *(types.ModelContent([one]) for one in said),
        types.UserContent("And?"),
    ]
    assert sent(chat, contents)["messages"] == [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "ab"},
        {"role": "user", "content": "And?"},
    ]


def test_the_pieces_of_a_thought_are_one_thought() -> None:
    sealed = b64encode(b"llm-mesh.YXNpZw==").decode()  # Anthropic's
    pieces = [{"text": "h"}, {"text": "m"}, {"text": "", "thoughtSignature": sealed}, {"text": "?"}]
    said = [{"role": "model", "parts": [one | {"thought": True}]} for one in pieces]
    body = {"contents": [*said, {"role": "model", "parts": [{"text": "Hi"}]}]}
    request = ClientRequest(
        "POST", "/", Headers(()), fields=decode_fields(json.dumps(body).encode())
    )
    (turn,) = DIALECTS["gemini"].side.read_request(request).turns
    assert turn.parts == (Reasoning("hm", Proof("a", "sig")), Reasoning("?"), Text("Hi"))
