"""Passes a stream on in its own dialect: whole events, byte for byte.

piece ─► decoder ─► plain deltas? ─► passed on as one piece, facts read at once
                          │ no
                          ▼
                       cutter ─► event: no data ────► passed on, does not commit
                                       error ───────► passed on redacted; or the response is
                                                      refused, if it is the first event
                                       usage ───────► removed, if only the mesh requested it
                                       unreadable ──► an error event, and nothing after it
                                       other ───────► passed on

An end before the stream is complete becomes an error event.
"""

from __future__ import annotations

from collections.abc import Callable

from ..._core.dialect import Dialect, EventKind, FactReader, UpstreamOptions, WholeAnswer
from ..._core.http.decoding import DecodingError, StreamDecoder
from ..._core.http.sse import (
    MAX_EVENT_BYTES,
    EventCutter,
    EventTooLong,
    before_last_events,
    event_data,
    event_name,
    make_event,
)
from ..._core.values.summary import AnswerSummary
from ..._core.values.usage import Usage
from ...exceptions import AnswerableError, StreamInterrupted, UpstreamProtocolError

__all__ = ["EventRelay"]

# How much of a stream is kept for a record of its content.
_MAX_KEPT_BYTES = 2**20
# A finish reason, the usage and [DONE] arrive together with the deltas before them.
_LAST_EVENTS = 3


