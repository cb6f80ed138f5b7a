"""The body of a provider's error, as JSON that keeps the provider's reason."""

from __future__ import annotations

import json

from ..._core.dialect import Dialect
from ..._core.http.body_form import BodyForm, body_form
from ..._core.http.sse import EventCutter, event_data
from ..._core.values.lenient_json import parse_json
from ..._core.values.payload import is_json
from ...exceptions import UpstreamError
from ..error_objects import MAX_SHOWN, plain_text

__all__ = ["error_body", "first_event", "with_reason"]

# Members with the reason in errors of other forms.
_REASONS = ("detail", "error_description", "msg", "reason", "title")


def error_body(dialect: Dialect, host: str, status: int, body: bytes) -> bytes:
    """Return JSON in which SDKs find the reason: usually the provider's own body, unchanged.

    Of a stream the first event is used; a body that is not JSON becomes an object with its text.
    """
    if body_form(body) is BodyForm.EVENTS:
        body = event_data(first_event(body)) or body
    if is_json(body):
        return with_reason(dialect, body)
    shown = plain_text(body)
    message = f": {shown}" if shown else " without an error object"
    return dialect.write_error(UpstreamError(f"{host} answered {status}{message}"))


def first_event(body: bytes) -> bytes:
    """Return the first event that has data, even if it is cut off."""
    cutter = EventCutter(len(body))
    for event in cutter.feed(body):
        if event_data(event):
            return event
    return cutter.rest()


def with_reason(dialect: Dialect, body: bytes) -> bytes:
    """Return a JSON error from which SDKs can read the reason; nothing in it is lost.

    SDKs look for `error` in an object, and for `message`. Providers also send a list of one object,
    a string, or the reason under another name.
    """
    try:
        value = parse_json(body)
    except ValueError:
        return body
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict):
        value = value[0]
        body = _encoded(value)
    members = value if isinstance(value, dict) else {}
    if "error" in members or isinstance(members.get("message"), str) or not value:
        return body
    reason = next((members[name] for name in _REASONS if members.get(name)), None)
    if members and reason is None:
        return body
    reason = value if reason is None else reason
    text = reason if isinstance(reason, str) else _encoded(reason).decode(errors="replace")
    own = json.loads(dialect.write_error(UpstreamError(text[:MAX_SHOWN])))
    return _encoded({**members, **own})


def _encoded(value: object) -> bytes:
    """Return JSON; half a surrogate pair, which providers send, is written as an escape."""
    return json.dumps(value, separators=(",", ":")).encode()
