"""A stream passed on in its own dialect: whole events, byte for byte."""

from __future__ import annotations

import contextlib

from .._core.dialect import Dialect
from .._core.http.decoding import BodyDecoder, DecodingError
from .._core.http.sse import (
    EventCutter,
    EventTooLong,
    before_last_events,
    event_data,
    plain_data,
)
from .._core.provider.upstream import Upstream
from .._core.values.summary import AnswerSummary
from .._core.values.usage import Usage
from ..exceptions import AnswerableError, StreamInterrupted, UpstreamProtocolError
from .bridge import BrokenStream, ConversionLimit, events_to_completion
from .progress import StreamProgress

__all__ = ["EventRelay"]

# Longer than any event with an image in it; what one stream may hold in memory.
_MAX_EVENT_BYTES = 16 * 2**20
# How much of a stream is kept for a record of its content.
_MAX_KEPT_BYTES = 2**20
# A finish reason, the token counts and [DONE] come together with the deltas before them.
_LAST_EVENTS = 3


class EventRelay:
    """Passes on each event as soon as it is whole, so that a client never gets half of one.

    An event that cannot be read, or an end before the stream has come to its own, is answered with
    an `error` event; `[DONE]` is never invented. `drops_usage` removes the event that is there only
    because the mesh asked for it.
    """

    __slots__ = (
        "_cutter",
        "_decoder",
        "_dialect",
        "_drops_usage",
        "_kept",
        "_may_keep",
        "_progress",
        "_upstream",
        "_was_dropped",
        "error",
    )

    def __init__(
        self,
        upstream: Upstream,
        *,
        dialect: Dialect,
        drops_usage: bool,
        decoder: BodyDecoder | None = None,
        keeps_content: bool = False,
    ) -> None:
        self._dialect = dialect
        self._kept: list[bytes] | None = [] if keeps_content else None
        self._may_keep = _MAX_KEPT_BYTES
        self._upstream = upstream
        self._drops_usage = drops_usage
        self._decoder = decoder
        self._cutter = EventCutter(_MAX_EVENT_BYTES)
        self._progress = StreamProgress()
        self._was_dropped = False
        self.error: Exception | None = None

    @property
    def usage(self) -> Usage | None:
        """The token counts seen so far."""
        return self._progress.usage

    @property
    def events(self) -> int:
        """How many events were seen so far."""
        return self._progress.events

    @property
    def summary(self) -> AnswerSummary:
        """What was seen of the answer so far."""
        return self._progress.summary(body=self._kept_answer())

    def feed(self, data: bytes, /) -> bytes:
        """The events that `data` completes."""
        passed: list[bytes] = []
        try:
            if self._decoder is not None:
                data = self._decoder.feed(data)
            if self._cutter.is_between and not self._was_dropped and self._kept is None:
                if self._are_deltas(data):
                    return data
                deltas = before_last_events(data, _LAST_EVENTS)
                if deltas and self._are_deltas(deltas):
                    passed.append(deltas)
                    data = data[len(deltas) :]
            for event in self._cutter.feed(data):
                self._take(event, passed)
        except EventTooLong:
            passed.append(self._break(f"sent an event of more than {_MAX_EVENT_BYTES} bytes"))
        except DecodingError as exc:
            passed.append(self._break(f"sent a stream that cannot be read: {exc}"))
        except _NotAnEvent as exc:
            passed.append(self._break(str(exc)))
        return passed[0] if len(passed) == 1 else b"".join(passed)

    def finish(self) -> bytes:
        """What came after the last whole event, and an error event if the stream is cut off."""
        if self.error is not None:
            return b""
        passed: list[bytes] = []
        rest = self._cutter.rest()
        if rest:
            with contextlib.suppress(_NotAnEvent):  # half an event: the end comes too early
                self._take(rest, passed)
        self._note_failure()
        if not self._progress.is_complete:
            if passed:  # without its empty line the error would be one event with it
                passed.append(b"\n\n")
            passed.append(self._break("ended its stream too early"))
        return b"".join(passed)

    def abort(self, error: Exception) -> bytes:
        """An event that tells: clients take an end without one for success."""
        if self._progress.is_done:  # nothing is missing, and nothing may follow [DONE]
            self._note_failure()
            return b""
        self.error = self.error or error
        message = error.message if isinstance(error, AnswerableError) else "the stream broke off"
        return self._dialect.error_event(StreamInterrupted(message), position=self.events)

    def _are_deltas(self, data: bytes) -> bool:
        """Whether `data` is events that only continue an answer; they are then taken note of."""
        events = plain_data(data)
        return events is not None and self._progress.see_deltas(events)

    def _take(self, event: bytes, passed: list[bytes]) -> None:
        if self._was_dropped:
            self._was_dropped = False
            if event == b"\n":  # the second half of its last line's end
                return
        data = event_data(event)
        if data:
            fields = self._progress.see(data)
            if fields is None:
                raise _NotAnEvent("sent an event that is not JSON")
            if self._drops_usage and fields.is_usage_only:
                self._was_dropped = event.endswith(b"\r")
                return
            if fields.is_error:
                event = self._upstream.redact(event)
        passed.append(event)
        if self._kept is not None and (size := len(event)) <= self._may_keep:
            self._may_keep -= size
            self._kept.append(event)

    def _kept_answer(self) -> bytes | None:
        if self._kept is None:
            return None
        with contextlib.suppress(BrokenStream, ConversionLimit):
            return events_to_completion(b"".join(self._kept))
        return None

    def _note_failure(self) -> None:
        if self._progress.has_failed:
            self.error = self.error or UpstreamProtocolError(
                f"{self._upstream.host} told of an error"
            )

    def _break(self, what: str) -> bytes:
        self.error = UpstreamProtocolError(f"{self._upstream.host} {what}")
        return self.abort(self.error)


class _NotAnEvent(ValueError):
    """The data of an event is neither JSON nor [DONE]."""
