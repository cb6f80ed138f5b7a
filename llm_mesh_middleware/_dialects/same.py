"""One dialect on both sides: the same bytes, except for what the configuration sets."""

from __future__ import annotations

from .._core.dialect import BodyRelay, WholeAnswer
from .._core.http.decoding import DECODABLE, BodyDecoder, DecodingError
from .._core.http.response_headers import client_headers
from .._core.provider.upstream import Upstream
from .._core.values.headers import Headers
from .._core.values.messages import ClientRequest, ResponseHead
from .._core.values.operations import Operation
from .._core.values.payload import (
    Fields,
    encode_fields,
    is_object,
    raw,
    read_bool,
    read_fields,
    read_text,
)
from .._core.values.summary import AnswerSummary
from ..exceptions import UpstreamError, UpstreamProtocolError
from .bridge import (
    BrokenStream,
    ConversionLimit,
    NoCompletion,
    completion_to_events,
    events_to_completion,
)
from .event_relay import EventRelay
from .progress import AnswerFields, read_answer

__all__ = ["SameTransformer"]

RawFields = list[tuple[bytes, bytes]]

_EVENTS, _JSON = "text/event-stream", "application/json"
_TRUE, _FALSE = raw(True), raw(False)

# What one piece of a compressed stream may become.
_MAX_DECODED_PIECE = 16 * 2**20


