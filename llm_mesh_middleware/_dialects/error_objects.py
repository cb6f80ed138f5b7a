"""Reads error objects of any form: providers mix the forms of several dialects."""

from __future__ import annotations

from typing import Any

import msgspec

from .._core.values.lenient_json import parse_json

__all__ = ["MAX_SHOWN", "Fault", "plain_text", "read_fault", "reports_error"]

# The status for a code or a type, if an error object has no status.
_STATUSES = {
    "billing_error": 402,
    "content_filter": 400,
    "context_length_exceeded": 400,
    "authentication_error": 401,
    "insufficient_quota": 429,
    "invalid_api_key": 401,
    "invalid_argument": 400,
    "invalid_request_error": 400,
    "model_not_found": 404,
    "not_found_error": 404,
    "overloaded": 503,
    "overloaded_error": 503,
    "permission_denied": 403,
    "permission_error": 403,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "request_too_large": 413,
    "resource_exhausted": 429,
    "service_unavailable": 503,
    "timeout": 504,
    "timeout_error": 504,
    "unavailable": 503,
}
_UNKNOWN = 502

_CODES = ("code", "status", "status_code", "type")
_MAX_REASON = 256

# The most characters of an error that is not JSON in the client's error.
MAX_SHOWN = 500


class Fault(msgspec.Struct, frozen=True):
    """The content of an error object: the status that its code means, its codes and its type."""

    status: int
    reasons: frozenset[str] = frozenset()


def reports_error(error: object, type: str | None, *, has_content: bool) -> bool:
    """Return whether members report a failure.

    As in the SDKs, an `error` that is null, false or empty does not count; next to content, one
    without a message does not count either.
    """
    if has_content and isinstance(error, dict):
        return bool(error.get("message"))
    return bool(error) or type == "error"


def read_fault(body: bytes) -> Fault:
    """Return the content of an error object, or of a list with one."""
    try:
        value = parse_json(body)
    except ValueError:
        return Fault(_UNKNOWN)
    if isinstance(value, list) and value:
        value = value[0]
    members = value if isinstance(value, dict) else {}
    error = members.get("error")
    inner = error if isinstance(error, dict) else {}
    codes = [holder[name] for holder in (inner, members) for name in _CODES if name in holder]
    texts = [str(code) for code in codes if _is_code(code)]
    statuses = (_status(text) for text in texts)
    status = next((status for status in statuses if status is not None), _UNKNOWN)
    return Fault(status, frozenset(text[:_MAX_REASON] for text in texts))


def plain_text(body: bytes) -> str:
    """Return the beginning of an error that is not JSON.

    HTML is dropped: it is written for people, and useless to a program.
    """
    text = body.decode(errors="ignore").strip()[:MAX_SHOWN]
    shown = "".join(char if char.isprintable() else " " for char in text)
    return "" if shown.startswith("<") else shown


def _is_code(value: Any) -> bool:
    return isinstance(value, (str, int)) and not isinstance(value, bool)


def _status(code: str) -> int | None:
    if code.isdecimal() and len(code) == 3 and 400 <= int(code) < 600:
        return int(code)
    return _STATUSES.get(code.lower())
