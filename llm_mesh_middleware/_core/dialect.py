"""The interface of a dialect, and the operations it serves; the dialects live in `_dialects`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

import msgspec

from ..exceptions import AnswerableError, MethodNotAllowed
from .values.headers import Headers
from .values.messages import ClientRequest, ResponseHead
from .values.operations import Operation
from .values.summary import AnswerSummary
from .values.usage import Usage

__all__ = [
    "BodyRelay",
    "Dialect",
    "EventKind",
    "FactReader",
    "ServedOperation",
    "Transformer",
    "UpstreamOptions",
    "Whole",
    "WholeAnswer",
]


class WholeAnswer(msgspec.Struct, frozen=True):
    """A response as the client gets it at once.

    `status` is not the provider's where that is 200 and the body an error object, but what the
    error's code means. `reasons` are the code and the type of an error object.
    """

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    summary: AnswerSummary | None = None
    reasons: frozenset[str] = frozenset()

    @property
    def usage(self) -> Usage | None:
        """The token counts, if the answer has any."""
        return self.summary.usage if self.summary is not None else None


class Whole(Protocol):
    """A whole response, read on the side."""

    @property
    def is_error(self) -> bool:
        """Whether it is an error object, whatever its status."""

    def summary(self, body: bytes | None) -> AnswerSummary:
        """What it says of itself; `body` is kept with it."""


class EventKind(Enum):
    """What one event of a stream is to a relay."""

    CONTENT = "content"  # whatever is not one of the others
    USAGE = "usage"  # token counts and nothing that an SDK takes for a part of the response
    ERROR = "error"
    UNREADABLE = "unreadable"  # no SDK can read it


class FactReader(Protocol):
    """Reads on the side what the events of one stream say; they are passed on unread otherwise."""

    @property
    def usage(self) -> Usage | None:
        """The token counts so far."""

    @property
    def events(self) -> int:
        """How many events were read; the mark of the end is none."""

    @property
    def is_done(self) -> bool:
        """Whether the stream has said that nothing follows."""

    @property
    def has_failed(self) -> bool:
        """Whether an event told of an error."""

    @property
    def is_complete(self) -> bool:
        """Whether the stream may end here."""

    def read(self, data: bytes, name: bytes = b"") -> EventKind:
        """Take the data of an event, and the event's name if it has one."""

    def read_deltas(self, events: bytes, count: int) -> bool:
        """Take `count` events, a JSON array, if each is a mere delta; else take none of them."""

    def summary(self, *, body: bytes | None = None) -> AnswerSummary:
        """What the events say of the response so far; `body` is kept with it."""


class BodyRelay(Protocol):
    """Turns upstream bytes into client bytes, however they are split.

    Exactly one of `finish` and `abort` ends it. Once `error` is set the rest of the upstream's
    bytes is of no use; the client has been told.
    """

    @property
    def error(self) -> Exception | None:
        """Why the client's body is not complete, if it is not."""

    @property
    def is_over(self) -> bool:
        """Whether the stream has come to its own end, or to an error: nothing more is missing."""

    @property
    def events(self) -> int:
        """How many events were seen so far; `[DONE]` is none."""

    @property
    def summary(self) -> AnswerSummary:
        """What was seen of the answer so far."""

    @property
    def has_event(self) -> bool:
        """Whether what was passed on holds an event: comments and blank lines are none."""

    @property
    def refusal(self) -> WholeAnswer | None:
        """The response as a whole one, if an error is all that its stream has told so far."""

    def feed(self, data: bytes, /) -> bytes:
        """Take upstream bytes, return what the client gets now."""

    def finish(self) -> bytes:
        """The upstream body ended; return what the client still gets."""

    def abort(self, error: Exception) -> bytes:
        """The upstream broke off; return what the client still gets."""


