"""The interface of a dialect, and the operations it serves; the dialects live in `_dialects`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Protocol

import msgspec

from ..exceptions import AnswerableError, MethodNotAllowed
from .conversation.content import Message, RequestContent
from .conversation.sides import ClientSide, CountingSide, ProviderSide
from .texts import Answers, EventTexts, TextForm, TextPlace
from .values.headers import Headers
from .values.messages import ClientRequest, ResponseHead
from .values.operations import Operation
from .values.payload import Fields, read_bool, read_text
from .values.summary import AnswerSummary, SummaryDetail, Whole
from .values.usage import Usage

__all__ = [
    "Answers",
    "BodyRelay",
    "Dialect",
    "EventKind",
    "FactReader",
    "EventTexts",
    "ServedOperation",
    "TextForm",
    "TextPlace",
    "Transformer",
    "UpstreamOptions",
    "Whole",
    "WholeAnswer",
    "called_model",
]


class WholeAnswer(msgspec.Struct, frozen=True):
    """A whole response, as the client gets it.

    `status` is the provider's; if that is 200 but the body is an error object, it is the status of
    the error's code. `reasons` are the code and the type of an error object. `provider_status` is
    the provider's where the client's dialect has another for it. `counted` are the token counts if
    nothing else was read.
    """

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    summary: AnswerSummary | None = None
    reasons: frozenset[str] = frozenset()
    provider_status: int | None = None
    counted: Usage | None = None

    @property
    def usage(self) -> Usage | None:
        """The token counts, if the response has any."""
        return self.summary.usage if self.summary is not None else self.counted


class EventKind(Enum):
    """The kinds of events that a relay distinguishes."""

    CONTENT = "content"  # everything else
    USAGE = "usage"  # token counts only
    ERROR = "error"
    UNREADABLE = "unreadable"  # no SDK can read it


class FactReader(Protocol):
    """Reads the facts of one stream's events, which are otherwise passed on unread."""

    @property
    def usage(self) -> Usage | None:
        """The token counts so far."""

    @property
    def events(self) -> int:
        """The number of events read, without an end marker."""

    @property
    def is_done(self) -> bool:
        """Whether the stream has signalled its end."""

    @property
    def has_failed(self) -> bool:
        """Whether an event reported an error."""

    @property
    def is_complete(self) -> bool:
        """Whether the stream may end here."""

    def read(self, data: bytes, name: bytes = b"") -> EventKind:
        """Read the data of an event, and its name if it has one."""

    def read_deltas(self, data: bytes) -> bool:
        """Read the whole events of `data` if all are plain deltas; otherwise read none."""

    def summary(self, *, body: bytes | None = None) -> AnswerSummary:
        """Return the facts of the response so far; `body` is kept with them."""


class BodyRelay(Protocol):
    """Converts the provider's bytes to the client's, however they are split.

    Exactly one of `finish` and `abort` ends it. Once `error` is set, the rest of the stream is not
    needed; the client has got the error.
    """

    @property
    def error(self) -> Exception | None:
        """The reason if the client's body is incomplete."""

    @property
    def is_over(self) -> bool:
        """Whether the stream has ended or failed, so that nothing is missing."""

    @property
    def events(self) -> int:
        """The number of events so far, without `[DONE]`."""

    @property
    def summary(self) -> AnswerSummary:
        """The facts of the response so far."""

    @property
    def has_event(self) -> bool:
        """Whether an event was passed on; comments and blank lines do not count."""

    @property
    def refusal(self) -> WholeAnswer | None:
        """The response as a whole one, if the stream so far is just an error."""

    def feed(self, data: bytes, /) -> bytes:
        """Take bytes of the provider, and return the bytes that the client gets now."""

    def finish(self) -> bytes:
        """End the body, and return the client's last bytes."""

    def abort(self, error: Exception) -> bytes:
        """End a body that broke off, and return the client's last bytes."""


