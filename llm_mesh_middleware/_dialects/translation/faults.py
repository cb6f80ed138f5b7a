"""Reads error objects of any form into the neutral form; providers mix the forms of dialects."""

from __future__ import annotations

from typing import Any

from ..._core.conversation.fault import FaultKind, ProviderFault, kind_of_status
from ..._core.values.lenient_json import parse_json
from ..error_objects import plain_text, read_fault

__all__ = ["fault_of"]

_MAX_MESSAGE = 8192

# Codes that are more precise than their status.
_KINDS: dict[str, FaultKind] = {
    "overloaded": "overloaded",
    "overloaded_error": "overloaded",
    "unavailable": "overloaded",
    "billing_error": "billing",
}
# Messages for an input that is too long for the model; clients check the code.
_TOO_LONG = (
    "prompt is too long",
    "input is too long",
    "exceeds the maximum number of tokens",
    "maximum context length",
    "context window",
)


def fault_of(status: int, body: bytes) -> ProviderFault:
    """Return an error in the neutral form; its codes determine the status if that is a success."""
    fault = read_fault(body)
    if status < 400:
        status = fault.status
    error = _error_in(body)
    if error is None:
        return ProviderFault(
            kind=kind_of_status(status),
            status=status,
            message=plain_text(body) or f"status {status}",
        )
    message = error.get("message")
    words = {word.lower() for word in fault.reasons}
    kind = next((_KINDS[word] for word in words if word in _KINDS), kind_of_status(status))
    text = message if isinstance(message, str) and message else f"status {status}"
    return ProviderFault(
        kind=kind,
        status=status,
        message=text[:_MAX_MESSAGE],
        code=_code(error, text),
        param=_text(error.get("param")),
        reasons=fault.reasons,
    )


def _error_in(body: bytes) -> dict[str, Any] | None:
    """Return the members of the error object, wherever the body has it."""
    try:
        value = parse_json(body)
    except ValueError:
        return None
    if isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, dict):
        return None
    error = value.get("error")
    if isinstance(error, str):
        return {"message": error}
    if isinstance(error, dict):
        return error
    if "message" not in value and isinstance(value.get("detail"), str):
        return {"message": value["detail"]}
    return value


def _code(error: dict[str, Any], message: str) -> str | None:
    code = _text(error.get("code"))
    if code is None and any(words in message.lower() for words in _TOO_LONG):
        return "context_length_exceeded"
    return code


def _text(value: object) -> str | None:
    return value[:256] if isinstance(value, str) and value else None