class EventRelay:
    """Passes on each event as soon as it is whole, so that a client never gets a part of one.

    An event that cannot be read, or an end before the stream is complete, becomes an error event;
    an end marker is never added.
    """

    __slots__ = (
        "_cutter",
        "_decoder",
        "_dialect",
        "_facts",
        "_is_plain",
        "_join",
        "_kept",
        "_may_keep",
        "_refuse",
        "_strip_usage",
        "_upstream",
        "_was_dropped",
        "error",
        "has_event",
        "is_over",
        "refusal",
    )

    def __init__(
        self,
        upstream: UpstreamOptions,
        dialect: Dialect,
        *,
        refuse: Callable[[bytes], WholeAnswer],
        strip_usage: Callable[[bytes], bytes] | None = None,
        decoder: StreamDecoder | None = None,
        join: Callable[[bytes], bytes | None] | None = None,
        facts: FactReader | None = None,
    ) -> None:
        """Relay one stream.

        Args:
            upstream: The provider; its secrets are redacted in errors.
            dialect: The dialect of both sides.
            refuse: Makes a whole response of the data of an error event.
            strip_usage: Removes usage that the client did not request from the data of an event;
                the rest is passed on.
            decoder: Turns the bytes into events, where they are compressed or framed.
            join: Makes a whole response of events, for a record of its content.
            facts: Reads facts, if the request determines more about the events than the dialect.
        """
        self._upstream = upstream
        self._dialect = dialect
        self._refuse = refuse
        self._strip_usage = strip_usage
        self._decoder = decoder
        self._join = join
        self._kept: list[bytes] | None = [] if join is not None else None
        self._may_keep = _MAX_KEPT_BYTES
        self._is_plain = decoder is None and join is None
        self._cutter = EventCutter()
        self._facts = dialect.facts() if facts is None else facts
        self._was_dropped = False
        self.has_event = False
        self.is_over = False
        self.refusal: WholeAnswer | None = None
        self.error: Exception | None = None

    @property
    def usage(self) -> Usage | None:
        """The token counts seen so far."""
        return self._facts.usage

    @property
    def events(self) -> int:
        """The number of events so far."""
        return self._facts.events

    @property
    def summary(self) -> AnswerSummary:
        """The facts of the response so far."""
        return self._facts.summary(body=self._kept_answer())

    def feed(self, data: bytes, /) -> bytes:
        """Return the events that `data` completes."""
        if (
            self._is_plain
            and self._cutter.is_between
            and not self._was_dropped
            and self._facts.read_deltas(data)
        ):  # as nearly every piece
            self.has_event = True
            return data
        passed: list[bytes] = []
        fault: DecodingError | None = None
        if self._decoder is not None:
            try:
                data = self._decoder.feed(data)
            except DecodingError as exc:
                data, fault = exc.decoded, exc
        try:
            if fault is None and not self._was_dropped and self._kept is None:
                data = self._pass_deltas(data, passed)
            for event in self._cutter.feed(data) if data else ():
                self._take(event, passed)
        except EventTooLong:
            passed.append(self._break(f"sent an event of more than {MAX_EVENT_BYTES} bytes"))
        except _NotAnEvent as exc:
            passed.append(self._break(str(exc)))
        if fault is not None and self.error is None:
            passed.append(self._break(f"sent a stream that cannot be read: {fault}"))
        self.is_over = self.error is not None or self._facts.is_done
        return passed[0] if len(passed) == 1 else b"".join(passed)

    def finish(self) -> bytes:
        """Return the rest after the last whole event, or an error event if it is cut off."""
        if self.error is not None:
            return b""
        passed: list[bytes] = []
        rest = self._cutter.rest()
        if rest:
            try:
                self._take(rest, passed)
            except _NotAnEvent:  # half an event: the end comes too early
                passed.clear()
        self._note_failure()
        if not self._facts.is_complete:
            if passed:  # without its empty line the error would be one event with it
                passed.append(b"\n\n")
            passed.append(self._break("ended its stream too early"))
        return b"".join(passed)

    def abort(self, error: Exception) -> bytes:
        """Return an error event: clients take an end without one for success."""
        if self._facts.is_done:  # nothing is missing, and nothing may follow the end
            self._note_failure()
            return b""
        self.error = self.error or error
        message = error.message if isinstance(error, AnswerableError) else "the stream broke off"
        return self._dialect.error_event(StreamInterrupted(message), position=self.events)

    def _pass_deltas(self, data: bytes, passed: list[bytes]) -> bytes:
        """Pass on at once the events that only continue a response; return the rest."""
        if not self._cutter.is_between:
            joined = self._cutter.complete_with(data)
            if joined is None:
                return data
            data = joined
        # A piece ends in half an event, and the last one in what ends the stream.
        for count in (0, _LAST_EVENTS):
            deltas = before_last_events(data, count)
            if deltas and self._facts.read_deltas(deltas):
                self.has_event = True
                passed.append(deltas)
                return data[len(deltas) :]
        return data

    def _take(self, event: bytes, passed: list[bytes]) -> None:
        if self._was_dropped:
            self._was_dropped = False
            if event == b"\n":  # the second half of its last line's end
                return
        data = event_data(event)
        if data:
            event = self._event(event, data)
            if not event:
                return
            self.has_event = True
        passed.append(event)
        if self._kept is not None and (size := len(event)) <= self._may_keep:
            self._may_keep -= size
            self._kept.append(event)

    def _event(self, event: bytes, data: bytes) -> bytes:
        """Return what the client gets for an event with data."""
        kind = self._facts.read(data, event_name(event))
        if kind is EventKind.CONTENT:
            return event
        if kind is EventKind.UNREADABLE:
            raise _NotAnEvent("sent an event that is not JSON")
        if kind is EventKind.ERROR:
            if not self.has_event and self.refusal is None:
                self.refusal = self._refuse(data)
            return self._upstream.redact(event)
        if self._strip_usage is None:
            return event
        rest = self._strip_usage(data)
        if not rest:
            self._was_dropped = event.endswith(b"\r")
            return b""
        return make_event(rest)

    def _kept_answer(self) -> bytes | None:
        if self._kept is None or self._join is None:
            return None
        return self._join(b"".join(self._kept))

    def _note_failure(self) -> None:
        if self._facts.has_failed:
            self.error = self.error or UpstreamProtocolError(f"{self._upstream.host} sent an error")

    def _break(self, what: str) -> bytes:
        self.error = UpstreamProtocolError(f"{self._upstream.host} {what}")
        return self.abort(self.error)


class _NotAnEvent(ValueError):
    """No SDK could read the data of an event."""
