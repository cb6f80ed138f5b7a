"""Ollama's chat API, for requests to providers.

Its OpenAI-compatible API ignores the options for context length and thinking; this one has both.
"""

from __future__ import annotations

from ..._core.conversation.answer import Answer
from ..._core.conversation.fault import ProviderFault
from ..._core.conversation.request import Conversation
from ..._core.conversation.sides import EventReader
from ..._core.conversation.writing import DialectOptions, Stamp, Written
from ..._core.values.headers import Headers
from ..._core.values.operations import Operation
from ..objects import read_object
from ..translation.faults import fault_of
from .answers import read_answer
from .line_reader import LineReader
from .request_writer import write_request

__all__ = ["DIALECT", "OllamaChat"]


class OllamaChat:
    """`/api/chat`; model and form are in the body, and a stream is one JSON object a line."""

    name = "ollama.chat"
    has_lines = True

    def target(self, target: str, operation: Operation, model: str | None, *, streams: bool) -> str:
        """Return the configured target."""
        return target

    def write_request(
        self,
        conversation: Conversation,
        options: DialectOptions,
        *,
        model: str | None,
        streams: bool,
    ) -> Written:
        """Return a conversation as a request."""
        return write_request(conversation, options, model=model, streams=streams)

    def is_error(self, body: bytes) -> bool:
        """Return whether a whole body is an error object."""
        members = read_object(body)
        return "error" in members and "message" not in members

    def read_answer(self, body: bytes, stamp: Stamp) -> Answer:
        """Return a whole body in the neutral form."""
        return read_answer(body, stamp)

    def event_reader(self, stamp: Stamp) -> EventReader:
        """Return the reader of one stream."""
        return LineReader(stamp)

    def read_fault(self, status: int, headers: Headers, body: bytes) -> ProviderFault:
        """Return an error in the neutral form."""
        return fault_of(status, body)


DIALECT = OllamaChat()
