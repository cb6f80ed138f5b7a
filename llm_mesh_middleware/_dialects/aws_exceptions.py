"""The exceptions of Amazon Bedrock, which come with a status, in a body or in a frame."""

from __future__ import annotations

from .._core.conversation.fault import FaultKind, ProviderFault, kind_of_status
from .._core.http.eventstream import Frame
from .objects import read_object

__all__ = ["exception_fault", "frame_fault"]

# By name in lower case: the kind, and the status if none is sent with it.
_FAULTS: dict[str, tuple[FaultKind, int]] = {
    "accessdeniedexception": ("permission", 403),
    "expiredtokenexception": ("permission", 403),
    "internalserverexception": ("server", 500),
    "modelerrorexception": ("server", 502),
    "modelnotreadyexception": ("rate_limit", 429),
    "modelstreamerrorexception": ("server", 502),
    "modeltimeoutexception": ("timeout", 504),
    "resourcenotfoundexception": ("not_found", 404),
    "servicequotaexceededexception": ("bad_request", 400),
    "serviceunavailableexception": ("overloaded", 503),
    "throttlingexception": ("rate_limit", 429),
    "unrecognizedclientexception": ("permission", 403),
    "validationexception": ("bad_request", 400),
}
_TOO_LONG = "input is too long"
_MODEL_FAILED = 424  # no SDK has a class for this status
_MAX_MESSAGE = 8192


def exception_fault(name: str, message: str, status: int = 0) -> ProviderFault:
    """Return an exception as a fault; `status` is the HTTP status that came with it, if any."""
    kind, default = _FAULTS.get(name.lower(), (None, 500))
    if status < 400:
        status = default
    if status == _MODEL_FAILED:
        status = 502
    is_too_long = _TOO_LONG in message.lower()
    return ProviderFault(
        kind=kind or kind_of_status(status),
        status=status,
        message=message[:_MAX_MESSAGE] or name or f"status {status}",
        code="context_length_exceeded" if is_too_long else None,
        reasons=frozenset((name,)) if name else frozenset(),
    )


def frame_fault(frame: Frame) -> ProviderFault:
    """Return the fault in a frame that is not an event."""
    headers = frame.headers
    name = headers.get(":exception-type") or headers.get(":error-code", "")
    message = headers.get(":error-message") or read_object(frame.payload).get("message")
    return exception_fault(name, message if isinstance(message, str) else "")
