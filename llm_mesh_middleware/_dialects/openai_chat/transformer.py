"""Passes chat and text completions on, and converts between JSON and events."""

from __future__ import annotations

from ..._core.dialect import ServedOperation, UpstreamOptions, WholeAnswer
from ..._core.http.decoding import StreamDecoder
from ..._core.values.headers import Headers
from ..._core.values.messages import ClientRequest, ResponseHead
from ..._core.values.payload import Fields, raw, read_bool, read_fields
from ..same import SameTransformer
from ..same.fields import EVENTS, JSON, RawFields, with_length, with_type
from ..same.relay import EventRelay
from .bridge import (
    BrokenStream,
    ConversionLimit,
    NoCompletion,
    completion_to_events,
    events_to_completion,
)
from .facts import ChatFacts, ChatFields, is_completion, without_usage
from .facts import read_fields as read_facts

__all__ = ["CompletionTransformer"]

# The statuses with which providers reject an unknown member, and the names of the added ones.
_REFUSALS = frozenset((400, 422))
_ADDED = (b"stream_options", b"include_usage")

_TRUE, _FALSE = raw(True), raw(False)
_ONE = (b"1", b"null")


class CompletionTransformer(SameTransformer):
    """Requests the configured form, and returns the form that the client requested."""

    _is_sound = staticmethod(is_completion)

    def __init__(
        self, request: ClientRequest, operation: ServedOperation, upstream: UpstreamOptions
    ) -> None:
        SameTransformer.__init__(self, request, operation, upstream)  # `super` makes an object
        requested = self._requested
        self._sends_stream = bool(requested if upstream.stream is None else upstream.stream)
        # SDKs omit `stream` if they expect JSON.
        self.wants_stream = (
            self._sends_stream and _accepts_events(request.headers)
            if requested is None
            else requested
        )
        self._client_requests_usage = (
            "stream_options" in self._fields
            and read_bool(self._stream_options(), "include_usage") is True
        )
        self._may_request_usage = upstream.requests_usage

    def drop_additions(self) -> None:
        """Do not request usage that the client did not request."""
        self._may_request_usage = self.added_usage = False

    def rejects_additions(self, answer: WholeAnswer) -> bool:
        """Return whether an error names the member that requests usage."""
        is_refused = self.added_usage and answer.status in _REFUSALS
        return is_refused and any(name in answer.body for name in _ADDED)

    def _set_members(self, fields: Fields) -> None:
        """Set the configured form, and request usage in a stream."""
        configured = self._upstream.stream
        if configured is not None:
            fields["stream"] = _TRUE if configured else _FALSE
        if not self._sends_stream:
            if configured is False:
                fields.pop("stream_options", None)  # providers reject it without a stream
        elif self._may_request_usage and not self._client_requests_usage:
            fields["stream_options"] = raw(self._stream_options() | {"include_usage": _TRUE})
            self.added_usage = True

    def _stream_options(self) -> Fields:
        return read_fields(self._fields, "stream_options")

    def _in_client_form(self, headers: RawFields, body: bytes) -> tuple[RawFields, bytes]:
        if self._upstream.stream is not False:
            return headers, body
        try:
            events = completion_to_events(body, include_usage=self._client_requests_usage)
        except NoCompletion:
            return headers, body
        except ConversionLimit as exc:
            raise self._broken(str(exc)) from exc
        return with_type(headers, EVENTS), events

    def _joined(self, head: ResponseHead, headers: RawFields, body: bytes) -> WholeAnswer:
        try:
            whole = events_to_completion(body)
        except (BrokenStream, ConversionLimit) as exc:
            raise self._broken(str(exc)) from exc
        summary = self._summary(read_facts(whole) or ChatFields(), whole)
        headers = with_length(with_type(headers, JSON), whole)
        return WholeAnswer(head.status, headers, whole, summary)

    def _relay(self, headers: RawFields, decoder: StreamDecoder | None) -> EventRelay:
        return EventRelay(
            self._upstream,
            self._operation.dialect,
            refuse=lambda body: self._refusal(headers, body),
            strip_usage=without_usage if self.added_usage else None,
            decoder=decoder,
            join=_joined if self._keeps_content else None,
            facts=ChatFacts(is_single=_requests_one_choice(self._fields)),
        )


def _requests_one_choice(fields: Fields) -> bool:
    """Return whether one choice is requested; each prompt of a list has a choice."""
    if bytes(fields.get("n", b"1")) not in _ONE:
        return False
    return not bytes(fields.get("prompt", b"")).startswith(b"[")


def _accepts_events(headers: Headers) -> bool:
    return EVENTS in (headers.get("accept") or "").lower()


def _joined(events: bytes) -> bytes | None:
    try:
        return events_to_completion(events)
    except (BrokenStream, ConversionLimit):
        return None
