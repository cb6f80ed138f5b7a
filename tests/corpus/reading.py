"""What a client's code makes of the objects that the OpenAI SDK gives it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from tests.corpus.responses import Json, Meaning

EXTRA = ("x_top", "x_choice", "x_message")
_TEXTS = ("text", "thinking", "summary")


def said(value: Any) -> str:
    """The text of a string, or of a list of parts, however deep."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(map(said, value))
    if isinstance(value, dict):
        return "".join(said(value[name]) for name in _TEXTS if name in value)
    return ""


def of_completion(completion: Json) -> Meaning:
    """What a completion says, but for its counts."""
    choice = completion["choices"][0]
    message = choice["message"]
    calls = [
        (call.get("id"), call["function"]["name"], _arguments(call["function"]["arguments"]))
        for call in message.get("tool_calls") or ()
    ]
    return Meaning(
        _text(message),
        _reasoning(message),
        calls,
        choice["finish_reason"],
        completion.get("usage"),
        None,
        [completion.get("x_top"), choice.get("x_choice"), message.get("x_message")],
        completion["model"],
    )


def of_chunks(chunks: Iterable[Json]) -> Meaning:
    """What a stream says to code that reads it by the book."""
    read = list(chunks)
    choices = [choice for chunk in read for choice in chunk.get("choices") or () if choice]
    deltas = [choice["delta"] for choice in choices if choice.get("delta")]
    calls: dict[Any, list[Any]] = {}
    for part in (call for delta in deltas for call in delta.get("tool_calls") or ()):
        call = calls.setdefault(part.get("index"), [None, "", ""])
        function = part["function"]
        call[0] = call[0] or part.get("id")
        call[1] = call[1] or function.get("name") or ""
        call[2] += _arguments(function.get("arguments") or "")
    return Meaning(
        "".join(map(_text, deltas)),
        "".join(map(_reasoning, deltas)),
        [(id, name, arguments) for id, name, arguments in calls.values()],
        _last(choice.get("finish_reason") for choice in choices),
        _last(chunk.get("usage") for chunk in read),
        None,
        [
            _last(chunk.get("x_top") for chunk in read),
            _last(choice.get("x_choice") for choice in choices),
            _last(delta.get("x_message") for delta in deltas),
        ],
        _last(chunk.get("model") for chunk in read),
    )


def _arguments(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _last(values: Iterator[Any]) -> Any:
    return next((value for value in reversed(list(values)) if value), None)


def _is_thought(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") == "thinking"


def _text(message: Json) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return "".join(said(part) for part in content if not _is_thought(part))
    return content or ""


def _reasoning(message: Json) -> str:
    content = message.get("content")
    thoughts = [part for part in content if _is_thought(part)] if isinstance(content, list) else []
    names = ("reasoning_content", "reasoning", "reasoning_details")
    found = next((message[name] for name in names if message.get(name)), None)
    return said(thoughts) + said(found)
