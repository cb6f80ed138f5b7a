"""Error objects of the Messages API, also converted from those of its hosts."""

from __future__ import annotations

from typing import Any

import msgspec

from ..objects import read_object

__all__ = ["as_error_object", "error_object", "error_of_status"]

# The error type for a status; others are the request's fault or the server's.
_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def error_object(type: str, message: str) -> bytes:
    """Return an error object. The mesh gives no ids to requests, so `request_id` is null."""
    error = {"type": type, "message": message}
    return msgspec.json.encode({"type": "error", "error": error, "request_id": None})


def error_of_status(status: int, message: str) -> bytes:
    """Return the error object for a status."""
    other = "api_error" if status >= 500 else "invalid_request_error"
    return error_object(_TYPES.get(status, other), message)


def as_error_object(status: int, body: bytes) -> bytes:
    """Return a host's error as an error object; errors that have this form are not changed.

    Google's errors are objects with a number as their code, or a list of one; AWS has the message
    at the top level.
    """
    members = _members(body)
    error = members.get("error")
    if isinstance(error, dict) and members.get("type") == "error":
        return body
    holder = error if isinstance(error, dict) else members
    message = holder.get("message") or holder.get("Message")
    return error_of_status(status, message) if isinstance(message, str) else body


def _members(body: bytes) -> dict[str, Any]:
    return read_object(body[body.index(b"{") : body.rindex(b"}") + 1]) if b"{" in body else {}
