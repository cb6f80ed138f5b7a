"""Odd requests that clients send, and what providers are sent for some of them."""

from __future__ import annotations

from typing import Any

__all__ = ["ASKED", "SENT"]

PNG = "iVBORw0KGgo="
URL = f"data:image/png;base64,{PNG}"
LONG = "call|ä:1/" + "x" * 80
SCHEMA = {"type": "object", "properties": {}}


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def system(content: Any) -> dict[str, Any]:
    return {"role": "system", "content": content}


def said(content: Any, *calls: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content} | ({"tool_calls": calls} if calls else {})


def call(id: str, arguments: str = "{}") -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": "one", "arguments": arguments}}


def told(id: str, content: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": id, "content": content}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


FUNCTION = {"type": "function", "function": {"name": "one", "description": ""}}
CUSTOM = {"type": "custom", "custom": {"name": "c", "description": "d"}}
CALLED = {"id": "a", "type": "custom", "custom": {"name": "c", "input": "free"}}
PDF = {"filename": "a_b/ü.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}
DRAWN = {"type": "image_url", "image_url": {"url": URL}}
CHAT: dict[str, dict[str, Any]] = {
    "instructions everywhere": {
        "messages": [system("a"), user("x"), said("y"), system("b"), user("z"), system("c")]
    },
    "instructions alone": {"messages": [system("a")]},
    "the assistant begins": {"messages": [said("hi"), user("x")]},
    "neighbours of one role": {"messages": [user("a"), user([text("b")]), said("c"), said("d")]},
    "blank texts": {"messages": [user(" "), said(""), said("  "), user("x")]},
    "a beginning of the answer": {"messages": [user("x"), said("It is: ")]},
    "results in another order": {
        "messages": [user("x"), said(None, call("a", ""), call("b")), told("b", "B")]
        + [told("a", [text("A"), text("A")]), user("and?")],
        "tools": [FUNCTION],
    },
    "calls and no tools": {"messages": [user("x"), said("", call("a", "null")), told("a", "")]},
    "ids of another vendor": {
        "messages": [user("x"), said(None, call(LONG)), told(LONG, "A")],
        "tools": [FUNCTION],
    },
    "tools that may not be called": {
        "messages": [user("x"), said(None, call("a")), told("a", "A")],
        "tools": [FUNCTION],
        "tool_choice": "none",
    },
    "no tools, and a choice": {
        "messages": [user("x")],
        "tools": [],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
    },
    "a custom tool": {
        "messages": [user("x"), said(None, CALLED), told("a", "A")],
        "tools": [CUSTOM],
    },
    "one stop": {"messages": [user("x")], "stop": "END"},
    "stops that are blank, and many": {"messages": [user("x")], "stop": [" ", *"abcdef"]},
    "members that are null": {"messages": [user("x")], "stop": None, "tools": None, "seed": None},
    "two limits": {"messages": [user("x")], "max_tokens": 5, "max_completion_tokens": 7},
    "documents of one name": {"messages": [user([{"type": "file", "file": PDF}] * 2)]},
    "images of the assistant, also before a result": {
        "messages": [
            *(user("x"), said("y") | {"images": [DRAWN]}, user("Bluer"), said("") | {"images": []}),
            *(said(None, call("a")) | {"images": [DRAWN]}, told("a", "A")),
        ],
        "tools": [FUNCTION],
    },
    "letters of every kind": {"messages": [user("ü\u2028\x00😀")]},
}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
TOOL = {"name": "one", "input_schema": SCHEMA}
MARK = {"cache_control": {"type": "ephemeral"}}


def use(id: str, **input: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": id, "name": "one", "input": input}


def result(id: str, *content: Any, **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": id, **more} | (
        {"content": content} if content else {}
    )


FAILED = result("b", text("B"), IMAGE, is_error=True)
THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "s"}
MESSAGES: dict[str, dict[str, Any]] = {
    "texts between calls, a failed one with an image": {
        "messages": [
            user("x"),
            said([text("1"), use("a", x=1), text("2"), use("b"), text("3")]),
            user([FAILED, result("a"), text("and"), IMAGE]),
        ],
        "tools": [TOOL],
    },
    "thoughts before a call": {
        "messages": [user("x"), said([THOUGHT, use("a")]), user([result("a", text("A"))])],
        "tools": [TOOL],
        "thinking": {"type": "enabled", "budget_tokens": 1024},
    },
    "a tool that was searched for": {
        "messages": [
            user("x"),
            said([use("a")]),
            user([result("a", {"type": "tool_reference", "tool_name": "one"})]),
        ],
        "tools": [TOOL | {"defer_loading": True}],
    },
    "more marks than there may be": {
        "messages": [user([text(str(n)) | MARK]) for n in range(6)],
        "system": [text("s") | MARK],
    },
    "documents with parts": {
        "messages": [
            user(
                [
                    {"type": "document", "source": {"type": "content", "content": [text("c")]}},
                    {"type": "search_result", "source": "s", "title": "t", "content": [text("c")]},
                ]
            )
        ]
    },
}
FLAT = {"type": "function", "name": "one", "parameters": SCHEMA, "strict": False}
ASKS = {"type": "function_call", "call_id": "a", "name": "one", "arguments": "{}"}
GOT = {"type": "function_call_output", "call_id": "a", "output": "A"}
RESPONSES: dict[str, dict[str, Any]] = {
    "the user speaks between a call and its output": {
        "input": [user("x"), ASKS, user("wait"), GOT],
        "tools": [FLAT],
    },
    "an output with an image": {
        "input": [
            *(user("x"), ASKS),
            GOT | {"output": [{"type": "input_image", "image_url": URL, "detail": "auto"}]},
        ],
        "tools": [FLAT],
    },
    "instructions of three kinds": {
        "input": [system("a"), {"role": "developer", "content": "b"}, user("x"), system("c")],
        "instructions": "i",
    },
    "an image that was made, and one that is stored elsewhere": {
        "input": [
            *(user("x"), {"type": "image_generation_call", "id": "i", "status": "completed"}),
            {
                "type": "image_generation_call",
                "id": "i",
                "status": "completed",
                "result": PNG,
            },
            user("Bluer"),
        ]
    },
    "what ran at the provider": {
        "input": [
            {"type": "local_shell_call", "id": "l", "call_id": "s", "action": {}},
            user("x"),
        ]
    },
}


def content(*parts: Any, role: str | None = "user") -> dict[str, Any]:
    return {"parts": list(parts)} | ({"role": role} if role else {})


CALL = {"functionCall": {"name": "one"}}
DECLARED = {"functionDeclarations": [{"name": "one", "parameters": {"type": "OBJECT"}}]}


def response(**given: Any) -> dict[str, Any]:
    return {"functionResponse": {"name": "one", "response": given}}


GEMINI: dict[str, dict[str, Any]] = {
    "calls of one name without ids": {
        "contents": [
            content({"text": "x"}),
            content(CALL, CALL, role="model"),
            content(response(output="A"), response(error="no")),
        ],
        "tools": [DECLARED],
    },
    "a content without a role": {"contents": {"parts": [{"text": "x"}]}},
    "empty parts": {"contents": [content({"text": ""}), content(role="model"), content(CALL)][:2]}
    | {"systemInstruction": {"parts": [{"text": "s"}]}},
    "images of the model": {
        "contents": [
            content({"text": "x"}),
            content(
                {"text": "y"}, {"inlineData": {"mimeType": "image/png", "data": PNG}}, role="model"
            ),
            content({"text": "Bluer"}),
            content({"inlineData": {"mimeType": "image/png", "data": PNG}}, role="model"),
        ],
        "generationConfig": {"responseModalities": ["TEXT"]},
    },
    "members in snake case": {
        "contents": [content({"inline_data": {"mime_type": "image/png", "data": PNG}})],
        "generation_config": {"max_output_tokens": 5, "thinking_config": {"thinking_budget": -1}},
    },
}
ASKED: dict[str, dict[str, dict[str, Any]]] = {
    "chat": CHAT,
    "messages": {name: {"max_tokens": 9} | asked for name, asked in MESSAGES.items()},
    "responses": RESPONSES,
    "gemini": GEMINI,
}

# client, request, provider -> the place of a member in what is sent, and its value.
SENT: list[tuple[str, str, str, tuple[str | int, ...], Any]] = [
    (
        *("messages", "texts between calls, a failed one with an image", "responses"),
        *(("input", 6, "output", 0), {"type": "input_text", "text": "[tool error] B"}),
    ),
    (
        *("responses", "the user speaks between a call and its output", "gemini"),
        *(("contents", 2), content(response(output="A"))),
    ),
    (
        "chat",
        "a beginning of the answer",
        "bedrock",
        ("messages", 1, "content", 0, "text"),
        "It is:",
    ),
    (
        *("messages", "a tool that was searched for", "chat"),
        *(("messages", 2, "content"), "The tool one is available."),
    ),
]
