"""The texts of the Responses API."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from typing import Any

from ..._core.dialect import EventTexts, TextPlace
from ..texts import ResponseTexts, has_no_text, last_texts, response_texts_in, texts_of_turns

__all__ = ["ResponsesTexts"]

_KINDS = {
    "function_call": "assistant",
    "custom_tool_call": "assistant",
    "reasoning": "assistant",
    "function_call_output": "tool",
    "custom_tool_call_output": "tool",
}
_LAST = frozenset(("response.completed", "response.failed", "response.incomplete", "error"))


class ResponsesTexts(ResponseTexts):
    """Each `delta` is a part of the text of its item; later events repeat the whole text."""

    def read_request(
        self, members: dict[str, Any], roles: Container[str] | None
    ) -> Iterator[TextPlace]:
        """Yield the texts of the instructions and of the input."""
        others = {"instructions": "system"}
        return texts_of_turns(members, roles, turns="input", others=others, kinds=_KINDS)

    def read_last(self, members: dict[str, Any]) -> Sequence[TextPlace]:
        """Return the texts of the last turn, if it is a user's and has nothing else."""
        return last_texts(members, turns="input")

    def read_event(self, value: Any) -> EventTexts:
        """Return the delta of an item; the event `done` ends it."""
        if not isinstance(value, dict):
            return EventTexts()
        kind = str(value.get("type"))
        if kind in _LAST:
            return EventTexts((), response_texts_in(value), ends=lambda key: True)
        what, _, stage = kind.rpartition(".")
        item = value.get("output_index")
        key = (item, value.get("content_index", value.get("summary_index")), what)
        if stage == "delta" and isinstance(value.get("delta"), str):
            place = TextPlace(value, "delta", is_json=what.endswith("_arguments"))
            others = (
                () if has_no_text(value, but="delta") else response_texts_in(value, but=("delta",))
            )
            return EventTexts([(key, place)], others)
        if stage == "done":
            if what == "response.output_item":
                return EventTexts((), response_texts_in(value), ends=lambda other: other[0] == item)
            return EventTexts((), response_texts_in(value), ends=lambda other: other == key)
        return EventTexts((), response_texts_in(value))
