"""The cacheability of messages, and their two forms."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from ..._core.texts import AnswerContent
from ..._core.values.payload import Fields
from ..._core.values.usage import Usage
from ..cacheability import read_temperature, requests_more_than_text
from ..claude.finishes import FINISHES
from ..objects import objects_in, read_object, text_in
from .two_forms import join_events, split_message

__all__ = ["AnthropicAnswers"]

_FINISHES = {**FINISHES, "refusal": "content_filter"}
_ENDS = frozenset(("end_turn", "stop_sequence"))


class AnthropicAnswers:
    """Messages."""

    temperature = staticmethod(read_temperature)
    has_two_forms = True

    def may_repeat_request(self, fields: Fields) -> bool:
        """Return whether only text is requested."""
        return not requests_more_than_text(fields)

    def finish(self, reason: str) -> str:
        """Return the shared term for a stop reason."""
        return _FINISHES.get(reason, reason)

    def may_repeat(self, body: bytes, *, tool_calls: bool) -> bool:
        """Return whether the message is complete."""
        value = read_object(body)
        if value.get("type") != "message":
            return False
        is_call = any(
            block.get("type") != "text" and block.get("type") != "thinking"
            for block in objects_in(value.get("content"))
        )
        ends = _ENDS | {"tool_use"} if tool_calls else _ENDS
        return value.get("stop_reason") in ends and (tool_calls or not is_call)

    def contents(self, body: bytes) -> Iterator[AnswerContent]:
        """Yield the content of all blocks as one."""
        value = read_object(body)
        if value.get("type") != "message":
            return
        blocks = list(objects_in(value.get("content")))
        yield AnswerContent(
            "".join(text_in(block, "text") for block in blocks if block.get("type") == "text"),
            tuple(
                (text_in(block, "name"), msgspec.json.encode(block.get("input")).decode())
                for block in blocks
                if block.get("type") == "tool_use"
            ),
            value.get("stop_reason") == "refusal",
        )

    def join(self, events: bytes, usage: Usage | None) -> bytes | None:
        """Return the message of a stream."""
        message = join_events(events)
        return None if message is None else msgspec.json.encode(message)

    def split(self, body: bytes, *, include_usage: bool) -> bytes:
        """Return the message as a stream, which always has token counts."""
        return split_message(body)
