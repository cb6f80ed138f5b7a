"""Reads and writes the header fields that describe a body."""

from __future__ import annotations

from collections.abc import Container
from functools import lru_cache

from ..._core.http.body_form import BodyForm, body_form
from ..._core.values.headers import Headers

__all__ = [
    "EVENTS",
    "JSON",
    "LINES",
    "RawFields",
    "coding",
    "is_events",
    "media_type",
    "with_length",
    "with_type",
]

RawFields = list[tuple[bytes, bytes]]

_MAX_CACHED_TYPE = 64
# A module's name is looked up faster than a member of an enum.
_IS_EVENTS, _OTHER = BodyForm.EVENTS, BodyForm.OTHER

EVENTS, JSON = "text/event-stream", "application/json"
LINES = "application/x-ndjson"  # a JSON value on each


def media_type(headers: Headers) -> str:
    """Return the media type without its parameters."""
    value = headers.one(b"content-type")
    if value is not None and len(value) <= _MAX_CACHED_TYPE:  # as nearly always
        return _short(value)
    return _cut((headers.get("content-type") or "").encode("latin-1"))


def _cut(value: bytes) -> str:
    return value.partition(b";")[0].strip().lower().decode("latin-1")


# Limited to 64 short texts, because providers choose them.

_short = lru_cache(maxsize=64)(_cut)


def coding(headers: Headers) -> str:
    """Return the content coding, empty for none."""
    if b"content-encoding" not in headers.by_name:  # as nearly always
        return ""
    coded_as = (headers.get("content-encoding") or "").strip().lower()
    return "" if coded_as == "identity" else coded_as


def is_events(
    headers: Headers,
    begin: bytes,
    labels: Container[str] = frozenset((EVENTS,)),
    *,
    by_label: bool = False,
) -> bool | None:
    """Return whether a body is a stream of events; None if more bytes are needed.

    Args:
        headers: the fields of the response.
        begin: the first bytes, which decide unless they are compressed or of another form.
        labels: media types of streams, which decide otherwise.
        by_label: whether they decide alone; a stream of lines begins as JSON does.
    """
    if by_label:
        return media_type(headers) in labels
    if begin[:1] == b"{" and b"content-encoding" not in headers.by_name:  # as nearly always
        return False
    form = body_form(begin) if begin and not coding(headers) else _OTHER
    if form is _OTHER:
        return media_type(headers) in labels
    return None if form is None else form is _IS_EVENTS


def with_type(headers: RawFields, media_type: str) -> RawFields:
    """Return the fields with another media type."""
    kept = [field for field in headers if field[0] != b"content-type"]
    return [*kept, (b"content-type", media_type.encode())]


def with_length(headers: RawFields, body: bytes) -> RawFields:
    """Return the fields with the length of `body`; they have none yet."""
    return [*headers, (b"content-length", b"%d" % len(body))]
