"""Which messages may be repeated."""

from __future__ import annotations

import msgspec

from ..._core.http.sse import EventCutter, event_data
from ..._core.values.payload import Fields
from ..._core.values.usage import Usage
from ..keeping import asks_for_more_than_text
from ..objects import objects_in, read_object

__all__ = ["AnthropicAnswers"]

_ENDS = frozenset(("end_turn", "stop_sequence"))
_MAX_EVENT_BYTES = 16 * 2**20


class AnthropicAnswers:
    """Messages; a stream of them stays a stream."""

    def may_repeat_request(self, fields: Fields) -> bool:
        """Return whether nothing but a text is asked for."""
        return not asks_for_more_than_text(fields)

    def may_repeat(self, body: bytes, *, tool_calls: bool) -> bool:
        """Return whether the message has come to its end."""
        value = read_object(body)
        if value.get("type") != "message":
            return False
        is_call = any(
            block.get("type") != "text" and block.get("type") != "thinking"
            for block in objects_in(value.get("content"))
        )
        ends = _ENDS | {"tool_use"} if tool_calls else _ENDS
        return value.get("stop_reason") in ends and (tool_calls or not is_call)

    def join(self, events: bytes, usage: Usage | None) -> bytes | None:
        """Return what a stream says of the message's blocks and of its end."""
        blocks, reason, is_over = [], None, False
        for event in EventCutter(_MAX_EVENT_BYTES).feed(events):
            value = read_object(event_data(event))
            kind = value.get("type")
            if kind == "error":
                return None
            if kind == "content_block_start":
                blocks.append(value.get("content_block"))
            if kind == "message_delta":
                reason = (value.get("delta") or {}).get("stop_reason") or reason
            is_over = is_over or kind == "message_stop"
        if not is_over:
            return None
        return msgspec.json.encode({"type": "message", "content": blocks, "stop_reason": reason})

    def split(self, body: bytes, *, include_usage: bool) -> bytes:
        """Return the body: streams are kept as streams."""
        return body