class Transformer(Protocol):
    """The conversion of one attempt between the dialects of its client and its provider.

    Each attempt has its own, so nothing carries over. `model` is the requested model,
    `wants_stream` whether the client gets a stream, `added_usage` whether the body requests usage
    that the client did not request.

    Some providers reject unknown members: `rejects_additions` recognises that, and after
    `drop_additions` the body has only the client's members.
    """

    model: str | None
    wants_stream: bool

    @property
    def dialect(self) -> str:
        """The name of the dialect of the request to the provider."""

    @property
    def dropped(self) -> tuple[str, ...]:
        """The client's names of fields that the provider's dialect does not have."""

    @property
    def added_usage(self) -> bool:
        """Whether the body requests usage that only the mesh needs."""

    @property
    def target(self) -> str:
        """The request target; it may depend on the model and on streaming."""

    def headers(self, fields: tuple[tuple[bytes, bytes], ...]) -> tuple[tuple[bytes, bytes], ...]:
        """Return the header fields of the call from the configured and forwarded ones."""

    def body(self) -> bytes:
        """Return the request body for the provider."""

    def drop_additions(self) -> None:
        """Omit the mesh's own additions from later bodies."""

    def rejects_additions(self, answer: WholeAnswer) -> bool:
        """Return whether an error rejects the mesh's own additions to the body."""

    def is_stream(self, head: ResponseHead, begin: bytes = b"") -> bool | None:
        """Return whether the response is passed on as it arrives rather than as a whole.

        Its media type may be wrong, so its first bytes decide; None means that more are needed.
        Without any bytes the media type decides.
        """

    def whole(
        self, head: ResponseHead, body: bytes, *, max_bytes: int, detail: SummaryDetail = "facts"
    ) -> WholeAnswer:
        """Return the client's response for one that was read to its end.

        Args:
            head: the response's head.
            body: its body, as received.
            max_bytes: the limit for a decompressed body.
            detail: how much its summary has at least.

        Raises:
            UpstreamProtocolError: the body contradicts the head.
        """

    def relay(self, head: ResponseHead) -> tuple[list[tuple[bytes, bytes]], BodyRelay]:
        """Return the client's header fields and the relay for a streamed response.

        Raises:
            UpstreamProtocolError: the stream cannot be read.
        """


class Renaming(Protocol):
    """The properties of a provider that determine the model of a call."""

    @property
    def model(self) -> str | None:
        """The configured model."""

    @property
    def model_mapping(self) -> Mapping[str, str]:
        """The provider's names of models, by the client's."""


def called_model(upstream: Renaming, requested: str | None, *, is_set: bool = True) -> str | None:
    """Return the model that a provider is called with for the requested one.

    The configured model overrides it, unless `is_set` is false for the operation.
    """
    if is_set and upstream.model is not None:
        return upstream.model
    return None if requested is None else upstream.model_mapping.get(requested, requested)


class UpstreamOptions(Renaming, Protocol):
    """The properties of a provider that a dialect uses.

    `model` and `stream` replace what the client sent, `defaults` (encoded JSON) fill what it left
    out, `model_mapping` renames models. `requests_usage` allows requesting usage in streams.
    """

    @property
    def host(self) -> str:
        """The provider host, as manifests name it."""

    @property
    def targets(self) -> Mapping[ServedOperation, str]:
        """The configured request target of each operation."""

    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """The configured header fields."""

    @property
    def stream(self) -> bool | None:
        """The configured form of responses."""

    @property
    def requests_usage(self) -> bool:
        """Whether token counts may be requested in streams."""

    @property
    def defaults(self) -> Mapping[str, msgspec.Raw]:
        """Members of generations to add where the client omitted them."""

    def redact(self, data: bytes) -> bytes:
        """Return `data` without the secrets that a provider may have repeated in it."""


