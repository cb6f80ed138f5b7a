"""The two sides of a translation: how a client's dialect and a provider's are read and written.

    client's body -> read_request -> Conversation -> write_request -> provider's body
    client's body <- write_answer <- Answer       <- read_answer   <- provider's body
    client's events <- EventWriter <- Delta       <- EventReader   <- provider's bytes
    client's error  <- write_fault <- ProviderFault <- read_fault  <- provider's error

One object can be both. A dialect that no client speaks is only a `ProviderSide`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from ...exceptions import AnswerableError
from ..values.headers import Headers
from ..values.messages import ClientRequest
from ..values.operations import Operation
from .answer import Answer, Delta
from .fault import ErrorBody, ProviderFault
from .parts import Image
from .request import Conversation
from .writing import DialectOptions, Stamp, Written

__all__ = ["ClientSide", "CountingSide", "EventReader", "EventWriter", "ProviderSide"]


class EventWriter(Protocol):
    """Writes one answer's deltas as a client's events."""

    def write(self, deltas: Iterable[Delta]) -> bytes:
        """Return the events that the deltas allow to be sent now.

        Raises:
            UpstreamProtocolError: The deltas make no answer in this dialect.
        """

    def fail(self, error: AnswerableError) -> bytes:
        """Return the events that end the stream with an error of the mesh."""


class EventReader(Protocol):
    """Reads a provider's stream, however its bytes are cut."""

    def feed(self, data: bytes) -> Sequence[Delta]:
        """Return the deltas that `data` completes.

        Raises:
            UpstreamProtocolError: The bytes are not what the dialect allows.
        """

    def finish(self) -> Sequence[Delta]:
        """Return what the end of the bytes completes; without `End` the stream was cut off."""


class ClientSide(Protocol):
    """A dialect as clients speak it.

    `request_id_field` is the header field in which its SDK looks for the id of a request.
    `forgets_proofs`: its clients may send calls back without their proofs. `has_citations`: its
    answers have a place for the URLs of sources. `has_drafts`: its streams have one for images that
    are not complete.
    """

    @property
    def forgets_proofs(self) -> bool:
        """Whether proofs have no place among the fields that every client keeps."""

    @property
    def has_citations(self) -> bool:
        """Whether an answer can have the sources of a text."""

    @property
    def has_drafts(self) -> bool:
        """Whether a stream can have drafts of an image; otherwise the writers leave them out."""

    @property
    def request_id_field(self) -> bytes:
        """The name of the field, in lower case."""

    def read_request(self, request: ClientRequest) -> Conversation:
        """Return a request in the neutral form.

        Raises:
            MalformedRequest: It is not a request of this dialect.
            UnsupportedField: A member cannot be translated to any dialect.
        """

    def has_image(self, image: Image) -> bool:
        """Return whether an answer can have this image; otherwise the writers leave it out."""

    def write_answer(self, answer: Answer, conversation: Conversation, stamp: Stamp) -> bytes:
        """Return an answer as a whole body.

        Raises:
            UpstreamProtocolError: This dialect cannot express it.
        """

    def event_writer(self, conversation: Conversation, stamp: Stamp) -> EventWriter:
        """Return what writes one stream."""

    def choice_events(self, body: bytes, conversation: Conversation) -> bytes:
        """Return a whole body with several choices as the events of a stream."""

    def write_fault(self, fault: ProviderFault) -> ErrorBody:
        """Return the error object for a provider's fault, and the status that fits it."""


class ProviderSide(Protocol):
    """A dialect as providers speak it. `has_lines` says that a stream is one JSON object a line."""

    @property
    def name(self) -> str:
        """The name of the dialect."""

    @property
    def has_lines(self) -> bool:
        """Whether the label alone tells a stream from a whole response."""

    def target(self, target: str, operation: Operation, model: str | None, *, streams: bool) -> str:
        """Return the request target; `target` is the one that the configuration gives."""

    def write_request(
        self,
        conversation: Conversation,
        options: DialectOptions,
        *,
        model: str | None,
        streams: bool,
    ) -> Written:
        """Return a conversation as a request to this dialect.

        Raises:
            UnsupportedField: This dialect cannot express a field.
        """

    def is_error(self, body: bytes) -> bool:
        """Return whether a whole body that came with a success is an error object."""

    def read_answer(self, body: bytes, stamp: Stamp) -> Answer:
        """Return a whole body in the neutral form.

        Raises:
            UpstreamProtocolError: It is not an answer of this dialect.
        """

    def event_reader(self, stamp: Stamp) -> EventReader:
        """Return what reads one stream."""

    def read_fault(self, status: int, headers: Headers, body: bytes) -> ProviderFault:
        """Return an error in the neutral form; the status may be 200 if the body is an error."""


class CountingSide(Protocol):
    """A request for a token count, as clients send it."""

    @property
    def member(self) -> str:
        """The member of the reply that has the count."""

    @property
    def read(self) -> Callable[[ClientRequest], Conversation]:
        """Reads the conversation to be counted."""

    @property
    def write_fault(self) -> Callable[[ProviderFault], ErrorBody]:
        """Writes a provider's fault."""

    def write(self, tokens: int) -> bytes:
        """Return the reply."""

    def estimate(self, request: ClientRequest) -> tuple[bytes, bytes]:
        """Return the reply if no provider can count, and the name of the estimated member."""
