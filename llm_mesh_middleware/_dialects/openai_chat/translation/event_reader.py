"""Reads the chunks of a chat completion as deltas.

chunk ─► error? ──► Failed, and nothing after it
      ├► reasoning, content, refusal ──► their deltas; an empty one is nothing
      ├► reasoning_details ──► each ends as the next begins, or something else than reasoning
      ├► annotations with a URL ──► CitationDelta, after the text
      ├► images ──► each is whole; audio ──► its transcript is text, the sound is Lost
      ├► tool_calls[i] ──► ToolStart once id and name are known, then ToolArguments
      ├► finish_reason ──► kept: usage may follow, and several servers repeat it
      └► usage ──► Usage; the last one counts
[DONE], or the end of the bytes after a finish_reason ──► Finish, End
"""

from __future__ import annotations

import msgspec

from ...._core.conversation.answer import (
    CitationDelta,
    Delta,
    End,
    Failed,
    Finish,
    LogprobsDelta,
    Lost,
    ReasoningDelta,
    RefusalDelta,
    Start,
    TextDelta,
    ToolArguments,
    ToolStart,
)
from ...._core.conversation.writing import Stamp
from ....exceptions import UpstreamProtocolError
from ...error_objects import reports_error
from ...lenient import LenientDecoder
from ...translation.events import ServerSentReader
from ...translation.faults import fault_of
from ..facts import DONE
from ..usage import ChatUsage, Groq
from .answers import AUDIO, Annotation, Logprobs, citations_of, finish_of, tokens_of
from .calls import CallPiece, OpenCall, OpenCalls
from .media import AudioMember, read_images
from .text_members import TextMembers
from .vendor_proofs import DetailReader, extra_proof

__all__ = ["event_reader"]


class _Delta(TextMembers, gc=False):
    tool_calls: list[CallPiece] | None = None
    annotations: list[Annotation] | None = None


class _Choice(msgspec.Struct, gc=False):
    delta: _Delta | None = None
    finish_reason: object = None
    logprobs: Logprobs | None = None
    usage: ChatUsage | None = None  # Moonshot


class _Chunk(msgspec.Struct, gc=False):
    id: str | None = None
    model: str | None = None
    service_tier: str | None = None
    type: str | None = None
    choices: list[_Choice] | None = None
    usage: ChatUsage | None = None
    x_groq: Groq | None = None
    error: object = None


_decode = LenientDecoder(_Chunk)


class _ChunkReader:
    def __init__(self, stamp: Stamp) -> None:
        self._stamp = stamp
        self._has_started = False
        self._is_over = False
        self._calls = OpenCalls()
        self._details = DetailReader(stamp.host)
        self._reason: object = None
        self._tier: str | None = None

    def read(self, data: bytes, name: bytes, deltas: list[Delta]) -> None:
        """Add the deltas of one event."""
        if self._is_over:
            return
        if data.strip() == DONE:
            self.close(deltas)
            return
        chunk = _decode(data)
        if chunk is None:
            raise UpstreamProtocolError("sent an event that is not JSON")
        if name == b"error" or reports_error(
            chunk.error, chunk.type, has_content=bool(chunk.choices)
        ):
            self._is_over = True
            deltas.append(Failed(fault_of(200, data)))
            return
        if not self._has_started and (chunk.id or chunk.choices):
            self._has_started = True
            deltas.append(Start(chunk.id or "", chunk.model or "", None, chunk.service_tier))
        if chunk.service_tier is not None:
            self._tier = chunk.service_tier
        if chunk.choices:
            # One choice was requested, so it is this one. Its index may count events.
            self._read_choice(chunk.choices[0], deltas)
        if chunk.x_groq is not None:
            _count(chunk.x_groq.usage, deltas)
        _count(chunk.usage, deltas)

    def close(self, deltas: list[Delta]) -> None:
        """Add the end, if the stream had a finish reason."""
        reason = finish_of(self._reason, has_calls=bool(self._calls.all))
        if self._is_over or reason is None:
            return
        self._is_over = True
        for call in self._calls.all:
            self._start_call(call, deltas)
        self._details.end(deltas)
        deltas.append(Finish(reason, None, self._tier))
        deltas.append(End())

    def _read_choice(self, choice: _Choice, deltas: list[Delta]) -> None:
        delta = choice.delta
        if delta is not None:
            content = delta.content
            is_plain = content.__class__ is str  # as in most chunks
            if delta.reasoning_details:
                self._details.read(delta.reasoning_details, delta.thought, deltas)
            elif (not is_plain or delta.reasoning_content or delta.reasoning) and (
                thought := delta.thought
            ):
                deltas.append(ReasoningDelta(thought))
            if self._details.open is not None and (delta.has_answer or delta.tool_calls):
                self._details.end(deltas)
            if choice.logprobs is not None and (tokens := tokens_of(choice.logprobs)):
                deltas.append(LogprobsDelta(tokens))
            if text := content if content.__class__ is str else delta.text:
                deltas.append(TextDelta(text))
            if delta.annotations:
                deltas += map(CitationDelta, citations_of(delta.annotations))
            if delta.refusal:
                deltas.append(RefusalDelta(delta.refusal))
            if delta.images or content.__class__ is list:
                deltas += read_images(delta.image_members)
            if delta.audio is not None:
                _hear(delta.audio, deltas)
            for position, piece in enumerate(delta.tool_calls or ()):
                self._read_call(piece, position, deltas)
        self._reason = choice.finish_reason or self._reason
        _count(choice.usage, deltas)

    def _read_call(self, piece: CallPiece, position: int, deltas: list[Delta]) -> None:
        call = self._calls.take(piece, position)
        if not call.is_started and call.id and call.name:
            self._start_call(call, deltas)
        arguments = piece.function.text if piece.function is not None else ""
        if not arguments:
            return
        if call.is_started:
            deltas.append(ToolArguments(call.key, arguments))
        else:
            call.held.append(arguments)

    def _start_call(self, call: OpenCall, deltas: list[Delta]) -> None:
        if call.is_started or not call.name:
            return
        call.is_started = True
        id = call.id or self._stamp.id("call_", call.key)
        proof = extra_proof(call.extra, self._stamp.host) if call.extra else None
        deltas.append(ToolStart(call.key, id, call.name, proof=proof))
        if call.held:
            deltas.append(ToolArguments(call.key, "".join(call.held)))


def _hear(audio: AudioMember, deltas: list[Delta]) -> None:
    if audio.transcript:
        deltas.append(TextDelta(audio.transcript))
    if audio.data:
        deltas.append(Lost(AUDIO))


def _count(usage: ChatUsage | None, deltas: list[Delta]) -> None:
    if usage is not None and (counted := usage.counted()) is not None:
        deltas.append(counted)


def event_reader(stamp: Stamp) -> ServerSentReader:
    """Return the reader of one stream of chunks."""
    reader = _ChunkReader(stamp)
    return ServerSentReader(reader.read, reader.close)
