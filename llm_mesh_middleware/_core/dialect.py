"""What the core needs from a dialect; the dialects live in `_dialects`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from ..exceptions import AnswerableError
from .values.messages import ClientRequest, ResponseHead
from .values.operations import Operation
from .values.summary import AnswerSummary
from .values.usage import Usage

if TYPE_CHECKING:
    from .provider.upstream import Upstream

__all__ = ["BodyRelay", "Dialect", "Transformer", "WholeAnswer"]


class WholeAnswer(msgspec.Struct, frozen=True):
    """An answer as the client gets it at once."""

    headers: list[tuple[bytes, bytes]]
    body: bytes
    summary: AnswerSummary | None = None

    @property
    def usage(self) -> Usage | None:
        """The token counts, if the answer has any."""
        return self.summary.usage if self.summary is not None else None


class BodyRelay(Protocol):
    """Turns upstream bytes into client bytes, however they are split.

    Exactly one of `finish` and `abort` ends it. Once `error` is set the rest of the upstream's
    bytes is of no use; the client has been told.
    """

    @property
    def error(self) -> Exception | None:
        """Why the client's body is not complete, if it is not."""

    @property
    def events(self) -> int:
        """How many events were seen so far; `[DONE]` is none."""

    @property
    def summary(self) -> AnswerSummary:
        """What was seen of the answer so far."""

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
    """

    model: str | None
    wants_stream: bool
    added_usage: bool

    def body(self) -> bytes:
        """The request body for the upstream."""

    def is_stream(self, head: ResponseHead) -> bool:
        """Whether the answer is passed on as it arrives rather than as a whole."""

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
        self, request: ClientRequest, operation: Operation, upstream: Upstream
    ) -> Transformer:
        """Return the conversion for one attempt at `upstream`."""

    def write_error(self, error: AnswerableError) -> bytes:
        """Return the body of the mesh's own error: a JSON object as this dialect has it."""

    def error_event(self, error: AnswerableError, *, position: int = 0) -> bytes:
        """Return the event that tells a stream's reader of an error.

        Args:
            error: what the stream ends with.
            position: how many events precede it, for dialects that number them.
        """
