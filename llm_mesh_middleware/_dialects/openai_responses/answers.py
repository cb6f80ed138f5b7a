"""The cacheability of responses, and their two forms."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from ..._core.http.sse import EventCutter, event_data
from ..._core.texts import AnswerContent
from ..._core.values.payload import Fields
from ..._core.values.usage import Usage
from ..cacheability import is_true, read_temperature, requests_more_than_text
from ..objects import objects_in, read_object, text_in
from .two_forms import split_response

__all__ = ["ResponsesAnswers"]

_TEXTS = frozenset(("message", "reasoning"))
_CALLS = frozenset(("function_call", "custom_tool_call"))


class ResponsesAnswers:
    """Responses."""

    temperature = staticmethod(read_temperature)
    has_two_forms = True

    def may_repeat_request(self, fields: Fields) -> bool:
        """Return whether nothing is stored, and no stored response is continued.

        Providers store responses by default, and a client may continue one by its id; a cached
        response has the id of the first one.
        """
        continues = any(name in fields for name in ("previous_response_id", "conversation"))
        is_kept = is_true(fields, "store") or is_true(fields, "background")
        return not (continues or is_kept or requests_more_than_text(fields))

    def finish(self, reason: str) -> str:
        """Return the shared term; a status is the same for calls and other ends."""
        return "stop" if reason == "tool_calls" else reason

    def may_repeat(self, body: bytes, *, tool_calls: bool) -> bool:
        """Return whether the response is complete, and no refusal."""
        value = read_object(body)
        known = _TEXTS | _CALLS if tool_calls else _TEXTS
        is_known = all(item.get("type") in known for item in objects_in(value.get("output")))
        is_complete = value.get("status") == "completed" and not value.get("error") and is_known
        return is_complete and not any(each.is_refusal for each in self.contents(body))

    def contents(self, body: bytes) -> Iterator[AnswerContent]:
        """Yield the content of all items of the output as one."""
        value = read_object(body)
        if "output" not in value:
            return
        items = list(objects_in(value["output"]))
        parts = [part for item in items for part in objects_in(item.get("content"))]
        yield AnswerContent(
            "".join(text_in(part, "text") for part in parts if part.get("type") == "output_text"),
            tuple(
                (text_in(item, "name"), text_in(item, "arguments"))
                for item in items
                if item.get("type") == "function_call"
            ),
            any(part.get("type") == "refusal" for part in parts),
        )

    def join(self, events: bytes, usage: Usage | None) -> bytes | None:
        """Return the response in the last event."""
        found = None
        for event in EventCutter().feed(events):
            value = read_object(event_data(event))
            if value.get("type") == "response.completed":
                found = value.get("response")
        return None if found is None else msgspec.json.encode(found)

    def split(self, body: bytes, *, include_usage: bool) -> bytes:
        """Return the response as a stream, which always has token counts."""
        return split_response(body)
