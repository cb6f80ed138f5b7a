"""Error objects of Google's APIs."""

from __future__ import annotations

import msgspec

__all__ = ["error_object"]

# The word for a status; the others are the request's fault or the server's.
_WORDS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
    529: "UNAVAILABLE",
}


def error_object(status: int, message: str) -> bytes:
    """Return an error object; its code is the HTTP status."""
    word = _WORDS.get(status) or ("INTERNAL" if status >= 500 else "FAILED_PRECONDITION")
    return msgspec.json.encode({"error": {"code": status, "message": message, "status": word}})
