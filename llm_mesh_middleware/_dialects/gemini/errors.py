"""Error objects of Google's APIs."""

from __future__ import annotations

import msgspec

__all__ = ["error_object"]

# The code for a status; others are the request's fault or the server's.
_REASONS = {
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


_RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo"


def error_object(status: int, message: str, *, retry_after_ms: str | None = None) -> bytes:
    """Return an error object; its code is the HTTP status.

    `retry_after_ms` is the value of that header field: Google's clients expect it in the body.
    """
    word = _REASONS.get(status) or ("INTERNAL" if status >= 500 else "FAILED_PRECONDITION")
    error: dict[str, object] = {"code": status, "message": message, "status": word}
    if retry_after_ms is not None:
        delay = f"{int(retry_after_ms) / 1000:g}s"
        error["details"] = [{"@type": _RETRY_INFO, "retryDelay": delay}]
    return msgspec.json.encode({"error": error})
