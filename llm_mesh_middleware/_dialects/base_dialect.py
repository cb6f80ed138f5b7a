"""The base class of dialects that clients speak."""

from __future__ import annotations

from abc import ABC, abstractmethod

from .._core.conversation.fault import ProviderFault
from .._core.conversation.request import Conversation
from .._core.dialect import Whole
from .._core.http.sse import COMMENT, make_event, on_one_line
from .._core.values.headers import Headers
from .._core.values.operations import Operation
from ..exceptions import AnswerableError
from .translation.faults import fault_of

__all__ = ["BaseDialect"]


class BaseDialect(ABC):
    """A dialect with the usual defaults: the model in the body, JSON errors, unnamed events."""

    keepalive = COMMENT
    forgets_proofs = has_citations = has_drafts = has_lines = False

    @abstractmethod
    def read_whole(self, body: bytes) -> Whole | None:
        """Return the facts of a whole response, or None if no SDK can read it."""

    @abstractmethod
    def write_error(self, error: AnswerableError) -> bytes:
        """Return an error of the mesh as an error object."""

    def error_event(self, error: AnswerableError, *, position: int = 0) -> bytes:
        """Return an error object as an event without a name."""
        return make_event(self.write_error(error))

    def body_event(self, body: bytes) -> bytes:
        """Return a whole body as an event without a name."""
        return make_event(on_one_line(body))

    def choice_events(self, body: bytes, conversation: Conversation) -> bytes:
        """Return a whole body with several choices as one event."""
        return make_event(on_one_line(body))

    def target(self, target: str, operation: Operation, model: str | None, *, streams: bool) -> str:
        """Return the configured target."""
        return target

    def is_error(self, body: bytes) -> bool:
        """Return whether a whole body is an error object."""
        whole = self.read_whole(body)
        return whole is not None and whole.is_error

    def read_fault(self, status: int, headers: Headers, body: bytes) -> ProviderFault:
        """Return an error in the neutral form."""
        return fault_of(status, body)
