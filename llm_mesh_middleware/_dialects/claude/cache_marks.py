"""Cache marks of Claude models, which reject a request with more than four."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from msgspec.structs import replace

from ..._core.conversation.parts import Part, Text, ToolResult
from ..._core.conversation.request import Conversation, Tool

__all__ = ["latest_marks"]

_MAX = 4

Marked = TypeVar("Marked", Tool, Text, Part)


def latest_marks(conversation: Conversation) -> Conversation:
    """Return a conversation with only its last marks, as the longest prefixes save most.

    The order is that of the prompt: tools, instructions, turns.
    """
    surplus = _count(conversation) - _MAX
    if surplus <= 0:
        return conversation
    eraser = _Eraser(surplus)
    return replace(
        conversation,
        tools=eraser.without(conversation.tools),
        system=eraser.without(conversation.system),
        turns=tuple(
            replace(turn, parts=eraser.without(turn.parts)) if eraser.surplus else turn
            for turn in conversation.turns
        ),
    )


def _count(conversation: Conversation) -> int:
    count = 0
    for tool in conversation.tools:
        count += tool.cache is not None
    for text in conversation.system:
        count += text.cache is not None
    for turn in conversation.turns:
        for part in turn.parts:
            count += getattr(part, "cache", None) is not None
            if isinstance(part, ToolResult):
                for inner in part.parts:
                    count += getattr(inner, "cache", None) is not None
    return count


class _Eraser:
    """Removes the first marks."""

    def __init__(self, surplus: int) -> None:
        self.surplus = surplus

    def without(self, marked: Sequence[Marked]) -> tuple[Marked, ...]:
        return tuple(map(self._without, marked))

    def _without(self, one: Marked) -> Marked:
        if self.surplus and isinstance(one, ToolResult):
            one = replace(one, parts=self.without(one.parts))
        if not self.surplus or getattr(one, "cache", None) is None:
            return one
        self.surplus -= 1
        return replace(one, cache=None)
