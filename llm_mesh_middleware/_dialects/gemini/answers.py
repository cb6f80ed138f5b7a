"""The cacheability of generated contents, and their two forms.

A stream is a sequence of whole answers, each with the new parts; their texts are joined.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from ..._core.http.sse import EventCutter, event_data, make_event, on_one_line
from ..._core.texts import AnswerContent
from ..._core.values.payload import Fields, read_fields
from ..._core.values.usage import Usage
from ..cacheability import read_temperature
from ..objects import object_in, objects_in, read_object, text_in
from .finishes import shared_reason

__all__ = ["GeminiAnswers"]

_MAX_EVENT_BYTES = 16 * 2**20
_CONFIGS = ("generationConfig", "generation_config")
_MODALITIES = ("responseModalities", "response_modalities")
# Other tools run at the provider, and their results change with time.
_FUNCTIONS = frozenset(("functionDeclarations", "function_declarations"))
# Other finish reasons mean that there is no answer.
_ENDS = frozenset(("STOP", "MAX_TOKENS", None))
_TEXT, _CALLS = frozenset(("text", "thought", "thoughtSignature")), frozenset(("functionCall",))


class GeminiAnswers:
    """Generated content."""

    has_two_forms = True

    def may_repeat_request(self, fields: Fields) -> bool:
        """Return whether only text is requested."""
        request = read_object(msgspec.json.encode(fields))
        config = next((request[name] for name in _CONFIGS if name in request), None)
        wanted = [config.get(name) for name in _MODALITIES] if isinstance(config, dict) else []
        is_text = all(each in (None, [], ["TEXT"]) for each in wanted)
        tools = request.get("tools") or []
        return is_text and all(
            isinstance(tool, dict) and tool.keys() <= _FUNCTIONS for tool in tools
        )

    def finish(self, reason: str) -> str:
        """Return the shared term, which is the same for calls and for texts."""
        return shared_reason(reason)

    def temperature(self, fields: Fields) -> float | None:
        """Return the temperature of the configuration."""
        for name in _CONFIGS:
            if name in fields:
                return read_temperature(read_fields(fields, name))
        return None

    def may_repeat(self, body: bytes, *, tool_calls: bool) -> bool:
        """Return whether every candidate has come to its end."""
        value = read_object(body)
        known = _TEXT | _CALLS if tool_calls else _TEXT
        candidates = objects_in(value.get("candidates"))
        return bool(candidates) and all(
            candidate.get("finishReason") == "STOP"
            and all(part.keys() <= known for part in _parts(candidate))
            for candidate in candidates
        )

    def contents(self, body: bytes) -> Iterator[AnswerContent]:
        """Yield the content of each candidate; a stream without events is an array of answers."""
        try:
            value = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return
        whole = _joined(objects_in(value if isinstance(value, list) else [value]))
        if object_in(whole, "promptFeedback").get("blockReason"):
            yield AnswerContent(is_refusal=True)
        for candidate in objects_in(whole.get("candidates")):
            parts = _parts(candidate)
            calls = [object_in(part, "functionCall") for part in parts if "functionCall" in part]
            yield AnswerContent(
                "".join(text_in(part, "text") for part in parts if not part.get("thought")),
                tuple(
                    (text_in(call, "name"), msgspec.json.encode(call.get("args") or {}).decode())
                    for call in calls
                ),
                candidate.get("finishReason") not in _ENDS,
            )

    def join(self, events: bytes, usage: Usage | None) -> bytes | None:
        """Return a stream as one answer; None if a candidate has not ended."""
        pieces = [event_data(each) for each in EventCutter(_MAX_EVENT_BYTES).feed(events)]
        values = [read_object(data) for data in pieces if data]
        if any("error" in value or not value for value in values):
            return None
        whole = _joined(values)
        candidates = whole["candidates"]
        if not candidates or not all("finishReason" in each for each in candidates):
            return None
        return msgspec.json.encode(whole)

    def split(self, body: bytes, *, include_usage: bool) -> bytes:
        """Return the answer as a stream of one event."""
        return make_event(on_one_line(body))


def _joined(values: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return several answers as one."""
    joined: dict[str, Any] = {}
    candidates: dict[Any, dict[str, Any]] = {}
    for value in values:
        for candidate in objects_in(value.get("candidates")):
            number = candidate.get("index", 0)
            candidates[number] = _continued(candidates.get(number, {}), candidate)
        joined |= value
    return joined | {"candidates": list(candidates.values())}


def _parts(candidate: dict[str, Any]) -> list[dict[str, Any]]:
    content = candidate.get("content")
    return list(objects_in(content.get("parts"))) if isinstance(content, dict) else []


def _continued(candidate: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Return a candidate with the parts of the next event after its own."""
    parts = _parts(candidate)
    for part in _parts(more):
        if parts and _is_one_text(parts[-1], part):
            parts[-1] = {**parts[-1], **part, "text": parts[-1]["text"] + part["text"]}
        else:
            parts.append(part)
    content = {**(candidate.get("content") or {}), **(more.get("content") or {}), "parts": parts}
    return {**candidate, **more, "content": content}


def _is_one_text(part: dict[str, Any], more: dict[str, Any]) -> bool:
    """Return whether two parts are pieces of one text; a signature ends its text."""
    if "thoughtSignature" in part or not (part.keys() | more.keys()) <= _TEXT:
        return False
    is_text = isinstance(part.get("text"), str) and isinstance(more.get("text"), str)
    return is_text and bool(part.get("thought")) == bool(more.get("thought"))
