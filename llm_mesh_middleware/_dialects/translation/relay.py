"""Translates a provider's stream into a client's events.

bytes ─► decoder ─► reader ─► deltas ─► writer ─► events
                                │
                                ├─ Failed, and no event was written ─► the response is refused
                                └─ the bytes end without End ─► an error event, no end marker
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..._core.conversation.answer import (
    CitationDelta,
    Delta,
    End,
    Failed,
    Finish,
    FinishReason,
    ImageDraft,
    LogprobsDelta,
    Lost,
    ReasoningDelta,
    Start,
    TextDelta,
    ToolArguments,
    Usage,
)
from ..._core.conversation.fault import ProviderFault
from ..._core.conversation.parts import Image
from ..._core.conversation.sides import ClientSide, EventReader, EventWriter
from ..._core.dialect import WholeAnswer
from ..._core.http.decoding import DecodingError, StreamDecoder
from ..._core.values.summary import AnswerSummary
from ...exceptions import AnswerableError, StreamInterrupted, UpstreamProtocolError
from .events import BrokenStream
from .whole import LOST_DRAFT, Accumulator

__all__ = ["LOST_CITATIONS", "LOST_IMAGE", "REASONS", "TranslatingRelay"]

# The neutral reasons, in the terms of OpenTelemetry's examples.
REASONS: dict[FinishReason | None, str | None] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "refused": "content_filter",
    "paused": "pause_turn",
    None: None,
}


# The names of what some clients' dialects have no place for.
LOST_IMAGE, LOST_CITATIONS = "response.image", "response.citations"

# Deltas without facts about the whole answer; nearly all deltas are of these types.
_WITHOUT_FACTS = frozenset((TextDelta, ReasoningDelta, ToolArguments))


class TranslatingRelay:
    """Translates one stream."""

    def __init__(
        self,
        host: str,
        reader: EventReader,
        writer: EventWriter,
        *,
        refuse: Callable[[ProviderFault], WholeAnswer],
        client: ClientSide,
        decoder: StreamDecoder | None = None,
        keep: Callable[[Accumulator], bytes | None] | None = None,
    ) -> None:
        """Translate the stream of a provider.

        Args:
            host: The provider's host, for messages about its errors.
            reader: Reads the provider's bytes.
            writer: Writes the client's events.
            refuse: Makes a whole response of an error that the stream begins with.
            client: Tells what the client's dialect has no place for.
            decoder: Decompresses the stream.
            keep: Writes the answer as a whole, for a record of its content.
        """
        self._host = host
        self._reader = reader
        self._writer = writer
        self._refuse = refuse
        self._client = client
        self._decoder = decoder
        self._keep = keep
        self._kept = Accumulator() if keep is not None else None
        self._start = Start()
        self._usage: Usage | None = None
        self._finish: FinishReason | None = None
        self._tier: str | None = None
        self._has_ended = False
        self._lost: tuple[str, ...] = ()
        self.events = 0
        self.has_event = False
        self.refusal: WholeAnswer | None = None
        self.error: Exception | None = None

    @property
    def is_over(self) -> bool:
        """Whether the stream has come to its own end, or to an error."""
        return self._has_ended or self.error is not None

    @property
    def summary(self) -> AnswerSummary:
        """The facts of the answer so far."""
        body = self._keep(self._kept) if self._keep is not None and self._kept is not None else None
        return AnswerSummary(
            id=self._start.id or None,
            model=self._start.model or None,
            service_tier=self._tier,
            finish_reasons=(REASONS[self._finish],),
            usage=self._usage,
            events=self.events,
            body=body,
            dropped=self._lost,
        )

    def feed(self, data: bytes, /) -> bytes:
        """Return the client's events for `data`."""
        if self._has_ended or self.error is not None:
            return b""
        try:
            if self._decoder is not None:
                data = self._decoder.feed(data)
            return self._write(self._reader.feed(data))
        except DecodingError as exc:
            return self._break(f"sent a stream that cannot be read: {exc}")
        except BrokenStream as exc:
            is_begun = self.has_event or not _are_starts(exc.deltas)
            passed = self._write(exc.deltas) if is_begun else b""
            return passed + self._break(exc.message)
        except UpstreamProtocolError as exc:
            return self._break(exc.message)

    def finish(self) -> bytes:
        """Return the client's last events: an error event if the stream was cut off."""
        if self.is_over:
            return b""
        try:
            passed = self._write(self._reader.finish())
        except UpstreamProtocolError as exc:
            return self._break(exc.message)
        if not self.is_over:
            passed += self._break("ended its stream too early")
        return passed

    def abort(self, error: Exception) -> bytes:
        """Return an error event."""
        if self._has_ended:
            return b""
        self.error = self.error or error
        message = error.message if isinstance(error, AnswerableError) else "the stream broke off"
        return self._writer.fail(StreamInterrupted(message))

    def _write(self, deltas: Sequence[Delta]) -> bytes:
        if not deltas:
            return b""
        failed = deltas[-1]
        if isinstance(failed, Failed) and not self.has_event and _are_starts(deltas[:-1]):
            self.refusal = self._refuse(failed.fault)
        is_plain = True
        for delta in deltas:
            if type(delta) in _WITHOUT_FACTS:
                self.events += 1
            else:
                is_plain = False
                self._note(delta)
        if self._kept is not None:
            self._kept.add(deltas)
        if self.refusal is not None:
            return b""
        passed = self._writer.write(deltas) if is_plain else self._write_each(deltas)
        self.has_event = self.has_event or bool(passed)
        return passed

    def _write_each(self, deltas: Sequence[Delta]) -> bytes:
        """Return the events of deltas, up to one that makes no answer in the client's dialect."""
        passed = b""
        for delta in deltas:
            try:
                passed += self._writer.write((delta,))
            except UpstreamProtocolError as exc:
                return passed + self._break(exc.message)
        return passed

    def _note(self, delta: Delta) -> None:
        """Record the facts of a delta about the whole answer."""
        if isinstance(delta, Usage):
            self._usage = delta.after(self._usage)
            return
        if isinstance(delta, LogprobsDelta):  # part of the text that follows
            return
        self.events += 1
        if isinstance(delta, Start):
            self._start = delta
            self._usage = delta.usage or self._usage
            self._tier = delta.service_tier
        elif isinstance(delta, Finish):
            self._finish = delta.reason
            self._tier = delta.service_tier or self._tier
        elif isinstance(delta, End):
            self._has_ended = True
        elif isinstance(delta, Failed):
            self.error = UpstreamProtocolError(f"{self._host} sent an error")
        elif isinstance(delta, Lost):
            self._lose(delta.name)
        elif isinstance(delta, Image):
            if not self._client.has_image(delta):
                self._lose(LOST_IMAGE)
        elif isinstance(delta, ImageDraft):
            if not self._client.has_drafts:
                self._lose(LOST_DRAFT)
        elif isinstance(delta, CitationDelta) and not self._client.has_citations:
            self._lose(LOST_CITATIONS)

    def _lose(self, name: str) -> None:
        if name not in self._lost:
            self._lost = (*self._lost, name)

    def _break(self, what: str) -> bytes:
        self._has_ended = False
        return self.abort(UpstreamProtocolError(f"{self._host} {what}"))


def _are_starts(deltas: Sequence[Delta]) -> bool:
    """Return whether deltas say nothing but that an answer begins."""
    return all(isinstance(delta, Start) for delta in deltas)