class Dialect(Protocol):
    """The wire form of one API; a stateless object.

    `key_field` is the header field that carries the provider's key, `keepalive` the event that
    keeps the connection of a waiting client open.
    """

    @property
    def name(self) -> str:
        """The dialect's name, such as `openai.chat`."""

    @property
    def texts(self) -> TextForm:
        """Finds the texts of requests, responses and events."""

    @property
    def answers(self) -> Answers:
        """Decides which responses may be cached, and converts them."""

    @property
    def keepalive(self) -> bytes:
        """The event or comment that is sent between events."""

    @property
    def key_field(self) -> bytes:
        """The header field that carries the key, in lower case."""

    def transformer(
        self, request: ClientRequest, operation: ServedOperation, upstream: UpstreamOptions
    ) -> Transformer:
        """Return the conversion for one attempt at `upstream`."""

    def without_foreign_proofs(self, fields: Fields) -> Fields:
        """Return a request without proofs of reasoning from providers of other dialects.

        A provider of this dialect cannot verify them and would refuse the request.
        """

    def facts(self) -> FactReader:
        """Return a reader for the events of one stream."""

    def read_whole(self, body: bytes) -> Whole | None:
        """Read a whole response; return None if no SDK can read it."""

    def read_request_content(self, fields: Fields) -> RequestContent:
        """Return the content of a request, for content records."""

    def read_messages(self, body: bytes) -> list[Message]:
        """Return the messages of a whole response, for content records."""

    def write_error(self, error: AnswerableError) -> bytes:
        """Return the body for the mesh's own error: a JSON object in the form of this dialect."""

    def error_event(self, error: AnswerableError, *, position: int = 0) -> bytes:
        """Return the event that reports an error in a stream.

        Args:
            error: the error that ends the stream.
            position: the number of events before it, for dialects that number them.
        """

    def body_event(self, body: bytes) -> bytes:
        """Return the event with a whole body, for a stream that began before the body was known.

        The body is nearly always an error.
        """


class ServedOperation(Operation, frozen=True, kw_only=True, eq=False):
    """An operation with its dialect; `_dialects` defines all of them.

    `write_models` makes the reply to a question about models from the request's headers, its path
    and the known names. It returns None if the model that the path names is not among them.
    `streams` says whether responses are streams, where the operation decides that and not the
    request's body; `events_by` is the part of the query without which such a stream is not events,
    but one JSON value. `read_path` is for paths that name the model: it returns that model, and the
    members of the body, completed by it where they have a place for it. `whole_form` is the
    operation that asks for the same as one JSON value, where that is another one.

    The other dialects meet it by its sides: `client` reads what its clients ask of providers of
    other dialects, `provider` writes what others ask of its providers, and `counting` is there if
    it asks for a count of tokens. `has_envelope` says that the dialect's own transformer completes
    a translated request, as model and form are in its body.
    """

    dialect: Dialect
    write_models: Callable[[Headers, str, Sequence[str]], bytes | None] | None = None
    streams: bool | None = None
    events_by: str = ""
    read_path: Callable[[str, Fields], tuple[str | None, Fields]] | None = None
    whole_form: ServedOperation | None = None
    client: ClientSide | None = None
    provider: ProviderSide | None = None
    counting: CountingSide | None = None
    has_envelope: bool = True

    def wants_stream(self, request: ClientRequest) -> bool:
        """Return whether a request asks for a stream of events."""
        if self.streams is None:
            return "stream" in request.fields and read_bool(request.fields, "stream") is True
        return self.streams and (not self.events_by or self.events_by in request.query.split("&"))

    def model_of(self, path: str, fields: Fields) -> tuple[str | None, Fields]:
        """Return the model that a request names, and the members of its body."""
        if self.read_path is None:
            return read_text(fields, "model"), fields
        return self.read_path(path, fields)

    def check_method(self, method: str, *, allow_head: bool = True) -> None:
        """Raise `MethodNotAllowed` unless the operation is served under `method`."""
        if allow_head and method == "HEAD" and self.write_models is not None:
            return
        if method == self.method:
            return
        if method == "CONNECT":  # from a client with a proxy for https:// URLs
            message = "no tunnel is opened here: call http:// URLs, the mesh itself uses HTTPS"
        else:
            message = f"{self.suffix} is served under {self.method}, not {method[:16]}"
        raise MethodNotAllowed(message, allow=self.method)
