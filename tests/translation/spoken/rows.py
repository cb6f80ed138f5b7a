"""What a row of the table of dialects has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._core.values.messages import ClientRequest
from llm_mesh_middleware._core.values.payload import decode_fields
from llm_mesh_middleware.testing import Answer, RecordedRequest, Stream
from tests.canaries import canary

__all__ = [
    "CACHED",
    "ERROR_WORDS",
    "INPUT",
    "KEY",
    "OUTPUT",
    "REASONED",
    "SIGNATURE",
    "Call",
    "Part",
    "Provider",
    "Spoken",
]

KEY = canary("spoken")
SIGNATURE = "c2lnbmVk"
ERROR_WORDS = "in the provider's own words"
# Counts of tokens: of the input, of it from a cache; of the output, of it thoughts.
INPUT, CACHED, OUTPUT, REASONED = 9, 4, 5, 2

Call = tuple[str, str, dict[str, Any]]


@dataclass(frozen=True)
class Part:
    """What a model is to say, and why it ends: stop, length, tool_calls or refused."""

    text: str = "Grüezi"
    thought: str = ""
    calls: Sequence[Call] = ()
    finish: str = "stop"


@dataclass(frozen=True, kw_only=True)
class Provider:
    """A provider of one dialect.

    Attributes:
        config: how it is declared.
        path: where a whole answer is asked for.
        write: a part as a whole answer.
        plays: thoughts, a text and calls as a stream.
        judge: fails unless a request is what the vendor's own types allow; returns its body.
        error: the body of an error, by its status.
        headers: header fields of an answer, and by its status of an error.
        vendor: the vendor in telemetry; empty if the host alone says it.
        proof: what its own thoughts or calls are signed with, and so must come back to it.
        counts: whether its API counts tokens before a call.
        cached: what it tells of the tokens from a cache.
        tells: why an answer ended, where it has no word for the reason.
    """

    config: Mapping[str, Any]
    path: str
    write: Callable[[Part], dict[str, Any]]
    plays: Callable[[str, str, Sequence[Call]], Stream]
    judge: Callable[[RecordedRequest], Any]
    error: Callable[[int], Mapping[str, Any]]
    headers: tuple[tuple[str, str], ...] = ()
    error_headers: Callable[[int], list[tuple[str, str]]] = lambda status: []
    vendor: str = ""
    proof: str = ""
    counts: bool = True
    cached: int = CACHED
    tells: Mapping[str, str] = field(default_factory=dict)

    def whole(self, part: Part) -> Answer:
        """Return the part as one body."""
        return Answer(headers=self.headers, body=self.write(part))

    def fails(self, status: int) -> Answer:
        """Return an error that is not to be tried again soon."""
        fields = [("retry-after", "60"), *self.error_headers(status)]
        return Answer(status, fields, self.error(status))


@dataclass(frozen=True, kw_only=True)
class Spoken:
    """A dialect as both sides speak it.

    `ask` is a client's request for a stream, None where no client speaks the dialect; `query` is
    that of its path. `last` is how many of the last events only count or mark the end, but for one.
    `end` is what a client's stream ends with if it is complete. Of a dialect that no client speaks,
    `more` is an event with nothing but a word, and `told` makes a stream that tells a text, a
    thought or the arguments of a call in pieces.
    """

    side: Any
    provider: Provider
    stream: list[bytes]
    last: int
    ask: str | None = None
    operation: Any = None
    query: str = ""
    end: bytes = b""
    more: bytes = b""
    told: Callable[[str, Sequence[str]], bytes] | None = None

    @property
    def request(self) -> ClientRequest:
        fields = decode_fields((self.ask or "{}").encode())
        return ClientRequest(
            "POST", "/", Headers(()), fields=fields, operation=self.operation, query=self.query
        )