class SameTransformer:
    """Sets a request's configured members; passes answers on in the form the client asked for.

    What a default fills in counts as asked for by the client.
    """

    def __init__(self, request: ClientRequest, operation: Operation, upstream: Upstream) -> None:
        self._operation = operation
        self._upstream = upstream
        self._keeps_content = request.keeps_content
        self._fields = dict(request.fields)
        if operation.is_generation:
            for name, value in upstream.defaults.items():
                self._fields.setdefault(name, value)
        self._asked_model = read_text(self._fields, "model")
        self.model = self._model()
        asked = read_bool(self._fields, "stream")
        configured = upstream.stream if operation.has_two_forms else None
        self._configured_stream = configured
        self._sends_stream = bool(asked if configured is None else configured)
        # SDKs send no `stream` where they expect JSON, so silence asks for it.
        self.wants_stream = (
            self._sends_stream and _accepts_events(request.headers) if asked is None else asked
        )
        self._asked_usage = read_bool(self._stream_options(), "include_usage") is True
        self.added_usage = False

    def body(self) -> bytes:
        """The client's members, those that the configuration sets written anew."""
        if not self._operation.has_body:
            return b""
        fields = dict(self._fields)
        if self.model != self._asked_model:
            fields["model"] = raw(self.model)
        if self._operation.has_two_forms:
            self._set_stream(fields)
        return encode_fields(fields)

    def is_stream(self, head: ResponseHead) -> bool:
        """Whether the provider sends events to a client that wants them."""
        return self.wants_stream and head.status < 300 and _media_type(head.headers) == _EVENTS

    def whole(self, head: ResponseHead, body: bytes, *, max_bytes: int) -> WholeAnswer:
        """A JSON answer as it is, or in the other form; an error as JSON, whatever it came as."""
        headers, coding = client_headers(head.headers), _coding(head.headers)
        if coding in DECODABLE:
            body, coding = self._decoded(coding, body, max_bytes), ""
            headers = [field for field in headers if field[0] != b"content-encoding"]
        if head.status >= 400:
            return self._error(head, headers, body, is_readable=not coding)
        if coding:  # nobody here can read it; the client may
            return WholeAnswer(headers, body)
        if _media_type(head.headers) == _EVENTS:
            return self._aggregated(headers, body)
        fields = read_answer(body)
        if fields is None:
            raise self._broken(f"answered {head.status} without a whole JSON body")
        summary = self._summary(fields, body)
        if self.wants_stream and self._configured_stream is False:
            headers, body = self._as_events(headers, body)
        return WholeAnswer(_with_length(headers, body), body, summary)

    def relay(self, head: ResponseHead) -> tuple[RawFields, BodyRelay]:
        """The events as they are; a compressed stream is decoded, to be able to end it."""
        coding = _coding(head.headers)
        decoder = BodyDecoder(coding, _MAX_DECODED_PIECE) if coding in DECODABLE else None
        if coding and decoder is None:
            raise self._broken("sent a stream in a coding that was not asked for")
        dropped = (b"content-length", b"content-encoding")
        headers = [field for field in client_headers(head.headers) if field[0] not in dropped]
        relay = EventRelay(
            self._upstream,
            drops_usage=self.added_usage,
            decoder=decoder,
            keeps_content=self._keeps_content,
            dialect=self._operation.dialect,
        )
        return headers, relay

    def _model(self) -> str | None:
        """The configured model, else the client's under the name that the provider has for it."""
        if self._operation.is_generation and self._upstream.model is not None:
            return self._upstream.model
        asked = self._asked_model
        return None if asked is None else self._upstream.model_mapping.get(asked, asked)

    def _set_stream(self, fields: Fields) -> None:
        """The configured form, and a request for token counts where it would bring them."""
        if self._configured_stream is not None:
            fields["stream"] = _TRUE if self._configured_stream else _FALSE
        if not self._sends_stream:
            if self._configured_stream is False:
                fields.pop("stream_options", None)  # providers refuse it without a stream
        elif self._upstream.asks_usage and not self._asked_usage:
            fields["stream_options"] = raw(self._stream_options() | {"include_usage": _TRUE})
            self.added_usage = True

    def _stream_options(self) -> Fields:
        return read_fields(self._fields, "stream_options")

    def _decoded(self, coding: str, body: bytes, max_bytes: int) -> bytes:
        decoder = BodyDecoder(coding, max_bytes)
        try:
            decoded = decoder.feed(body)
            decoder.finish()
        except DecodingError as exc:
            raise self._broken(f"cannot be read: {exc}") from exc
        return decoded

    def _as_events(self, headers: RawFields, body: bytes) -> tuple[RawFields, bytes]:
        try:
            events = completion_to_events(body, include_usage=self._asked_usage)
        except NoCompletion:
            return headers, body
        except ConversionLimit as exc:
            raise self._broken(str(exc)) from exc
        return _with_type(headers, _EVENTS), events

    def _aggregated(self, headers: RawFields, body: bytes) -> WholeAnswer:
        if not self._operation.has_two_forms:
            raise self._broken("sent a stream that was not asked for")
        try:
            whole = events_to_completion(body)
        except (BrokenStream, ConversionLimit) as exc:
            raise self._broken(str(exc)) from exc
        summary = self._summary(read_answer(whole) or AnswerFields(), whole)
        return WholeAnswer(_with_length(_with_type(headers, _JSON), whole), whole, summary)

    def _summary(self, fields: AnswerFields, body: bytes) -> AnswerSummary:
        return fields.summary(body if self._keeps_content else None)

    def _error(
        self, head: ResponseHead, headers: RawFields, body: bytes, *, is_readable: bool
    ) -> WholeAnswer:
        """A provider that repeats the key it was given must not show it to the client."""
        headers = [(name, self._upstream.redact(value)) for name, value in headers]
        if is_readable and is_object(body):
            body = self._upstream.redact(body)
        elif is_readable:
            message = f"{self._upstream.host} answered {head.status} without an error object"
            body = self._operation.dialect.write_error(UpstreamError(message))
            headers = _with_type(headers, _JSON)
        return WholeAnswer(_with_length(headers, body), body)

    def _broken(self, what: str) -> UpstreamProtocolError:
        return UpstreamProtocolError(f"{self._upstream.host} {what}")


def _accepts_events(headers: Headers) -> bool:
    return _EVENTS in (headers.get("accept") or "").lower()


def _media_type(headers: Headers) -> str:
    return (headers.get("content-type") or "").partition(";")[0].strip().lower()


def _coding(headers: Headers) -> str:
    """The content coding, empty for none."""
    coding = (headers.get("content-encoding") or "").strip().lower()
    return "" if coding == "identity" else coding


def _with_type(headers: RawFields, media_type: str) -> RawFields:
    kept = [field for field in headers if field[0] != b"content-type"]
    return [*kept, (b"content-type", media_type.encode())]


def _with_length(headers: RawFields, body: bytes) -> RawFields:
    kept = [field for field in headers if field[0] != b"content-length"]
    return [*kept, (b"content-length", b"%d" % len(body))]
