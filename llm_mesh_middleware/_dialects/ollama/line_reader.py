"""Reads the lines of a stream as deltas.

line ─► error? ──► Failed, and nothing after it
     ├► thinking, content ──► their deltas; an empty one is nothing
     ├► tool_calls ──► ToolStart, ToolArguments, ToolEnd: a call comes whole
     └► done ──► usage, Finish, End
the end of the bytes before that ──► nothing: the stream was cut off
"""

from __future__ import annotations

from collections.abc import Sequence

from ..._core.conversation.answer import (
    Delta,
    End,
    Failed,
    Finish,
    LogprobsDelta,
    ReasoningDelta,
    Start,
    TextDelta,
    ToolArguments,
    ToolEnd,
    ToolStart,
)
from ..._core.conversation.writing import Stamp
from ...exceptions import UpstreamProtocolError
from ..lenient import LenientDecoder
from ..translation.events import BrokenStream
from ..translation.faults import fault_of
from .answers import ChatAnswer, Message, arguments_of, call_id, finish_of, tokens_of

__all__ = ["LineReader"]

_MAX_LINE = 16 * 2**20

_decode = LenientDecoder(ChatAnswer)


class LineReader:
    """Reads one stream."""

    __slots__ = ("_calls", "_has_started", "_is_over", "_pieces", "_size", "_stamp")

    def __init__(self, stamp: Stamp) -> None:
        self._stamp = stamp
        self._pieces: list[bytes] = []  # of a line whose end has not come
        self._size = 0
        self._calls = 0
        self._has_started = False
        self._is_over = False

    def feed(self, data: bytes) -> Sequence[Delta]:
        """Return the deltas of the lines that `data` completes.

        Raises:
            BrokenStream: A line is too long, or is not JSON.
        """
        deltas: list[Delta] = []
        *whole, rest = data.split(b"\n")
        for line in whole:
            if self._pieces:
                line = b"".join((*self._pieces, line))
                self._pieces.clear()
                self._size = 0
            try:
                self._read(line, deltas)
            except UpstreamProtocolError as exc:
                raise BrokenStream(exc.message, deltas) from exc
        if rest:
            self._pieces.append(rest)
            self._size += len(rest)
            if self._size > _MAX_LINE:
                raise BrokenStream(f"sent a line of more than {_MAX_LINE} bytes", deltas)
        return deltas

    def finish(self) -> Sequence[Delta]:
        """Return the deltas of a last line without an end; half a line is dropped."""
        deltas: list[Delta] = []
        try:
            self._read(b"".join(self._pieces), deltas)
        except UpstreamProtocolError:
            deltas.clear()
        return deltas

    def _read(self, line: bytes, deltas: list[Delta]) -> None:
        if self._is_over or not line.strip():
            return
        answer = _decode(line)
        if answer is None:
            raise UpstreamProtocolError("sent a line that is not JSON")
        if answer.error is not None:
            self._is_over = True
            deltas.append(Failed(fault_of(200, line)))
            return
        if not self._has_started:
            self._has_started = True
            deltas.append(Start(model=answer.model or ""))
        if tokens := tokens_of(answer):
            deltas.append(LogprobsDelta(tokens))
        if answer.message is not None:
            self._read_message(answer.message, deltas)
        if answer.done:
            self._end(answer, deltas)

    def _read_message(self, message: Message, deltas: list[Delta]) -> None:
        if message.thinking:
            deltas.append(ReasoningDelta(message.thinking))
        if message.content:
            deltas.append(TextDelta(message.content))
        for call in message.tool_calls or ():
            if call.function is None:
                continue
            key = self._calls
            self._calls += 1
            id = call_id(call, key, self._stamp)
            deltas.append(ToolStart(key, id, call.function.name))
            deltas.append(ToolArguments(key, arguments_of(call)))
            deltas.append(ToolEnd(key))

    def _end(self, answer: ChatAnswer, deltas: list[Delta]) -> None:
        self._is_over = True
        finish = finish_of(answer.done_reason, has_calls=self._calls > 0)
        if (usage := answer.counted()) is not None:
            deltas.append(usage)
        deltas.append(Finish(finish))
        deltas.append(End())
