"""Reads the events of a response as deltas.

response.created ──► Start
output_item.added of a call ──► ToolStart; its output index is the call's key
... .delta ──► the delta of text, refusal, reasoning, arguments
... .done, output_item.done of a message ──► the whole text, if there was no delta before
output_item.done of reasoning ──► ReasoningEnd; of a call ──► ToolEnd; of an image ──► Image
partial_image ──► ImageDraft
output_item.done of a tool that ran at the provider ──► Lost
response.completed, response.incomplete ──► its output, if nothing came before; Usage, Finish, End
response.failed, error ──► Failed
"""

from __future__ import annotations

import msgspec

from ...._core.conversation.answer import (
    CitationDelta,
    Delta,
    End,
    Failed,
    Finish,
    ImageDraft,
    LogprobsDelta,
    Lost,
    ReasoningDelta,
    ReasoningEnd,
    RefusalDelta,
    Start,
    TextDelta,
    ToolArguments,
    ToolEnd,
    ToolStart,
)
from ...._core.conversation.writing import Stamp
from ....exceptions import UpstreamProtocolError
from ...lenient import LenientDecoder
from ...openai.logprobs import TokenMember, read_tokens
from ...translation.events import ServerSentReader
from ...translation.faults import fault_of
from ...translation.proofs import RESPONSES, own_proof
from .answers import (
    ItemMember,
    ResponseMember,
    URLCitation,
    citation_of,
    finish_of,
)
from .hosted_items import lost_name, made_image

__all__ = ["event_reader"]

_CALLS = ("function_call", "custom_tool_call")
_ENDS = ("response.completed", "response.incomplete")
_FAILURES = ("response.failed", "response.cancelled", "error")


class _Event(msgspec.Struct, gc=False):
    type: str | None = None
    output_index: int = 0
    content_index: int = 0
    summary_index: int = 0
    delta: str | None = None
    logprobs: list[TokenMember] | None = None
    text: str | None = None
    refusal: str | None = None
    arguments: str | None = None
    input: str | None = None
    item: ItemMember | None = None
    annotation: URLCitation | None = None
    partial_image_b64: str | None = None
    output_format: str | None = None
    response: ResponseMember | None = None


class _Failure(msgspec.Struct):
    response: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_decode = LenientDecoder(_Event)
_decode_failure = msgspec.json.Decoder(_Failure).decode


