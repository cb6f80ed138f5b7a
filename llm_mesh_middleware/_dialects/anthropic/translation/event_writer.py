"""Writes deltas as the events of a message, which has one open block at a time.

Blocks wait in a queue, in the order in which they began. The first one is open, and its deltas are
sent as they arrive; those of the others are held.

    the open block      is closed as soon as
    text, thinking      another block has begun
    tool_use            it ends, or another block begins and its arguments are whole JSON
    any                 the answer ends

The stop reason is held until the last usage: both are sent in one event.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

import msgspec

from ...._core.conversation.answer import (
    Delta,
    End,
    Failed,
    Finish,
    ReasoningDelta,
    ReasoningEnd,
    RefusalDelta,
    Start,
    TextDelta,
    ToolArguments,
    ToolEnd,
    ToolStart,
    Usage,
)
from ...._core.conversation.request import Conversation
from ...._core.conversation.writing import Stamp
from ...._core.http.sse import make_event
from ....exceptions import AnswerableError, UpstreamProtocolError
from ...translation.proofs import ANTHROPIC, seal
from ...translation.texts import json_object
from .answers import reply_model, stop_reason, write_fault, write_usage

__all__ = ["MessageEventWriter"]

_encode = msgspec.json.Encoder().encode
# The kind of a block -> the type of its deltas, and the member with the text.
_DELTAS = {
    "text": (b"text_delta", b"text"),
    "thinking": (b"thinking_delta", b"thinking"),
    "tool_use": (b"input_json_delta", b"partial_json"),
}


class _Block:
    """A block that may grow. Once it is open, its deltas are sent rather than held."""

    __slots__ = ("arguments", "begin", "held", "is_done", "kind", "name", "signature")

    def __init__(self, kind: str, begin: dict[str, Any], name: str = "") -> None:
        self.kind = kind
        self.begin = begin
        self.name = name
        self.held: list[str] = []
        self.arguments: list[str] = []
        self.signature: str | None = None
        self.is_done = kind == "redacted_thinking"

    def has_whole_arguments(self) -> bool:
        text = "".join(self.arguments)
        self.arguments = [text]
        return not text or json_object(text) is not None


class MessageEventWriter:
    """Writes one answer."""

    def __init__(self, conversation: Conversation, stamp: Stamp, error: Any) -> None:
        """`error` returns the event for an error of the mesh."""
        self._conversation = conversation
        self._stamp = stamp
        self._error = error
        self._queue: deque[_Block] = deque()
        self._calls: dict[int, _Block] = {}
        self._index = -1
        self._is_open = False
        self._has_begun = False
        self._is_over = False
        self._refuses = False
        self._usage: Usage | None = None
        self._finish: Finish | None = None

    def write(self, deltas: Iterable[Delta]) -> bytes:
        """Return the events of deltas.

        Raises:
            UpstreamProtocolError: A call's arguments are not a JSON object.
        """
        out: list[bytes] = []
        for delta in deltas:
            if self._is_over:
                break
            self._write(delta, out)
        return b"".join(out)

    def fail(self, error: AnswerableError) -> bytes:
        """Return an error event."""
        self._is_over = True
        event: bytes = self._error(error)
        return event

    def _write(self, delta: Delta, out: list[bytes]) -> None:
        match delta:
            case TextDelta(text):
                self._add_text("text", text, out)
            case ToolArguments(key, text):
                if (call := self._calls.get(key)) is not None and text:
                    call.arguments.append(text)
                    self._add(call, text, out)
            case ReasoningDelta(text):
                self._add_text("thinking", text, out)
            case ReasoningEnd():
                self._end_reasoning(delta, out)
            case RefusalDelta(text):
                self._refuses = True
                self._add_text("text", text, out)
            case ToolStart():
                self._start_call(delta, out)
            case ToolEnd(key):
                if (call := self._calls.get(key)) is not None:
                    call.is_done = True
                    self._advance(out)
            case Start():
                self._start(delta, out)
            case Usage():
                self._usage = delta.after(self._usage)
            case Finish():
                self._finish = delta
            case Failed(fault):
                self._is_over = True
                out.append(make_event(write_fault(fault).body, name=b"error"))
            case End():
                self._end(out)
            case _:
                pass

    def _start(self, start: Start, out: list[bytes]) -> None:
        if self._has_begun:
            return
        self._has_begun = True
        self._usage = start.usage or self._usage
        message: dict[str, Any] = {
            "id": start.id or self._stamp.id("msg_"),
            "type": "message",
            "role": "assistant",
            "model": reply_model(start.model, self._conversation, self._stamp),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": write_usage(self._usage or Usage(0, 0)),
        }
        out.append(_event("message_start", message=message))

    def _add_text(self, kind: str, text: str, out: list[bytes]) -> None:
        last = self._queue[-1] if self._queue else None
        if last is not None and last.kind == kind and not last.is_done:
            self._add(last, text, out)
            return
        if kind == "text" and last is not None and last.kind == "tool_use" and not text.strip():
            return  # between two calls
        begin: dict[str, Any] = {"type": kind, kind: ""}
        if kind == "thinking":
            begin["signature"] = ""
        self._begin(_Block(kind, begin), out)
        self._add(self._queue[-1], text, out)

    def _start_call(self, start: ToolStart, out: list[bytes]) -> None:
        if start.proof is not None:
            carrier = _Block("thinking", {"type": "thinking", "thinking": "", "signature": ""})
            carrier.signature, carrier.is_done = seal(start.proof, native=ANTHROPIC), True
            self._begin(carrier, out)
        begin = {"type": "tool_use", "id": start.id, "name": start.name, "input": {}}
        block = self._calls[start.key] = _Block("tool_use", begin, start.name)
        self._begin(block, out)

    def _end_reasoning(self, end: ReasoningEnd, out: list[bytes]) -> None:
        sealed = seal(end.proof, native=ANTHROPIC, is_redacted=end.is_redacted)
        if end.is_redacted:
            begin = {"type": "redacted_thinking", "data": sealed}
            self._begin(_Block("redacted_thinking", begin), out)
            return
        last = self._queue[-1] if self._queue else None
        if last is None or last.kind != "thinking" or last.is_done:
            if end.proof is None:
                return
            begin = {"type": "thinking", "thinking": "", "signature": ""}
            last = _Block("thinking", begin)
            self._begin(last, out)
        last.signature, last.is_done = sealed, True
        self._advance(out)

    def _begin(self, block: _Block, out: list[bytes]) -> None:
        """Put a block at the end of the queue; this may complete earlier ones."""
        for earlier in self._queue:
            if earlier.kind != "tool_use":
                earlier.is_done = True
        self._queue.append(block)
        head = self._queue[0]
        if head is not block and head.kind == "tool_use" and not head.is_done:
            head.is_done = bool(head.arguments) and head.has_whole_arguments()
        self._advance(out)

    def _add(self, block: _Block, text: str, out: list[bytes]) -> None:
        if self._is_open and self._queue[0] is block:
            out.append(self._delta(block, text))
        else:
            block.held.append(text)

    def _advance(self, out: list[bytes]) -> None:
        """Close what is complete at the head of the queue, and open what follows."""
        while self._queue:
            head = self._queue[0]
            if not self._is_open:
                self._open(head, out)
            if not head.is_done:
                return
            self._close(head, out)
            self._queue.popleft()

    def _open(self, block: _Block, out: list[bytes]) -> None:
        self._start(Start(), out)
        self._is_open = True
        self._index += 1
        out.append(_event("content_block_start", index=self._index, content_block=block.begin))
        if block.held:
            out.append(self._delta(block, "".join(block.held)))
            block.held.clear()

    def _close(self, block: _Block, out: list[bytes]) -> None:
        if block.kind == "thinking":
            signature = block.signature
            sealed = seal(None, native=ANTHROPIC) if signature is None else signature
            delta = {"type": "signature_delta", "signature": sealed}
            out.append(_event("content_block_delta", index=self._index, delta=delta))
        out.append(_event("content_block_stop", index=self._index))
        self._is_open = False

    def _delta(self, block: _Block, text: str) -> bytes:
        kind, member = _DELTAS[block.kind]
        return (
            b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,'
            b'"delta":{"type":"%b","%b":%b}}\n\n' % (self._index, kind, member, _encode(text))
        )

    def _end(self, out: list[bytes]) -> None:
        finish = self._finish or Finish("stop")
        for block in self._queue:
            block.is_done = True
        if finish.reason != "length":
            for call in self._calls.values():
                if not call.has_whole_arguments():
                    raise UpstreamProtocolError(
                        f"called {call.name!r} with arguments that are not a JSON object"
                    )
        self._advance(out)
        self._start(Start(), out)
        self._is_over = True
        reason = stop_reason(finish.reason, finish.stop_sequence, refuses=self._refuses)
        delta = {"stop_reason": reason, "stop_sequence": finish.stop_sequence}
        usage = write_usage(self._usage or Usage(0, 0))
        out.append(_event("message_delta", delta=delta, usage=usage))
        out.append(_event("message_stop"))


def _event(type: str, **members: Any) -> bytes:
    return make_event(_encode({"type": type, **members}), name=type.encode())
