"""Writes turns as contents: the responses to all calls of a content are in the next content.

Responses have the order of the calls, as nothing else identifies their calls without ids; agents
send results in the order in which their tools ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

import msgspec

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
from ...._core.conversation.request import Conversation, Turn
from ...._core.conversation.writing import Losses
from ...translation.proofs import GEMINI
from ...translation.texts import (
    arguments_of,
    document_text,
    flat_parts,
    json_object,
    text_of,
    without_none,
)
from ..signatures import STAND_IN, write_signature

__all__ = ["RESOLUTIONS", "ContentWriter", "write_image"]

# The detail of images -> its value here.
RESOLUTIONS = {"high": "MEDIA_RESOLUTION_HIGH", "low": "MEDIA_RESOLUTION_LOW"}

Block = dict[str, Any]

_MEDIA = frozenset(("inlineData", "fileData"))


class ContentWriter:
    """Writes the turns of one conversation."""

    def __init__(self, conversation: Conversation, losses: Losses) -> None:
        self._conversation = conversation
        self._losses = losses

    def contents(self) -> list[Block]:
        """Return the contents. Neighbours of one role are one content."""
        conversation = self._conversation
        if not conversation.turns:
            return [{"role": "user", "parts": list(self._parts(conversation.system))}]
        contents: list[Block] = []
        order: dict[str, int] = {}
        is_drawn = len(conversation.turns) > 1 and self._has_images()
        for role, turns in groupby(conversation.turns, _role):
            parts = [part for turn in turns for part in turn.parts]
            if results := [part for part in parts if isinstance(part, ToolResult)]:
                # They stand alone, right after the calls: their number must be that of the calls.
                results.sort(key=lambda result: order.get(result.call_id, len(order)))
                contents.append({"role": role, "parts": list(map(self._response, results))})
                others = (part for part in parts if not isinstance(part, ToolResult))
                parts = [*_media(results), *others]
            blocks = [*self._parts(parts)]
            if is_drawn and role == "model":
                blocks = _signed(blocks)
            contents.append({"role": role, "parts": blocks})
            calls = (part.id for part in parts if isinstance(part, ToolCall))
            order = {id: place for place, id in enumerate(calls)}
        return [content for content in contents if content["parts"]]

    def _has_images(self) -> bool:
        """Return whether the model is one of images, as far as the conversation tells."""
        return "image" in self._conversation.modalities or any(
            isinstance(part, Image)
            for turn in self._conversation.turns
            if turn.role == "assistant"
            for part in turn.parts
        )

    def _parts(self, parts: Iterable[Part]) -> Iterator[Block]:
        has_call = False
        for part in flat_parts(parts):
            if isinstance(part, ToolCall):
                yield self._call(part, is_first=not has_call)
                has_call = True
            elif (block := self._part(part)) is not None:
                yield block

    def _part(self, part: Part) -> Block | None:
        match part:
            case Text(text) | Refusal(text):
                return {"text": text} if text else None
            case Reasoning():
                return _thought(part)
            case Image():
                return self._image(part)
            case Document():
                return self._document(part)
            case Audio():
                return _inline(f"audio/{part.format}", part.data)
        return None

    def _call(self, call: ToolCall, *, is_first: bool) -> Block:
        """Return a call. The first of a step needs a signature, if only the stand-in."""
        args = json_object(arguments_of(call))
        if args is None:
            self._losses.refuse_arguments(call)
        block: Block = {"functionCall": {"name": call.name, "args": args}}
        if call.proof is not None and call.proof.dialect == GEMINI:
            block["thoughtSignature"] = call.proof.value
        elif is_first:
            block["thoughtSignature"] = STAND_IN
        return block

    def _response(self, result: ToolResult) -> Block:
        parts = flat_parts(result.parts)
        text = text_of(
            (Text(document_text(p)) if isinstance(p, Document) and p.text else p for p in parts),
            "\n",
        )
        response: Any
        if result.is_error:
            response = {"error": text}
        else:
            response = json_object(text) if text.strip().startswith("{") else None
            response = {"output": text} if response is None else response
        return {"functionResponse": {"name": result.name or "unknown", "response": response}}

    def _image(self, image: Image) -> Block:
        self._losses.refuse_file(image.file_id)
        block = write_image(image)
        if image.proof is not None and image.proof.dialect == GEMINI:
            block["thoughtSignature"] = image.proof.value
        return block

    def _document(self, document: Document) -> Block:
        self._losses.refuse_file(document.file_id)
        if document.text:
            return {"text": document_text(document)}
        if document.url:
            return _file(document.url, document.media_type or "application/pdf")
        return _inline(document.media_type, document.data)


def _role(turn: Turn) -> str:
    return "model" if turn.role == "assistant" else "user"


def _media(results: list[ToolResult]) -> list[Part]:
    """Return the media in results for the next content: responses cannot contain them."""
    parts = (part for result in results for part in flat_parts(result.parts))
    return [
        part
        for part in parts
        if isinstance(part, Image | Audio) or (isinstance(part, Document) and not part.text)
    ]


def _thought(part: Reasoning) -> Block | None:
    """Return reasoning that Gemini can verify."""
    if part.proof is None or part.proof.dialect != GEMINI:
        return None
    return {"text": part.text, "thought": True, "thoughtSignature": part.proof.value}


def _signed(blocks: list[Block]) -> list[Block]:
    """Return the blocks of a model's turn with signatures where models of images require them.

    They require it of the first block after the thoughts, and of every image. The neutral form has
    the signature of a text on the thought before it. Where there is none, the stand-in is used.
    """
    signed: list[Block] = []
    thought: Block | None = None
    for block in blocks:
        if thought is not None and block.keys() == {"text"}:
            block = block | {"thoughtSignature": thought.pop("thoughtSignature")}
            if not thought["text"]:
                signed.pop()
        is_thought = block.get("thought", False)
        thought = block if is_thought and "thoughtSignature" in block else None
        is_first = not is_thought and all(earlier.get("thought") for earlier in signed)
        if is_first or not _MEDIA.isdisjoint(block):
            block = {"thoughtSignature": STAND_IN} | block
        signed.append(block)
    return signed


def write_image(image: Image) -> Block:
    """Return an image as a part."""
    made = (
        _file(image.url, image.media_type) if image.url else _inline(image.media_type, image.data)
    )
    return made | write_signature(image.proof)


def _inline(media_type: str, data: str) -> dict[str, Any]:
    """Return base64 data as a part."""
    return {"inlineData": {"mimeType": media_type, "data": msgspec.Raw(msgspec.json.encode(data))}}


def _file(url: str, media_type: str) -> dict[str, Any]:
    """Return the file behind a URL as a part."""
    return {"fileData": without_none(fileUri=url, mimeType=media_type or None)}
