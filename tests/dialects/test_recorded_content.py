"""What records of content are told of requests and responses, dialect by dialect."""

from __future__ import annotations

import json

from llm_mesh_middleware._core.conversation.content import CalledTool, Message, Part, RequestContent
from llm_mesh_middleware._core.values.payload import decode_fields
from llm_mesh_middleware._dialects import anthropic, gemini, openai_chat, openai_responses
from tests.rows import rows

DIALECTS = {each.DIALECT.name: each.DIALECT for each in (anthropic, gemini, openai_chat)}
DIALECTS[openai_responses.DIALECT.name] = openai_responses.DIALECT
HI, KIND = Part("text", "Hi"), Part("text", "Be kind")
USER = [Message("user", (HI,))]
TOOL = {"name": "find"}


@rows(
    ("dialect", "request", "asked"),
    [
        ("openai.chat", {"messages": [{"role": "user", "content": "Hi"}]}, RequestContent(USER)),
        (
            "openai.chat",
            {
                "messages": [
                    {"content": [{"type": "image_url", "image_url": {"url": "data:"}}, "Hi"]},
                    {"tool_calls": [{"id": "1", "function": {"name": "find", "arguments": "{}"}}]},
                    {"content": "Hi", "images": [{"image_url": {"url": "data:"}}]},
                    7,
                ],
                "tools": [TOOL, 7],
            },
            RequestContent(
                [
                    Message("assistant", (Part("image_url"), HI)),
                    Message("assistant", (CalledTool("1", "find", "{}"),)),
                    Message("assistant", (HI, Part("image_url"))),
                ],
                tools=[TOOL],
            ),
        ),
        ("openai.chat", {"prompt": ["Hi"]}, RequestContent(USER)),
        ("openai.chat", {"messages": None}, RequestContent([])),
        ("openai.chat", {}, RequestContent()),
        (
            "openai.responses",
            {
                "input": [{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}],
                "instructions": "Be kind",
            },
            RequestContent(USER, [KIND]),
        ),
        ("openai.responses", {"prompt": {"id": "kept"}, "input": "Hi"}, RequestContent(USER)),
        ("openai.responses", {"prompt": {"id": "kept"}}, RequestContent()),
        (
            "anthropic.messages",
            {
                "system": [{"type": "text", "text": "Be kind"}],
                "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
                "tools": [TOOL],
            },
            RequestContent(USER, [KIND], [TOOL]),
        ),
        ("anthropic.messages", {"messages": "x"}, RequestContent([])),
        (
            "gcp.gemini",
            {
                "systemInstruction": {"parts": [{"text": "Be kind"}]},
                "contents": [
                    {"parts": [{"text": "Hi"}]},
                    {"role": "model", "parts": [{"functionCall": {"name": "find", "args": {}}}]},
                    {"role": "user", "parts": [{"inlineData": {"data": "aa"}}, 7]},
                ],
            },
            RequestContent(
                [
                    *USER,
                    Message("assistant", (CalledTool(None, "find", "{}"),)),
                    Message("user", (Part("inlineData"),)),
                ],
                [KIND],
            ),
        ),
        ("gcp.gemini", {"contents": 7, "systemInstruction": 7}, RequestContent([])),
    ],
)
def test_what_a_request_says_is_found(
    dialect: str, request: dict[str, object], asked: RequestContent
) -> None:
    fields = decode_fields(json.dumps(request).encode())

    assert DIALECTS[dialect].read_request_content(fields) == asked


@rows(
    ("body", "messages"),
    [
        (
            {"candidates": [{"content": {"role": "model", "parts": [{"text": "Hi"}]}}, {}]},
            [Message("assistant", (HI,)), Message("assistant", ())],
        ),
        ({"candidates": 7}, []),
    ],
)
def test_what_candidates_say_is_found(body: object, messages: list[Message]) -> None:
    assert gemini.DIALECT.read_messages(json.dumps(body).encode()) == messages
