"""Builders for the bodies an OpenAI-compatible provider sends.

Nothing here is random or reads a clock: the same arguments give the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

__all__ = ["chat_completion", "chat_stream", "encode_json", "error_body", "sse", "token_usage"]

CREATED = 1_700_000_000
DONE = b"data: [DONE]\n\n"
_ID = "chatcmpl-fake"
_MODEL = "fake-model"


def token_usage(prompt_tokens: int, completion_tokens: int) -> dict[str, object]:
    """Return the `usage` object of chat and completions."""
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
    }


def chat_completion(
    content: str = "Hello",
    *,
    model: str = _MODEL,
    usage: Mapping[str, object] | None = None,
    finish_reason: str = "stop",
    id: str = _ID,
) -> dict[str, object]:
    """Return a `chat.completion` with one choice; without `usage` its prompt has one token."""
    message = {"role": "assistant", "content": content}
    return {
        "id": id,
        "object": "chat.completion",
        "created": CREATED,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
        "usage": usage if usage is not None else token_usage(1, count_words(content)),
    }


def chat_stream(
    contents: Sequence[str] = ("Hel", "lo"),
    *,
    model: str = _MODEL,
    usage: Mapping[str, object] | None = None,
    include_usage: bool = False,
    finish_reason: str | None = "stop",
    done: bool = True,
    id: str = _ID,
) -> list[bytes]:
    """Return the events of a streamed chat completion, one bytes object each.

    The role, one event per content, the finish (unless `finish_reason` is None), with
    `include_usage` the usage event without choices, and `[DONE]` if `done`. As at OpenAI,
    `include_usage` also puts `"usage": null` into the events before.
    """
    chunk = {"id": id, "object": "chat.completion.chunk", "created": CREATED, "model": model}
    extra: dict[str, object] = {"usage": None} if include_usage else {}
    deltas = [{"role": "assistant", "content": ""}, *({"content": content} for content in contents)]
    choices: list[dict[str, object]] = [
        {"index": 0, "delta": delta, "finish_reason": None} for delta in deltas
    ]
    if finish_reason is not None:
        choices.append({"index": 0, "delta": {}, "finish_reason": finish_reason})
    events = [sse({**chunk, "choices": [choice], **extra}) for choice in choices]
    if include_usage:
        counted = usage if usage is not None else token_usage(1, count_words("".join(contents)))
        events.append(sse({**chunk, "choices": [], "usage": counted}))
    return [*events, DONE] if done else events


def error_body(
    message: str,
    *,
    type: str = "invalid_request_error",
    code: str | None = None,
    param: str | None = None,
) -> dict[str, object]:
    """Return an error object of OpenAI."""
    return {"error": {"message": message, "type": type, "param": param, "code": code}}


def sse(data: Mapping[str, object], *, event: str | None = None) -> bytes:
    """Return one server-sent event with JSON."""
    name = f"event: {event}\n" if event else ""
    return b"%sdata: %s\n\n" % (name.encode(), encode_json(data))


def encode_json(value: object) -> bytes:
    """Return JSON in UTF-8; half of a surrogate pair, which UTF-8 does not have, is escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode(errors="backslashreplace")


def count_words(*texts: str | Iterable[str]) -> int:
    """Count tokens as the fake provider does: words between white space."""
    return sum(len(text.split()) if isinstance(text, str) else count_words(*text) for text in texts)
