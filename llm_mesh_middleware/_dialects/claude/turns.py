"""Turns for Claude models: the user begins, and roles alternate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ..._core.conversation.parts import Part, Text
from ..._core.conversation.request import Conversation
from ..._core.conversation.writing import Losses

__all__ = ["alternating_messages", "instructions"]

Block = dict[str, Any]

# Precedes a conversation that the assistant begins.
_OPENING = Text("(The conversation begins.)")
_ANY_OBJECT = Text("Answer with one JSON object and nothing else.")


def instructions(conversation: Conversation, losses: Losses) -> list[Text]:
    """Return the system prompt, with a sentence in place of a JSON mode, which the APIs lack.

    A conversation without turns has its instructions as the first turn instead.
    """
    texts = [text for text in conversation.system if text.text.strip() and conversation.turns]
    if conversation.output is not None and not conversation.output.schema:
        losses.drop("output")
        texts.append(_ANY_OBJECT)
    return texts


def alternating_messages(
    conversation: Conversation, blocks: Callable[[Iterable[Part]], Iterator[Block]]
) -> list[dict[str, Any]]:
    """Return the messages; neighbours of one role are joined.

    Args:
        conversation: the conversation; without turns its instructions are the first message.
        blocks: yields parts as blocks of the API.
    """
    if not conversation.turns:
        return [{"role": "user", "content": [*blocks(conversation.system)]}]
    messages: list[dict[str, Any]] = []
    for turn in conversation.turns:
        role = "assistant" if turn.role == "assistant" else "user"
        content = [*blocks(turn.parts)]
        if not content:
            continue
        if messages and messages[-1]["role"] == role:
            messages[-1]["content"] += content
        else:
            messages.append({"role": role, "content": content})
    if messages and messages[0]["role"] == "assistant":
        messages.insert(0, {"role": "user", "content": [*blocks((_OPENING,))]})
    _trim_end(messages)
    return messages


def _trim_end(messages: list[dict[str, Any]]) -> None:
    """Strip the end of a text that the model continues: the APIs refuse white space there."""
    if not messages or messages[-1]["role"] != "assistant":
        return
    last = messages[-1]["content"][-1]
    if "text" in last:
        last["text"] = last["text"].rstrip()
