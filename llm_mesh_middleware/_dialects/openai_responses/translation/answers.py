"""Reads and writes whole responses from and to the neutral form.

| item | part |
|---|---|
| message | its texts and refusals |
| function_call, custom_tool_call | a call; its id is `call_id`, not the item's |
| reasoning | reasoning; its proof is `encrypted_content` |
| image_generation_call | an image |
| any other | nothing; its name is kept: it ran at the provider |
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from ...._core.conversation.answer import Answer, FinishReason, TokenLogprob
from ...._core.conversation.parts import (
    Citation,
    Image,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
)
from ...._core.conversation.request import Conversation
from ...._core.conversation.writing import Stamp
from ...._core.values.payload import raw
from ...._core.values.usage import Usage
from ....exceptions import UpstreamProtocolError
from ...lenient import LenientDecoder
from ...openai.logprobs import TokenMember, read_tokens, write_tokens
from ...translation.proofs import RESPONSES, own_proof, seal
from ...translation.texts import arguments_of, custom_input, custom_names
from ..usage import ResponseUsage
from .hosted_items import CALL, image_item, lost_name, made_image
from .namespaces import names_of
from .request_reader import WANTS_PROOFS

__all__ = [
    "ItemMember",
    "ResponseMember",
    "citation_of",
    "finish_of",
    "has_failed",
    "read_answer",
    "response_object",
    "wants_proofs",
    "write_answer",
]

# The reasons of incomplete responses.
_INCOMPLETE: dict[str, FinishReason] = {
    "max_output_tokens": "length",
    "content_filter": "refused",
}
_REASONS = {"length": "max_output_tokens", "refused": "content_filter"}

# Members of a request that a response repeats, with their values if they were not set.
_PLAIN_DEFAULTS: dict[str, Any] = {
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "reasoning": {"effort": None, "summary": None},
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": None,
    "truncation": "disabled",
}
_DEFAULTS = {name: raw(value) for name, value in _PLAIN_DEFAULTS.items()}


class URLCitation(msgspec.Struct, gc=False):
    """A source of a text."""

    url: str | None = None
    title: str | None = None


class PartMember(msgspec.Struct):
    """One part of a message or of reasoning."""

    type: str = ""
    text: str | None = None
    logprobs: list[TokenMember] | None = None
    refusal: str | None = None
    annotations: list[URLCitation] | None = None


class ItemMember(msgspec.Struct):
    """One item of the output."""

    type: str = ""
    id: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    input: str | None = None
    content: list[PartMember] | None = None
    summary: list[PartMember] | None = None
    encrypted_content: str | None = None
    result: object = None
    output_format: str | None = None

    @property
    def image(self) -> Image | None:
        """The image, if the item has one; after a failure it has none."""
        if self.type != CALL or not isinstance(self.result, str):
            return None
        return made_image(self.result, self.output_format)


class _Details(msgspec.Struct):
    reason: str | None = None


class ResponseMember(msgspec.Struct):
    """A response."""

    id: str | None = None
    model: str | None = None
    created_at: int | float | None = None
    status: str | None = None
    service_tier: str | None = None
    incomplete_details: _Details | None = None
    output: list[ItemMember] | None = None
    usage: ResponseUsage | None = None


_decode = LenientDecoder(ResponseMember)


def has_failed(body: bytes) -> bool:
    """Return whether a response reports its own failure."""
    response = _decode(body)
    return response is not None and response.status in ("failed", "cancelled")


def finish_of(response: ResponseMember, *, has_calls: bool) -> FinishReason | None:
    """Return the finish reason; None if the response did not end."""
    if response.status == "incomplete":
        details = response.incomplete_details
        return _INCOMPLETE.get((details and details.reason) or "", "length")
    if response.status not in ("completed", None):
        return None
    return "tool_calls" if has_calls else "stop"


def read_answer(body: bytes, stamp: Stamp) -> Answer:
    """Return a response in the neutral form.

    Raises:
        UpstreamProtocolError: It is not a response, or one that did not end.
    """
    response = _decode(body)
    if response is None or response.output is None:
        raise UpstreamProtocolError("answered without a response")
    lost: dict[str, None] = {}
    parts = tuple(_parts(response.output, stamp, lost))
    has_calls = ToolCall in map(type, parts)
    finish = finish_of(response, has_calls=has_calls)
    if finish is None:
        raise UpstreamProtocolError(f"answered with a response that is {response.status}")
    return Answer(
        id=response.id or "",
        model=response.model or "",
        parts=parts,
        finish=finish,
        usage=None if response.usage is None else response.usage.counted(),
        created=None if response.created_at is None else int(response.created_at),
        service_tier=response.service_tier,
        logprobs=tuple(_tokens(response.output)),
        lost=tuple(lost),
    )


def _parts(items: list[ItemMember], stamp: Stamp, lost: dict[str, None]) -> Iterator[Part]:
    for number, item in enumerate(items):
        match item.type:
            case "message":
                yield from _message_parts(item)
            case "function_call":
                id = item.call_id or stamp.id("call_", number)
                yield ToolCall(id, item.name or "", item.arguments or "{}")
            case "custom_tool_call":
                id = item.call_id or stamp.id("call_", number)
                yield ToolCall(id, item.name or "", item.input or "", is_custom=True)
            case "reasoning":
                texts = item.summary or item.content or ()
                text = "\n\n".join(part.text for part in texts if part.text)
                sealed = item.encrypted_content
                if text or sealed:
                    proof = own_proof(RESPONSES, sealed)
                    yield Reasoning(text, proof, is_summary=True, id=item.id or "")
            case _:
                if (image := item.image) is None:
                    lost[lost_name(item.type)] = None
                else:
                    yield image


def _tokens(items: list[ItemMember]) -> Iterator[TokenLogprob]:
    for item in items:
        for part in item.content or () if item.type == "message" else ():
            yield from read_tokens(part.logprobs)


def _message_parts(item: ItemMember) -> Iterator[Part]:
    for part in item.content or ():
        if part.refusal:
            yield Refusal(part.refusal)
        elif part.text:
            cited = tuple(citation_of(one) for one in part.annotations or () if one.url)
            yield Text(part.text, citations=cited)


def citation_of(cited: URLCitation) -> Citation:
    """Return an annotation in the neutral form."""
    return Citation(cited.url or "", cited.title or "")


def wants_proofs(conversation: Conversation) -> bool:
    """Return whether the client needs proofs of reasoning, because nothing is stored."""
    return WANTS_PROOFS in conversation.echo


def response_object(
    conversation: Conversation,
    stamp: Stamp,
    *,
    id: str,
    model: str,
    created: int | None = None,
    output: list[Any] | None = None,
    finish: FinishReason | None = None,
    usage: Usage | None = None,
    service_tier: str | None = None,
) -> dict[str, Any]:
    """Return a response; without a finish reason it is in progress."""
    reason = _REASONS.get(finish or "")
    echo = {name: value for name, value in conversation.echo.items() if name != WANTS_PROOFS}
    status = "in_progress" if finish is None else "incomplete" if reason else "completed"
    response = {
        "id": id or stamp.id("resp_"),
        "object": "response",
        "created_at": created or stamp.created,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": {"reason": reason} if reason else None,
        "model": model or stamp.model,
        "output": output or [],
        "previous_response_id": None,
        "store": False,
        **_DEFAULTS,
        **echo,
        "usage": None if usage is None else write_usage(usage),
    }
    return response if service_tier is None else response | {"service_tier": service_tier}


def write_answer(answer: Answer, conversation: Conversation, stamp: Stamp) -> bytes:
    """Return an answer as a response."""
    writer = _ItemWriter(conversation, stamp, answer.logprobs)
    response = response_object(
        conversation,
        stamp,
        id=answer.id,
        model=answer.model,
        created=answer.created,
        output=[*writer.items(answer.parts)],
        finish=answer.finish or "stop",
        usage=answer.usage,
        service_tier=answer.service_tier,
    )
    return msgspec.json.encode(response)


class _ItemWriter:
    """Writes parts as items of an output."""

    def __init__(
        self, conversation: Conversation, stamp: Stamp, logprobs: Sequence[TokenLogprob]
    ) -> None:
        self._stamp = stamp
        self._logprobs = write_tokens(logprobs)
        self._custom = custom_names(conversation)
        self._names = names_of(conversation.tools)
        self._wants_proofs = wants_proofs(conversation)
        self._number = 0

    def items(self, parts: tuple[Part, ...]) -> Iterator[dict[str, Any]]:
        content: list[dict[str, Any]] = []
        for part in parts:
            if isinstance(part, Text | Refusal):
                content.append(self._content(part))
                continue
            if content:
                yield self._message(content)
                content = []
            if isinstance(part, Reasoning):
                yield self._reasoning(part)
            elif isinstance(part, ToolCall):
                if part.proof is not None:
                    yield self._reasoning(Reasoning("", part.proof))
                yield self._call(part)
            elif isinstance(part, Image):
                if part.proof is not None:
                    yield self._reasoning(Reasoning("", part.proof))
                if part.data:
                    yield image_item(part, self._id("ig_"))
        if content:
            yield self._message(content)

    def _id(self, prefix: str) -> str:
        self._number += 1
        return self._stamp.id(prefix, self._number)

    def _message(self, content: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self._id("msg_"),
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": content,
        }

    def _content(self, part: Text | Refusal) -> dict[str, Any]:
        if isinstance(part, Refusal):
            return {"type": "refusal", "refusal": part.text}
        notes = [_annotation(cited, part.text) for cited in part.citations if cited.url]
        tokens, self._logprobs = self._logprobs, []  # of the first text
        return {"type": "output_text", "text": part.text, "annotations": notes, "logprobs": tokens}

    def _reasoning(self, part: Reasoning) -> dict[str, Any]:
        summary = [{"type": "summary_text", "text": part.text}] if part.text else []
        item = {"id": self._id("rs_"), "type": "reasoning", "summary": summary}
        if self._wants_proofs and part.proof is not None:
            sealed = seal(part.proof, native=RESPONSES, is_redacted=part.is_redacted)
            item["encrypted_content"] = sealed
        return item

    def _call(self, call: ToolCall) -> dict[str, Any]:
        if call.is_custom or call.name in self._custom:
            input = call.arguments if call.is_custom else custom_input(call.arguments)
            item = {"id": self._id("ctc_"), "type": "custom_tool_call", "input": input}
        else:
            arguments = arguments_of(call) or "{}"
            item = {"id": self._id("fc_"), "type": "function_call", "arguments": arguments}
            item["status"] = "completed"
        return {**item, "call_id": call.id, "name": call.name, **self._names.get(call.name, {})}


def _annotation(cited: Citation, text: str) -> dict[str, Any]:
    place = {"type": "url_citation", "start_index": 0, "end_index": len(text)}
    return place | {"url": cited.url, "title": cited.title}


def write_usage(usage: Usage) -> dict[str, Any]:
    """Return token counts; the input includes what was read from a cache or written to it."""
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
