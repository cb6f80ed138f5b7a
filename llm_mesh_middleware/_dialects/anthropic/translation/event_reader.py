"""Reads the events of a message as deltas.

message_start ──► Start, with the usage of the input
content_block_start / _delta / _stop ──► the deltas of that block; its index is a call's key
message_delta ──► the usage is updated; its stop_reason is kept; what explains it is a refusal
message_stop, or the end of the bytes after a stop_reason ──► Finish, End
ping, and unknown events ──► nothing; unknown blocks ──► Lost
error ──► Failed, and nothing after it
"""

from __future__ import annotations

import msgspec

from ...._core.conversation.answer import (
    CitationDelta,
    Delta,
    End,
    Failed,
    Finish,
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
from ...._core.conversation.parts import Citation, Proof
from ...._core.conversation.writing import Stamp
from ....exceptions import UpstreamProtocolError
from ...lenient import LenientDecoder
from ...translation.events import ServerSentReader
from ...translation.faults import fault_of
from ...translation.proofs import ANTHROPIC, own_proof
from ..usage import MessageUsage
from .answers import FINISHES, StopDetails, lost_name

__all__ = ["event_reader"]


class _Message(msgspec.Struct, gc=False):
    id: str | None = None
    model: str | None = None
    usage: MessageUsage | None = None


class _Block(msgspec.Struct, gc=False):
    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: dict[str, object] | None = None


class _Citation(msgspec.Struct, gc=False):
    url: str | None = None
    title: str | None = None
    cited_text: str | None = None


class _Delta(msgspec.Struct, gc=False):
    type: str = ""
    text: str | None = None
    partial_json: str | None = None
    thinking: str | None = None
    signature: str | None = None
    citation: _Citation | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: StopDetails | None = None


class _Event(msgspec.Struct, gc=False):
    type: str | None = None
    index: int = 0
    message: _Message | None = None
    content_block: _Block | None = None
    delta: _Delta | None = None
    usage: MessageUsage | None = None


_decode = LenientDecoder(_Event)


class MessageEventReader:
    """Reads one stream."""

    def __init__(self, stamp: Stamp) -> None:
        self._stamp = stamp
        self._types: dict[int, str] = {}
        self._signature: list[str] = []
        self._usage: MessageUsage | None = None
        self._reason: str | None = None
        self._sequence: str | None = None
        self._is_over = False

    def read(self, data: bytes, name: bytes, deltas: list[Delta]) -> None:
        """Add the deltas of one event.

        Raises:
            UpstreamProtocolError: It is not JSON.
        """
        if self._is_over:
            return
        event = _decode(data)
        if event is None:
            raise UpstreamProtocolError("sent an event that is not JSON")
        match event.type or name.decode("latin-1"):
            case "content_block_delta":
                if event.delta is not None:
                    self._read_delta(event.index, event.delta, deltas)
            case "content_block_start":
                if event.content_block is not None:
                    self._start_block(event.index, event.content_block, deltas)
            case "content_block_stop":
                self._stop_block(event.index, deltas)
            case "message_start":
                self._start(event.message or _Message(), deltas)
            case "message_delta":
                self._read_end(event, deltas)
            case "message_stop":
                self.close(deltas)
            case "error":
                self._is_over = True
                deltas.append(Failed(fault_of(200, data)))

    def close(self, deltas: list[Delta]) -> None:
        """Add the end, if the stream had a stop reason."""
        if self._is_over or self._reason is None:
            return
        self._is_over = True
        deltas.append(Finish(FINISHES.get(self._reason, "stop"), self._sequence))
        deltas.append(End())

    def _start(self, message: _Message, deltas: list[Delta]) -> None:
        self._usage = message.usage
        usage = None if message.usage is None else message.usage.counted()
        deltas.append(Start(message.id or "", message.model or "", usage))

    def _start_block(self, index: int, block: _Block, deltas: list[Delta]) -> None:
        self._types[index] = block.type
        match block.type:
            case "text":
                if block.text:
                    deltas.append(TextDelta(block.text))
            case "thinking":
                self._signature = [block.signature or ""]
                if block.thinking:
                    deltas.append(ReasoningDelta(block.thinking))
            case "redacted_thinking":
                deltas.append(ReasoningEnd(Proof(ANTHROPIC, block.data or ""), is_redacted=True))
            case "tool_use":
                id = block.id or self._stamp.id("toolu_", index)
                deltas.append(ToolStart(index, id, block.name or ""))
                if block.input:  # some servers send it whole
                    text = msgspec.json.encode(block.input).decode()
                    deltas.append(ToolArguments(index, text))
            case _:
                deltas.append(Lost(lost_name(block.type)))

    def _read_delta(self, index: int, delta: _Delta, deltas: list[Delta]) -> None:
        match delta.type:
            case "text_delta":
                if delta.text:
                    deltas.append(TextDelta(delta.text))
            case "input_json_delta":
                if delta.partial_json and self._types.get(index) == "tool_use":
                    deltas.append(ToolArguments(index, delta.partial_json))
            case "thinking_delta":
                if delta.thinking:
                    deltas.append(ReasoningDelta(delta.thinking))
            case "signature_delta":
                self._signature.append(delta.signature or "")
            case "citations_delta":
                cited = delta.citation
                if cited is not None and cited.url:
                    citation = Citation(cited.url, cited.title or "", cited.cited_text or "")
                    deltas.append(CitationDelta(citation))

    def _stop_block(self, index: int, deltas: list[Delta]) -> None:
        match self._types.pop(index, ""):
            case "thinking":
                deltas.append(ReasoningEnd(own_proof(ANTHROPIC, "".join(self._signature))))
            case "tool_use":
                deltas.append(ToolEnd(index))

    def _read_end(self, event: _Event, deltas: list[Delta]) -> None:
        if event.usage is not None:
            self._usage = event.usage.after(self._usage)
            if (counted := self._usage.counted()) is not None:
                deltas.append(counted)
        if event.delta is not None and event.delta.stop_reason:
            self._reason = event.delta.stop_reason
            self._sequence = event.delta.stop_sequence
            details = event.delta.stop_details
            if details is not None and details.explanation:
                deltas.append(RefusalDelta(details.explanation))


def event_reader(stamp: Stamp) -> ServerSentReader:
    """Return the reader of one stream of named events."""
    reader = MessageEventReader(stamp)
    return ServerSentReader(reader.read, reader.close)
