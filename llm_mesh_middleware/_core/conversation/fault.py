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
    """An error with the provider's own message.

    `status` is the provider's, or that of the error object if it came with status 200. `code` and
    `param` are the provider's; the client gets them if its dialect has these members. `reasons` are
    all codes and types of the error, which the retry policy checks.
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
    """Return the kind of fault for an HTTP status."""
    return _KINDS.get(status) or ("server" if status >= 500 else "bad_request")
