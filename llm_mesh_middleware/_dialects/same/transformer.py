"""Converts between equal dialects: the bytes only change where the configuration sets a member."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache, partial

from msgspec.structs import replace

from ..._core.dialect import (
    BodyRelay,
    EventKind,
    ServedOperation,
    UpstreamOptions,
    Whole,
    WholeAnswer,
    called_model,
)
from ..._core.http.decoding import DECODABLE, StreamDecoder
from ..._core.http.known_names import KnownNames
from ..._core.http.response_headers import client_headers
from ..._core.http.sse import event_data, event_name
from ..._core.values.messages import ClientRequest, ResponseHead
from ..._core.values.payload import Fields, encode_fields, raw, read_bool, read_text
from ..._core.values.summary import AnswerSummary, SummaryDetail
from ...exceptions import UpstreamProtocolError
from ..error_objects import read_fault
from ..targets import fill
from .decoding import decoded_body, stream_decoder
from .errors import error_body, first_event
from .fields import EVENTS, JSON, RawFields, coding, is_events, media_type, with_length, with_type
from .relay import EventRelay

__all__ = ["SameTransformer"]

_JSON = JSON.encode()
# Members that the configuration can set for any provider.
_OWN_MEMBERS = ("model", "stream", "stream_options")


class SameTransformer:
    """Sets a request's configured members; passes responses on as they are.

    Defaults count as if the client had set them. A dialect whose responses have two forms overrides
    the methods for those.
    """

    model_is_always_set = False  # or for generations only

    def __init__(
        self, request: ClientRequest, operation: ServedOperation, upstream: UpstreamOptions
    ) -> None:
        self._operation = operation
        self._upstream = upstream
        self.dialect = operation.dialect.name  # the same on both sides
        self.added_usage = False
        self.dropped: tuple[str, ...] = ()
        self._keeps_content = request.keeps_content
        self._fields = request.fields  # never changed: an attempt after this one reads them too
        if upstream.defaults and operation.is_generation:
            self._fields = dict(request.fields)
            for name, value in upstream.defaults.items():
                self._fields.setdefault(name, value)
        self._client_model = read_text(self._fields, "model")
        is_set = operation.is_generation or self.model_is_always_set
        self.model = called_model(upstream, self._client_model, is_set=is_set)
        self._requested = read_bool(self._fields, "stream")
        self.wants_stream = self._requested is True

    @property
    def target(self) -> str:
        """The operation's target, with the model in it if it has a place for one."""
        return fill(self._upstream.targets[self._operation], self.model)

    def headers(self, fields: tuple[tuple[bytes, bytes], ...]) -> tuple[tuple[bytes, bytes], ...]:
        """Return the fields unchanged."""
        return fields

    def body(self) -> bytes:
        """Return the client's members, with those that the configuration sets."""
        if not self._operation.has_body:
            return b""
        fields = without_case_variants(self._fields, self._upstream.defaults)
        if self.model != self._client_model:
            fields["model"] = _encoded(self.model)
        self._set_members(fields)
        return encode_fields(fields)

    def drop_additions(self) -> None:
        """Do nothing: nothing is added here."""

    def rejects_additions(self, answer: WholeAnswer) -> bool:
        """Return False: nothing is added here."""
        return False

    def is_stream(self, head: ResponseHead, begin: bytes = b"") -> bool | None:
        """Return whether the provider sends events to a client that wants them."""
        if not self.wants_stream or head.status >= 300:
            return False
        return is_events(head.headers, begin if self._operation.has_body else b"")

    def whole(
        self, head: ResponseHead, body: bytes, *, max_bytes: int, detail: SummaryDetail = "facts"
    ) -> WholeAnswer:
        """Return a JSON response unchanged, or in the other form; an error always as JSON."""
        headers, coded_as = client_headers(head.headers), coding(head.headers)
        if coded_as in DECODABLE:
            body, coded_as = decoded_body(self._upstream.host, coded_as, body, max_bytes), ""
            headers = [field for field in headers if field[0] != b"content-encoding"]
        if head.status >= 400:
            return self._error(head.status, headers, body, is_readable=not coded_as)
        if coded_as:  # unreadable here; the client may be able to
            return WholeAnswer(head.status, with_length(headers, body), body)
        if is_events(head.headers, body if self._operation.method == "POST" else b""):
            event = first_event(body)
            data = event_data(event)
            if self._operation.dialect.facts().read(data, event_name(event)) is EventKind.ERROR:
                return self._refusal(headers, data)
            return self._joined(head, headers, body)
        summary = usage = None
        if detail != "nothing" or not self._is_sound(body):
            whole = self._operation.dialect.read_whole(body)
            if whole is None:
                raise self._broken(f"answered {head.status} without a whole JSON body")
            if whole.is_error:
                answered = self._error(read_fault(body).status, headers, body, is_readable=True)
                counted = whole.summary(None)  # an error may have token counts
                return answered if counted.usage is None else replace(answered, summary=counted)
            summary = self._summary(whole, body) if detail == "facts" else None
            usage = whole.counted() if detail == "usage" else None
        labelled = head.headers.by_name.get(b"content-type")
        if labelled != _JSON and not media_type(head.headers).endswith("json"):  # taken for text
            headers = with_type(headers, JSON)
        if self.wants_stream:
            headers, body = self._in_client_form(headers, body)
        headers = with_length(headers, body)
        return WholeAnswer(head.status, headers, body, summary, counted=usage)

    def relay(self, head: ResponseHead) -> tuple[RawFields, BodyRelay]:
        """Return the events unchanged; a compressed stream is decoded, so that it can be ended."""
        decoder = self.decoder(head)
        fields = client_headers(head.headers)
        headers = [field for field in fields if field[0] != b"content-encoding"]
        if media_type(head.headers) != EVENTS:
            headers = with_type(headers, EVENTS)
        return headers, self._relay(headers, decoder)

    def decoder(self, head: ResponseHead) -> StreamDecoder | None:
        """Return a decoder from a stream's bytes to events; None if they are events already.

        Raises:
            UpstreamProtocolError: the stream cannot be read.
        """
        coded_as = coding(head.headers)
        if not coded_as:
            return None
        return stream_decoder(self._upstream.host, coded_as)

    def _relay(self, headers: RawFields, decoder: StreamDecoder | None) -> EventRelay:
        dialect = self._operation.dialect
        return EventRelay(
            self._upstream,
            dialect,
            refuse=lambda body: self._refusal(headers, body),
            decoder=decoder,
            join=partial(dialect.answers.join, usage=None) if self._keeps_content else None,
        )

    def _is_sound(self, body: bytes) -> bool:
        """Return whether it is plain, without reading facts, that a body is no error."""
        return False

    def _set_members(self, fields: Fields) -> None:
        """Set further members from the configuration."""

    def _in_client_form(self, headers: RawFields, body: bytes) -> tuple[RawFields, bytes]:
        """Return a whole response in the form that a client gets who requested a stream."""
        return headers, body

    def _joined(self, head: ResponseHead, headers: RawFields, body: bytes) -> WholeAnswer:
        """Return the response of a stream, for a client that did not request events."""
        raise self._broken("sent a stream that was not asked for")

    def _summary(self, whole: Whole, body: bytes) -> AnswerSummary:
        return whole.summary(body if self._keeps_content else None)

    def _refusal(self, headers: RawFields, body: bytes) -> WholeAnswer:
        """Return the error that a stream begins with as a whole response."""
        return self._error(read_fault(body).status, headers, body, is_readable=True)

    def _error(
        self, status: int, headers: RawFields, body: bytes, *, is_readable: bool
    ) -> WholeAnswer:
        """Return a provider's error as JSON; keys are redacted before the text is cut short."""
        upstream = self._upstream
        reasons: frozenset[str] = frozenset()
        if is_readable:
            body = upstream.redact(body)
            body = error_body(self._operation.dialect, upstream.host, status, body)
            headers = with_type(headers, JSON)
            reasons = read_fault(body).reasons
        return WholeAnswer(status, with_length(headers, body), body, reasons=reasons)

    def _broken(self, what: str) -> UpstreamProtocolError:
        return UpstreamProtocolError(f"{self._upstream.host} {what}")


_encoded = lru_cache(maxsize=256)(raw)  # of the models that the configuration names

# Clients choose the names of members.
_WITHOUT_CAPITALS = KnownNames[str](lambda name: name.isascii() and name == name.lower())


def without_case_variants(fields: Fields, defaults: Iterable[str]) -> Fields:
    """Return the members without those that differ from a configured one only in case.

    Some backends accept `MODEL` for `model`, and must not get a value there that the mesh has
    neither set nor read.
    """
    for name in fields:
        if not _WITHOUT_CAPITALS[name]:
            break
    else:
        return dict(fields)
    own = frozenset((*_OWN_MEMBERS, *defaults))
    return {
        name: value for name, value in fields.items() if name in own or name.casefold() not in own
    }
