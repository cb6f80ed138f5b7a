"""The body of a provider's error, as JSON that keeps the provider's reason."""

from __future__ import annotations

from ..._core.dialect import Dialect
from ..._core.http.body_form import BodyForm, body_form
from ..._core.http.sse import EventCutter, event_data
from ..._core.values.payload import is_json
from ...exceptions import UpstreamError

__all__ = ["error_body", "first_event"]

# How much of an error that is no JSON the client is shown.
_MAX_SHOWN = 500


def error_body(dialect: Dialect, host: str, status: int, body: bytes) -> bytes:
    """Return JSON of any shape as it is; the first event of a stream; else an object with the text.

    A page of HTML is not shown: it is written for people, and says nothing that an SDK could.
    """
    if body_form(body) is BodyForm.EVENTS:
        body = event_data(first_event(body)) or body
    if is_json(body):
        return body
    text = body.decode(errors="ignore").strip()[:_MAX_SHOWN]
    shown = "".join(char if char.isprintable() else " " for char in text)
    message = f"{host} answered {status} without an error object"
    if shown and not shown.startswith("<"):
        message = f"{host} answered {status}: {shown}"
    return dialect.write_error(UpstreamError(message))


def first_event(body: bytes) -> bytes:
    """Return the first event that has data, also if it is cut off."""
    cutter = EventCutter(len(body))
    for event in cutter.feed(body):
        if event_data(event):
            return event
    return cutter.rest()
