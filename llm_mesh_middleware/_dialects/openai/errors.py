"""OpenAI's error object, which its chat and its Responses API share."""

from __future__ import annotations

import msgspec

from ..._core.conversation.fault import ErrorBody, FaultKind, ProviderFault
from ...exceptions import AnswerableError

__all__ = ["error_body", "write_fault"]

# Kind -> the status of the reply, None for the provider's, the type, the code.
_ERRORS: dict[FaultKind, tuple[int | None, str, str | None]] = {
    "bad_request": (None, "invalid_request_error", None),
    "authentication": (None, "authentication_error", "invalid_api_key"),
    "billing": (None, "insufficient_quota", "insufficient_quota"),
    "permission": (None, "permission_error", None),
    "not_found": (None, "invalid_request_error", "model_not_found"),
    "conflict": (None, "invalid_request_error", None),
    "too_large": (None, "invalid_request_error", "request_too_large"),
    "unprocessable": (None, "invalid_request_error", None),
    "rate_limit": (None, "rate_limit_error", "rate_limit_exceeded"),
    "timeout": (None, "timeout", None),
    "server": (None, "server_error", None),
    "overloaded": (503, "server_error", "overloaded"),
}


def error_body(error: AnswerableError) -> bytes:
    """Return an error object, all four members present."""
    members = {
        "message": error.message,
        "type": error.type,
        "param": error.param,
        "code": error.code,
    }
    return msgspec.json.encode({"error": members})


def write_fault(fault: ProviderFault) -> ErrorBody:
    """Return a provider's fault as an error object."""
    status, type, code = _ERRORS[fault.kind]
    members = {
        "message": fault.message,
        "type": type,
        "param": fault.param,
        "code": fault.code or code,
    }
    return ErrorBody(status or fault.status, msgspec.json.encode({"error": members}))
