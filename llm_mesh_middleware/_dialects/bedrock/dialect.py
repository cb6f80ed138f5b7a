"""The Converse API, for requests to providers."""

from __future__ import annotations

from typing import Any

from ..._core.conversation.answer import Answer
from ..._core.conversation.fault import ProviderFault
from ..._core.conversation.request import Conversation
from ..._core.conversation.sides import EventReader
from ..._core.conversation.writing import DialectOptions, Stamp, Written
from ..._core.values.headers import Headers
from ..._core.values.operations import Operation
from ..objects import read_object
from ..targets import fill
from ..translation.counting import CountingProvider
from .answers import read_answer, read_fault
from .event_reader import ConverseEventReader
from .request_writer import write_request

__all__ = ["COUNTER", "DIALECT", "Converse"]

# The members of a request that CountTokens counts.
_COUNTED = ("messages", "system", "toolConfig", "additionalModelRequestFields")


class Converse:
    """Converse and ConverseStream; the path names model and form."""

    name = "aws.bedrock.converse"
    has_lines = False

    def target(self, target: str, operation: Operation, model: str | None, *, streams: bool) -> str:
        """Return the target for the model, which ends in `/converse` or `/converse-stream`."""
        return fill(f"{target}-stream" if streams else target, model)

    def write_request(
        self,
        conversation: Conversation,
        options: DialectOptions,
        *,
        model: str | None,
        streams: bool,
    ) -> Written:
        """Return a conversation as a request."""
        return write_request(conversation, options)

    def is_error(self, body: bytes) -> bool:
        """Return whether a whole body is an error object."""
        members = read_object(body)
        return "output" not in members and ("message" in members or "__type" in members)

    def read_answer(self, body: bytes, stamp: Stamp) -> Answer:
        """Return a whole body in the neutral form."""
        return read_answer(body, stamp)

    def event_reader(self, stamp: Stamp) -> EventReader:
        """Return the reader of one stream."""
        return ConverseEventReader(stamp)

    def read_fault(self, status: int, headers: Headers, body: bytes) -> ProviderFault:
        """Return an error in the neutral form."""
        return read_fault(status, headers, body)


def _counted(members: dict[str, Any], model: str | None) -> dict[str, Any]:
    kept = {name: members[name] for name in _COUNTED if name in members}
    return {"input": {"converse": kept}}


DIALECT = Converse()
COUNTER = CountingProvider(DIALECT, _counted, "inputTokens")
