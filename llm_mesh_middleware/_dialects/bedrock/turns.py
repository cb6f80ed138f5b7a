"""Writes turns as messages of the Converse API; the results of calls come first."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from typing import Any

from ..._core.conversation.parts import (
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
from ..._core.conversation.request import Conversation
from ..._core.conversation.writing import Losses
from ..claude.turns import alternating_messages
from ..translation.proofs import BEDROCK
from ..translation.texts import arguments_of, document_text, flat_parts, json_object, safe_id

__all__ = ["TurnWriter", "cache_point", "takes_image"]

Block = dict[str, Any]

_NO_OUTPUT = "(no output)"
_WITH_DOCUMENT = "See the document."  # the API refuses a document without a text

_IMAGES = {
    "image/jpeg": "jpeg",
    "image/jpg": "jpeg",
    "image/png": "png",
    "image/gif": "gif",
    "image/webp": "webp",
}
_DOCUMENTS = {
    "application/pdf": "pdf",
    "text/plain": "txt",
    "text/markdown": "md",
    "text/html": "html",
    "text/csv": "csv",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
}
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9 ()\[\]-]+")
_MAX_NAME = 180


def takes_image(image: Image) -> bool:
    """Return whether a turn of the user can have an image that a model has made."""
    return image.media_type in _IMAGES and bool(image.data)


def cache_point(cache: str | None) -> list[Block]:
    """Return the block that follows a part at the end of a cached prefix."""
    if cache is None:
        return []
    point: Block = {"type": "default"} | ({"ttl": cache} if cache else {})
    return [{"cachePoint": point}]


class TurnWriter:
    """Writes the turns of one conversation."""

    def __init__(self, conversation: Conversation, losses: Losses) -> None:
        self._conversation = conversation
        self._losses = losses
        self._documents = 0

    def messages(self) -> list[dict[str, Any]]:
        """Return the messages."""
        messages = alternating_messages(self._conversation, self._blocks)
        for message in messages:
            message["content"] = _completed(message["content"])
        return messages

    def _blocks(self, parts: Iterable[Part]) -> Iterator[Block]:
        for part in flat_parts(parts):
            block = self._block(part)
            if block is not None:
                yield block
                yield from cache_point(_mark_of(part))

    def _block(self, part: Part) -> Block | None:
        """Return a part as a block; None if it would be empty, or of no use to the provider."""
        match part:
            case Text(text) | Refusal(text):
                return {"text": text} if text.strip() else None
            case ToolCall():
                return {"toolUse": self._call(part)}
            case ToolResult():
                return {"toolResult": self._result(part)}
            case Reasoning():
                return _reasoning(part)
            case Image():
                return {"image": self._image(part)}
            case Document():
                return {"document": self._document(part)}
            case Audio():
                return {"audio": {"format": part.format, "source": {"bytes": part.data}}}

    def _call(self, call: ToolCall) -> Block:
        input = json_object(arguments_of(call))
        if input is None:
            self._losses.refuse_arguments(call)
        return {"toolUseId": safe_id(call.id), "name": call.name, "input": input}

    def _result(self, result: ToolResult) -> Block:
        content = [
            block for block in self._blocks(result.parts) if block.keys() <= _IN_RESULTS
        ] or [{"text": _NO_OUTPUT}]
        block: Block = {"toolUseId": safe_id(result.call_id), "content": content}
        return block | ({"status": "error"} if result.is_error else {})

    def _image(self, image: Image) -> Block:
        form = _IMAGES.get(image.media_type)
        if image.url or image.file_id:
            self._losses.refuse("image_url", "must hold the image itself: Bedrock fetches none")
        if form is None:
            self._losses.refuse("image_url", f"of the type {image.media_type!r} is not supported")
        return {"format": form, "source": {"bytes": image.data}}

    def _document(self, document: Document) -> Block:
        if document.url or document.file_id:
            self._losses.refuse("file", "must hold the document itself: Bedrock fetches none")
        form, data = _DOCUMENTS.get(document.media_type), document.data
        if document.text:
            form, data = "txt", b64encode(document_text(document).encode()).decode()
        if form is None:
            self._losses.refuse("file", f"of the type {document.media_type!r} is not supported")
        self._documents += 1
        title = " ".join(_NOT_IN_A_NAME.sub(" ", document.title).split())[:_MAX_NAME].rstrip()
        name = f"{title or 'Document'} {self._documents}"
        block: Block = {"format": form, "name": name, "source": {"bytes": data}}
        if document.context:
            block["context"] = document.context
        return block | ({"citations": {"enabled": True}} if document.has_citations else {})


def _mark_of(part: Part) -> str | None:
    """Return the cache mark of a part; a mark within a result applies to the whole result."""
    mark: str | None = getattr(part, "cache", None)
    if mark is None and isinstance(part, ToolResult):
        marks = [getattr(inner, "cache", None) for inner in part.parts]
        return next((mark for mark in marks if mark is not None), None)
    return mark


_IN_RESULTS = frozenset(("text", "image", "document"))


def _reasoning(part: Reasoning) -> Block | None:
    """Return reasoning that Bedrock can verify; a foreign signature would be refused."""
    if part.proof is None or part.proof.dialect != BEDROCK:
        return None
    if part.is_redacted:
        return {"reasoningContent": {"redactedContent": part.proof.value}}
    reasoning = {"text": part.text, "signature": part.proof.value}
    return {"reasoningContent": {"reasoningText": reasoning}}


def _completed(blocks: list[Block]) -> list[Block]:
    """Return the blocks of one message, results first, a document with a text."""
    results = [block for block in blocks if "toolResult" in block]
    others = [block for block in blocks if "toolResult" not in block]
    if any("document" in block for block in others) and not any("text" in b for b in others):
        others.append({"text": _WITH_DOCUMENT})
    if others and "cachePoint" in others[0] and results:
        results.append(others.pop(0))
    return results + others
