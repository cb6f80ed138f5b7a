"""The cacheability of completions, and their two forms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..._core.texts import AnswerContent
from ..._core.values.payload import Fields, decode_fields, encode_fields, raw
from ..._core.values.usage import Usage
from ..cacheability import is_true, read_temperature, requests_more_than_text
from ..objects import object_in, objects_in, read_object, text_in
from .bridge import (
    BrokenStream,
    ConversionLimit,
    NoCompletion,
    completion_to_events,
    events_to_completion,
)

__all__ = ["ChatAnswers"]

_ENDS = frozenset(("stop",))
_CALLS = frozenset(("tool_calls", "function_call"))
_FINISHES = {"function_call": "tool_calls"}


class ChatAnswers:
    """Completions and embeddings."""

    temperature = staticmethod(read_temperature)
    has_two_forms = False  # only some operations have two

    def may_repeat_request(self, fields: Fields) -> bool:
        """Return whether only text is requested, and the provider does not store it."""
        return not (requests_more_than_text(fields) or is_true(fields, "store"))

    def finish(self, reason: str) -> str:
        """Return the shared term, which differs only for an old one."""
        return _FINISHES.get(reason, reason)

    def may_repeat(self, body: bytes, *, tool_calls: bool) -> bool:
        """Return whether every choice is complete, and none is a refusal."""
        value = read_object(body)
        if value.get("error"):
            return False
        if value.get("object") == "list" and value.get("data"):
            return True
        choices = objects_in(value.get("choices"))
        ends = _ENDS | _CALLS if tool_calls else _ENDS
        return bool(choices) and all(_has_ended(choice, ends) for choice in choices)

    def contents(self, body: bytes) -> Iterator[AnswerContent]:
        """Yield the content of each choice."""
        for choice in objects_in(read_object(body).get("choices")):
            message = object_in(choice, "message")
            functions = [
                object_in(each, "function") for each in objects_in(message.get("tool_calls"))
            ]
            functions += [object_in(message, "function_call")] if "function_call" in message else []
            yield AnswerContent(
                text_in(choice, "text") or _content(message.get("content")),
                tuple((text_in(each, "name"), text_in(each, "arguments")) for each in functions),
                bool(message.get("refusal")),
            )

    def join(self, events: bytes, usage: Usage | None) -> bytes | None:
        """Return the completion of a stream, with its token counts."""
        if not events.rstrip().endswith(b"data: [DONE]"):
            return None
        try:
            whole = events_to_completion(events)
        except (BrokenStream, ConversionLimit):
            return None
        if usage is None or read_object(whole).get("usage"):
            return whole
        counts = {
            "prompt_tokens": usage.input_tokens,
            "completion_tokens": usage.output_tokens,
            "total_tokens": usage.input_tokens + usage.output_tokens,
        }
        return encode_fields({**decode_fields(whole), "usage": raw(counts)})

    def split(self, body: bytes, *, include_usage: bool) -> bytes:
        """Return a completion as a stream."""
        try:
            return completion_to_events(body, include_usage=include_usage)
        except (NoCompletion, ConversionLimit):
            return body


def _has_ended(choice: dict[str, Any], ends: frozenset[str]) -> bool:
    message = choice.get("message")
    is_call = isinstance(message, dict) and (
        message.get("tool_calls") or message.get("function_call")
    )
    if is_call and not ends & _CALLS:
        return False
    if isinstance(message, dict) and message.get("refusal"):
        return False  # a refusal has the same finish reason as any other answer
    return choice.get("finish_reason") in ends


def _content(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(text_in(part, "text") for part in objects_in(content))