class ResponseEventReader:
    """Reads one stream."""

    def __init__(self, stamp: Stamp) -> None:
        self._stamp = stamp
        self._has_started = False
        self._is_over = False
        self._calls: set[int] = set()
        self._has_items = False  # that are complete
        # Texts of which a delta was read: the whole text that follows is a repetition.
        self._read_texts: set[tuple[str, int, int]] = set()

    def read(self, data: bytes, name: bytes, deltas: list[Delta]) -> None:
        """Add the deltas of one event.

        Raises:
            UpstreamProtocolError: It is not JSON.
        """
        if self._is_over or data.strip() == b"[DONE]":
            return
        event = _decode(data)
        if event is None:
            raise UpstreamProtocolError("sent an event that is not JSON")
        type = event.type or name.decode("latin-1")
        if type in _FAILURES:
            self._is_over = True
            deltas.append(Failed(fault_of(200, _error_of(data))))
            return
        if event.response is not None:
            self._start(event.response, deltas)
        if type in _ENDS:
            self._end(event.response or ResponseMember(), deltas)
        elif type.endswith(".delta"):
            self._read_delta(type, event, deltas)
        elif type.endswith(".done"):
            self._read_done(type, event, deltas)
        else:
            self._read_other(type, event, deltas)

    def close(self, deltas: list[Delta]) -> None:
        """Add nothing: only an event can end a response."""

    def _start(self, response: ResponseMember, deltas: list[Delta]) -> None:
        if not self._has_started:
            self._has_started = True
            # Until the end, `auto` repeats the request.
            tier = None if response.service_tier == "auto" else response.service_tier
            deltas.append(Start(response.id or "", response.model or "", None, tier))

    def _read_delta(self, type: str, event: _Event, deltas: list[Delta]) -> None:
        text, key = event.delta, event.output_index
        if not text:
            return
        match type:
            case "response.output_text.delta":
                self._read_texts.add(("text", key, event.content_index))
                if event.logprobs:
                    deltas.append(LogprobsDelta(read_tokens(event.logprobs)))
                deltas.append(TextDelta(text))
            case "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta":
                self._read_texts.add(("call", key, 0))
                deltas.append(ToolArguments(key, text))
            case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
                self._read_texts.add(("reasoning", key, 0))
                deltas.append(ReasoningDelta(text))
            case "response.refusal.delta":
                self._read_texts.add(("refusal", key, event.content_index))
                deltas.append(RefusalDelta(text))

    def _read_done(self, type: str, event: _Event, deltas: list[Delta]) -> None:
        key, index = event.output_index, event.content_index
        match type:
            case "response.output_text.done":
                self._whole_text(key, index, event.text, deltas)
            case "response.refusal.done":
                self._whole_refusal(key, index, event.refusal, deltas)
            case "response.function_call_arguments.done" | "response.custom_tool_call_input.done":
                self._whole_call(key, event.arguments or event.input or "", deltas)
            case "response.output_item.done" if event.item is not None:
                self._end_item(key, event.item, deltas)

    def _read_other(self, type: str, event: _Event, deltas: list[Delta]) -> None:
        match type:
            case "response.output_item.added" if event.item is not None:
                if event.item.type in _CALLS:
                    self._start_call(event.output_index, event.item, deltas)
            case "response.reasoning_summary_part.added" if event.summary_index:
                deltas.append(ReasoningDelta("\n\n"))
            case "response.image_generation_call.partial_image":
                if image := made_image(event.partial_image_b64 or "", event.output_format):
                    deltas.append(ImageDraft(image))
            case "response.output_text.annotation.added" if event.annotation is not None:
                if event.annotation.url:
                    deltas.append(CitationDelta(citation_of(event.annotation)))

    def _start_call(self, key: int, item: ItemMember, deltas: list[Delta]) -> None:
        if key in self._calls:
            return
        self._calls.add(key)
        is_custom = item.type == "custom_tool_call"
        id = item.call_id or self._stamp.id("call_", key)
        deltas.append(ToolStart(key, id, item.name or "", is_custom))

    def _whole_call(self, key: int, text: str, deltas: list[Delta]) -> None:
        if text and ("call", key, 0) not in self._read_texts:
            self._read_texts.add(("call", key, 0))
            deltas.append(ToolArguments(key, text))

    def _whole_text(self, key: int, index: int, text: str | None, deltas: list[Delta]) -> None:
        if text and ("text", key, index) not in self._read_texts:
            self._read_texts.add(("text", key, index))
            deltas.append(TextDelta(text))

    def _whole_refusal(self, key: int, index: int, text: str | None, deltas: list[Delta]) -> None:
        if text and ("refusal", key, index) not in self._read_texts:
            self._read_texts.add(("refusal", key, index))
            deltas.append(RefusalDelta(text))

    def _end_item(self, key: int, item: ItemMember, deltas: list[Delta]) -> None:
        self._has_items = True
        if item.type in _CALLS:
            self._start_call(key, item, deltas)
            self._whole_call(key, item.arguments or item.input or "", deltas)
            deltas.append(ToolEnd(key))
        elif item.type == "message":
            for index, part in enumerate(item.content or ()):
                self._whole_text(key, index, part.text, deltas)
                self._whole_refusal(key, index, part.refusal, deltas)
        elif item.type == "reasoning":
            if ("reasoning", key, 0) not in self._read_texts:
                texts = (part.text for part in item.summary or item.content or ())
                if text := "\n\n".join(text for text in texts if text):
                    deltas.append(ReasoningDelta(text))
            deltas.append(ReasoningEnd(own_proof(RESPONSES, item.encrypted_content)))
        elif (image := item.image) is not None:
            deltas.append(image)
        else:
            deltas.append(Lost(lost_name(item.type)))

    def _end(self, response: ResponseMember, deltas: list[Delta]) -> None:
        self._is_over = True
        if not (
            self._read_texts or self._calls or self._has_items
        ):  # all of it is in the last event
            for key, item in enumerate(response.output or ()):
                self._end_item(key, item, deltas)
        if response.usage is not None and (usage := response.usage.counted()) is not None:
            deltas.append(usage)
        finish = finish_of(response, has_calls=bool(self._calls)) or "stop"
        deltas.append(Finish(finish, None, response.service_tier))
        deltas.append(End())


def _error_of(data: bytes) -> bytes:
    """Return the error object in an event: the event itself, or the response that failed."""
    try:
        response = _decode_failure(data).response
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return data
    return bytes(response) if isinstance(response, msgspec.Raw) else data


def event_reader(stamp: Stamp) -> ServerSentReader:
    """Return the reader of one stream of named events."""
    reader = ResponseEventReader(stamp)
    return ServerSentReader(reader.read, reader.close)
