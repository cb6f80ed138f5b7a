"""Reads the events of generated content as deltas.

the first event ──► Start
a part ──► the deltas of it; a call comes whole
usageMetadata ──► the usage is replaced
citations, what a search has found ──► CitationDelta, each URL once
a finish reason ──► kept: usage, or an empty part, may follow it
the end of the bytes after it ──► Finish, End
an error ──► Failed, and nothing after it
"""

from __future__ import annotations

from ...._core.conversation.answer import (
    CitationDelta,
    Delta,
    End,
    Failed,
    Finish,
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
from ...._core.conversation.parts import Proof
from ...._core.conversation.writing import Stamp
from ....exceptions import UpstreamProtocolError
from ...lenient import LenientDecoder
from ...translation.events import ServerSentReader
from ...translation.faults import fault_of
from ...translation.proofs import GEMINI, own_proof
from ...translation.texts import called_with
from .answers import DRAFT, finish_of, read_medium
from .logprobs import read_tokens
from .shapes import Candidate, Part, Response

__all__ = ["event_reader"]

_decode = LenientDecoder(Response)


class GeminiEventReader:
    """Reads one stream."""

    def __init__(self, stamp: Stamp) -> None:
        self._stamp = stamp
        self._calls = 0
        self._has_begun = False
        self._is_thinking = False
        self._reason: str | None = None
        self._is_over = False
        self._cited: set[str] = set()  # the URLs of sources

    def read(self, data: bytes, name: bytes, deltas: list[Delta]) -> None:
        """Add the deltas of one event.

        Raises:
            UpstreamProtocolError: It is not JSON, or the model's output was malformed.
        """
        if self._is_over:
            return
        event = _decode(data)
        if event is None:
            raise UpstreamProtocolError("sent an event that is not JSON")
        if event.error and not event.candidates:
            self._is_over = True
            deltas.append(Failed(fault_of(200, data)))
            return
        usage = None if event.usage_metadata is None else event.usage_metadata.counted()
        if not self._has_begun:
            self._has_begun = True
            deltas.append(Start(event.response_id or "", event.model_version or "", usage))
        for candidate in (event.candidates or ())[:1]:
            if tokens := read_tokens(candidate.logprobs_result):
                deltas.append(LogprobsDelta(tokens))
            for part in (candidate.content and candidate.content.parts) or ():
                self._read_part(part, deltas)
            if candidate.has_sources:
                self._cite(candidate, deltas)
            if candidate.finish_reason:
                finish = finish_of(candidate.finish_reason, has_calls=False)  # malformed: it fails
                self._reason = candidate.finish_reason
                if finish == "refused" and candidate.finish_message:
                    deltas.append(RefusalDelta(candidate.finish_message))
        feedback = event.prompt_feedback
        if feedback is not None and feedback.block_reason and self._reason is None:
            self._reason = "SAFETY"
            if feedback.block_reason_message:
                deltas.append(RefusalDelta(feedback.block_reason_message))
        if usage is not None:
            deltas.append(usage)

    def close(self, deltas: list[Delta]) -> None:
        """Add the end, if the stream had a finish reason."""
        if self._is_over or self._reason is None:
            return
        self._is_over = True
        self._end_thinking(None, deltas)
        deltas.append(Finish(finish_of(self._reason, has_calls=self._calls > 0)))
        deltas.append(End())

    def _cite(self, candidate: Candidate, deltas: list[Delta]) -> None:
        for url, citation in candidate.sources().items():
            if url not in self._cited:
                self._cited.add(url)
                deltas.append(CitationDelta(citation))

    def _read_part(self, part: Part, deltas: list[Delta]) -> None:
        proof = own_proof(GEMINI, part.thought_signature) if part.thought_signature else None
        if part.function_call is not None:
            self._end_thinking(None, deltas)
            key, call = self._calls, part.function_call
            self._calls += 1
            id = call.id or self._stamp.id("call_", key)
            deltas.append(ToolStart(key, id, call.name, proof=proof))
            deltas.append(ToolArguments(key, called_with(call.args)))
            deltas.append(ToolEnd(key))
        elif part.thought:
            if part.text:
                self._is_thinking = True
                deltas.append(ReasoningDelta(part.text))
            if proof is not None:
                self._is_thinking = True
                self._end_thinking(proof, deltas)
            if part.inline_data is not None:
                deltas.append(Lost(DRAFT))
        elif part.text is None and (medium := read_medium(part, proof)) is not None:
            self._end_thinking(None, deltas)
            deltas.append(medium)
        else:
            if proof is not None:  # proves the thinking before this text
                self._is_thinking = True
            self._end_thinking(proof, deltas)
            if part.text:
                deltas.append(TextDelta(part.text))

    def _end_thinking(self, proof: Proof | None, deltas: list[Delta]) -> None:
        if self._is_thinking:
            self._is_thinking = False
            deltas.append(ReasoningEnd(proof))


def event_reader(stamp: Stamp) -> ServerSentReader:
    """Return the reader of one stream of events without names."""
    reader = GeminiEventReader(stamp)
    return ServerSentReader(reader.read, reader.close)
