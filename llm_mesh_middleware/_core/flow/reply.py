"""The reply to a client: a whole body, or a stream that is a generator.

A reply with a whole body is complete when it is returned, and everything is recorded. A stream
keeps its provider's lease until its body ends, because its end decides the provider's result.
"""

from __future__ import annotations

from collections.abc import Generator

import msgspec
from msgspec.structs import replace

from ...exceptions import AnswerableError
from ..dialect import ServedOperation
from ..http.response_headers import NOSNIFF
from ..values.messages import error_object
from ..values.steps import Body, Step, StepResult

__all__ = ["Flow", "Reply", "as_stream", "refusal"]


class Reply(msgspec.Struct, frozen=True):
    """Status and header fields, and the body: bytes, or a `Body` that yields them.

    A `Body` may not have been started. To end it early, start it first, then throw into it: a
    generator that was not started cannot catch anything.
    """

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes | Body = b""

    @property
    def is_stream(self) -> bool:
        """Whether the body is sent piece by piece."""
        return not isinstance(self.body, bytes)

    def text_headers(self) -> list[tuple[str, str]]:
        """Return the header fields for an application; servers set `connection` themselves."""
        # PEP 3333: an application must not set it; HTTP/2 has none (RFC 9113 8.2.2).
        return [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in self.headers
            if name != b"connection"
        ]


Flow = Generator[Step, StepResult, Reply]

_LENGTH, _TYPE = b"content-length", b"content-type"


def as_stream(reply: Reply) -> Reply:
    """Return a reply of events as a stream, even if all of them are there; others unchanged."""
    body = reply.body
    is_events = dict(reply.headers).get(_TYPE, b"").startswith(b"text/event-stream")
    if not (isinstance(body, bytes) and is_events):
        return reply
    headers = [field for field in reply.headers if field[0] != _LENGTH]
    return replace(reply, headers=headers, body=_at_once(body))


def _at_once(body: bytes) -> Body:
    yield body


def refusal(error: AnswerableError, operation: ServedOperation | None = None) -> Reply:
    """Return the mesh's own reply to a request that cannot be served.

    Args:
        error: the reason.
        operation: the requested operation; the error has the form of its dialect, or OpenAI's if it
            is unknown.
    """
    if operation is None:
        body = error_object(error.message, type=error.type, code=error.code, param=error.param)
    else:
        body = operation.dialect.write_error(error)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        NOSNIFF,
        (b"link", b'<%s>; rel="help"' % error.help_url.encode()),
        *((k.encode("latin-1"), v.encode("latin-1")) for k, v in error.headers.items()),
    ]
    return Reply(error.status, headers, body)
