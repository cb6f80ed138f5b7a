"""Replies of a connection to requests that cannot be read or served."""

from __future__ import annotations

from http import HTTPStatus

from ...._core.values.messages import error_object

__all__ = ["BUSY", "FAILED", "INVALID", "TOO_LARGE", "TOO_SLOW"]


def _refusal(status: HTTPStatus, message: str, code: str, type: str) -> bytes:
    body = error_object(message, type=type, code=code)
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\n"
        f"x-content-type-options: nosniff\r\ncontent-length: {len(body)}\r\n"
        "connection: close\r\n\r\n"
    )
    return head.encode() + body


_INVALID = "invalid_request_error"

INVALID = _refusal(
    HTTPStatus.BAD_REQUEST, "this is not an HTTP request", "malformed_request", _INVALID
)
TOO_LARGE = _refusal(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    "the request line and the header fields are longer than 64 KiB",
    "request_head_too_large",
    _INVALID,
)
TOO_SLOW = _refusal(
    HTTPStatus.REQUEST_TIMEOUT,
    "the request line and the header fields did not arrive in time",
    "request_timeout",
    _INVALID,
)
FAILED = _refusal(
    HTTPStatus.INTERNAL_SERVER_ERROR,
    "the mesh has failed; its log says why",
    "internal_error",
    "server_error",
)
BUSY = _refusal(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "the mesh has too many connections; try again later",
    "too_many_connections",
    "server_error",
)
