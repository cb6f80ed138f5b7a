"""Writes turns as messages; the results of calls precede the rest of a turn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ...._core.conversation.parts import (
    Audio,
    Document,
    Image,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
)
from ...._core.conversation.request import Conversation
from ...._core.conversation.writing import Losses
from ...claude.turns import alternating_messages
from ...translation.proofs import ANTHROPIC
from ...translation.texts import arguments_of, json_object, safe_id, without_none

__all__ = ["MessageWriter", "cache_mark", "takes_image"]

_IMAGES = frozenset(("image/gif", "image/jpeg", "image/jpg", "image/png", "image/webp"))

Block = dict[str, Any]


def takes_image(image: Image) -> bool:
    """Return whether a turn of the user can have an image that a model has made."""
    return bool(image.url) or (image.media_type in _IMAGES and bool(image.data))


def cache_mark(cache: str | None) -> dict[str, Any]:
    """Return the member that marks the end of a cached prefix, if there is one."""
    if cache is None:
        return {}
    return {"cache_control": {"type": "ephemeral"} | without_none(ttl=cache or None)}


class MessageWriter:
    """Writes the turns of one conversation."""

    def __init__(self, conversation: Conversation, losses: Losses) -> None:
        self._conversation = conversation
        self._losses = losses

    def messages(self) -> list[dict[str, Any]]:
        """Return the messages."""
        messages = alternating_messages(self._conversation, self._blocks)
        for message in messages:
            message["content"] = _in_order(message["content"])
        return messages

    def _blocks(self, parts: Iterable[Part]) -> Iterator[Block]:
        for part in parts:
            if (block := self._block(part)) is not None:
                yield block

    def _block(self, part: Part) -> Block | None:
        """Return a part as a block; None if it would be empty, or has a foreign proof."""
        match part:
            case Text():
                text = {"type": "text", "text": part.text} | cache_mark(part.cache)
                return text if part.text.strip() else None
            case Refusal(text):
                return {"type": "text", "text": text} if text.strip() else None
            case ToolCall():
                return self._call(part)
            case ToolResult():
                return self._result(part)
            case Reasoning():
                return _reasoning(part)
            case Image():
                return {"type": "image", "source": self._image(part)} | cache_mark(part.cache)
            case Document():
                return self._document(part)
            case Audio():
                self._losses.refuse("input_audio")

    def _call(self, call: ToolCall) -> Block:
        input = json_object(arguments_of(call))
        if input is None:
            self._losses.refuse_arguments(call)
        block = {"type": "tool_use", "id": safe_id(call.id), "name": call.name, "input": input}
        return block | cache_mark(call.cache)

    def _result(self, result: ToolResult) -> Block:
        block: Block = {"type": "tool_result", "tool_use_id": safe_id(result.call_id)}
        if content := list(self._blocks(result.parts)):
            is_text = len(content) == 1 and content[0].keys() == {"type", "text"}
            block["content"] = content[0]["text"] if is_text else content
        if result.is_error:
            block["is_error"] = True
        return block | cache_mark(result.cache)

    def _image(self, image: Image) -> dict[str, Any]:
        self._losses.refuse_file(image.file_id)
        if image.url:
            return {"type": "url", "url": image.url}
        media_type = "image/jpeg" if image.media_type == "image/jpg" else image.media_type
        return {"type": "base64", "media_type": media_type, "data": image.data}

    def _document(self, document: Document) -> Block:
        self._losses.refuse_file(document.file_id)
        source: dict[str, Any]
        if document.parts:
            source = {"type": "content", "content": list(self._blocks(document.parts))}
        elif document.text:
            source = {"type": "text", "media_type": "text/plain", "data": document.text}
        elif document.url:
            source = {"type": "url", "url": document.url}
        else:
            if document.media_type != "application/pdf":
                self._losses.refuse("file", f"of the type {document.media_type} is not a PDF")
            source = {"type": "base64", "media_type": document.media_type, "data": document.data}
        return without_none(
            type="document",
            source=source,
            title=document.title or None,
            context=document.context or None,
            citations={"enabled": True} if document.has_citations else None,
        ) | cache_mark(document.cache)


def _reasoning(part: Reasoning) -> Block | None:
    """Return reasoning that Anthropic can verify; a foreign signature would be refused."""
    if part.proof is None or part.proof.dialect != ANTHROPIC:
        return None
    if part.is_redacted:
        return {"type": "redacted_thinking", "data": part.proof.value}
    return {"type": "thinking", "thinking": part.text, "signature": part.proof.value}


def _in_order(blocks: list[Block]) -> list[Block]:
    """Return the blocks of one message, results first."""
    results = [block for block in blocks if block["type"] == "tool_result"]
    if not results:
        return blocks
    return results + [block for block in blocks if block["type"] != "tool_result"]
