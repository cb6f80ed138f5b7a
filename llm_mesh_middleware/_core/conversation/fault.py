"""A provider's error, in the neutral form."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["ErrorBody", "FaultKind", "ProviderFault", "kind_of_status"]

FaultKind = Literal[
    "bad_request",
    "authentication",
    "billing",
    "permission",
    "not_found",
    "conflict",
    "too_large",
    "unprocessable",
    "rate_limit",
    "timeout",
    "server",
    "overloaded",
]

_KINDS: dict[int, FaultKind] = {
    401: "authentication",
    402: "billing",
    403: "permission",
    404: "not_found",
    408: "timeout",
    409: "conflict",
    413: "too_large",
    422: "unprocessable",
    424: "server",
    429: "rate_limit",
    503: "overloaded",
    504: "timeout",
    529: "overloaded",
}


class ProviderFault(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong, in the provider's own words.

    `status` is the provider's, or what its words mean where they came with the status 200. `code`
    and `param` are those of the provider; they pass only where the client's dialect has a place for
    them. `reasons` are all the words that say what kind of fault it is: retries look at them.
    """

    kind: FaultKind
    status: int
    message: str
    code: str | None = None
    param: str | None = None
    reasons: frozenset[str] = frozenset()


class ErrorBody(msgspec.Struct, frozen=True):
    """An error as a client's dialect has it."""

    status: int
    body: bytes


def kind_of_status(status: int) -> FaultKind:
    """Return what kind of fault an HTTP status means."""
    return _KINDS.get(status) or ("server" if status >= 500 else "bad_request")
