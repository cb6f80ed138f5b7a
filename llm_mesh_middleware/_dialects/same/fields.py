"""Header fields that say what a body is."""

from __future__ import annotations

from collections.abc import Container

from ..._core.http.body_form import BodyForm, body_form
from ..._core.values.headers import Headers

__all__ = [
    "EVENTS",
    "JSON",
    "RawFields",
    "coding",
    "is_events",
    "media_type",
    "with_length",
    "with_type",
]

RawFields = list[tuple[bytes, bytes]]

EVENTS, JSON = "text/event-stream", "application/json"


def media_type(headers: Headers) -> str:
    """Return the media type without its parameters."""
    return (headers.get("content-type") or "").partition(";")[0].strip().lower()


def coding(headers: Headers) -> str:
    """Return the content coding, empty for none."""
    if not headers.get_all(b"content-encoding"):  # as nearly always
        return ""
    coded_as = (headers.get("content-encoding") or "").strip().lower()
    return "" if coded_as == "identity" else coded_as


def is_events(
    headers: Headers, begin: bytes, labels: Container[str] = frozenset((EVENTS,))
) -> bool | None:
    """Return whether a body is a stream of events; None if more bytes are needed.

    Args:
        headers: the fields of the response.
        begin: the first bytes, which decide unless they are compressed or of another form.
        labels: media types of streams, which decide otherwise.
    """
    form = body_form(begin) if begin and not coding(headers) else BodyForm.OTHER
    if form is BodyForm.OTHER:
        return media_type(headers) in labels
    return None if form is None else form is BodyForm.EVENTS


def with_type(headers: RawFields, media_type: str) -> RawFields:
    """Return the fields with another media type."""
    kept = [field for field in headers if field[0] != b"content-type"]
    return [*kept, (b"content-type", media_type.encode())]


def with_length(headers: RawFields, body: bytes) -> RawFields:
    """Return the fields with the length of `body`."""
    kept = [field for field in headers if field[0] != b"content-length"]
    return [*kept, (b"content-length", b"%d" % len(body))]