class Transformer(Protocol):
    """One attempt's conversion between what its client speaks and what its upstream speaks.

    Made anew for each attempt, so nothing of an earlier one can be in it. `model` is the model that
    the upstream is asked for, `wants_stream` whether the client is to get a stream, `added_usage`
    whether the body that was made asks for token counts that the client did not ask for.

    Some providers refuse a request for what they do not know: `is_refusal_of_addition` recognises
    that, and after `leave_addition_out` the body asks only for what the client did.
    """

    model: str | None
    wants_stream: bool
    added_usage: bool

    @property
    def target(self) -> str:
        """The request target; it may depend on the model and on whether a stream is asked for."""

    def headers(self, fields: tuple[tuple[bytes, bytes], ...]) -> tuple[tuple[bytes, bytes], ...]:
        """Return the call's header fields, given the configured and the forwarded ones."""

    def body(self) -> bytes:
        """The request body for the upstream."""

    def leave_addition_out(self) -> None:
        """Add nothing to later bodies that only the mesh wants."""

    def is_refusal_of_addition(self, answer: WholeAnswer) -> bool:
        """Return whether an error refuses what only the mesh added to the body."""

    def is_stream(self, head: ResponseHead, begin: bytes = b"") -> bool | None:
        """Whether the response is passed on as it arrives rather than as a whole.

        Its label may be wrong, so its first bytes decide; None says that more of them are needed.
        Without any bytes the label decides.
        """

    def whole(self, head: ResponseHead, body: bytes, *, max_bytes: int) -> WholeAnswer:
        """What the client gets for an answer read to its end.

        Args:
            head: the answer's head.
            body: its body, as it came.
            max_bytes: what the body may grow to if it is compressed.

        Raises:
            UpstreamProtocolError: the answer is not what its head promises.
        """

    def relay(self, head: ResponseHead) -> tuple[list[tuple[bytes, bytes]], BodyRelay]:
        """The client's header fields and the relay for a streamed answer.

        Raises:
            UpstreamProtocolError: the stream cannot be read.
        """


class UpstreamOptions(Protocol):
    """What a dialect may know of the provider that an attempt calls.

    `model` and `stream` replace what the client sent, `defaults` (encoded JSON) fill what it left
    out, `model_mapping` renames models. `asks_usage` allows asking for token counts in streams.
    """

    @property
    def host(self) -> str:
        """The provider host, as manifests name it."""

    @property
    def targets(self) -> Mapping[ServedOperation, str]:
        """The configured request target of each operation."""

    @property
    def model(self) -> str | None:
        """The configured model."""

    @property
    def model_mapping(self) -> Mapping[str, str]:
        """The provider's names of models, by the client's."""

    @property
    def stream(self) -> bool | None:
        """The configured form of responses."""

    @property
    def asks_usage(self) -> bool:
        """Whether token counts may be requested in streams."""

    @property
    def defaults(self) -> Mapping[str, msgspec.Raw]:
        """Members for generations that the client left out."""

    def redact(self, data: bytes) -> bytes:
        """Return `data` without the secrets that a provider may have repeated in it."""


class Dialect(Protocol):
    """The form of one API on the wire. One object for each, without state.

    `key_field` is the header field that carries the provider's key.
    """

    @property
    def name(self) -> str:
        """The dialect's name, such as `openai.chat`."""

    @property
    def key_field(self) -> bytes:
        """The header field that carries the key, in lower case."""

    def transformer(
        self, request: ClientRequest, operation: ServedOperation, upstream: UpstreamOptions
    ) -> Transformer:
        """Return the conversion for one attempt at `upstream`."""

    def facts(self) -> FactReader:
        """Return what reads the events of one stream."""

    def read_whole(self, body: bytes) -> Whole | None:
        """Return what a whole response says, or None if no SDK can read it."""

    def read_messages(self, body: bytes) -> list[dict[str, Any]]:
        """Return the messages that a whole response holds, for a record of its content."""

    def write_error(self, error: AnswerableError) -> bytes:
        """Return the body of the mesh's own error: a JSON object as this dialect has it."""

    def error_event(self, error: AnswerableError, *, position: int = 0) -> bytes:
        """Return the event that tells a stream's reader of an error.

        Args:
            error: what the stream ends with.
            position: how many events precede it, for dialects that number them.
        """

    def body_event(self, body: bytes) -> bytes:
        """Return the event that holds a whole body, for a stream begun before the body was known.

        It is an error's, nearly always.
        """


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ServedOperation(Operation):
    """An operation with the dialect that its requests are in; `_dialects` defines all there are.

    `write_models` makes the reply to a question about models from the request's headers, its path
    and the known names. It returns None if the model that the path names is not among them.
    """

    dialect: Dialect
    write_models: Callable[[Headers, str, Sequence[str]], bytes | None] | None = None

    def check_method(self, method: str, *, allow_head: bool = True) -> None:
        """Raise `MethodNotAllowed` unless the operation is served under `method`."""
        if allow_head and method == "HEAD" and self.write_models is not None:
            return
        if method != self.method:
            raise MethodNotAllowed(
                f"{self.suffix} is served under {self.method}, not {method[:16]}", allow=self.method
            )
