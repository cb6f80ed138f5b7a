"""A reply of the mesh in WSGI's form: a status line, text fields, and an iterable body."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus

from ..inbound import Delivery

__all__ = ["WSGIReply"]


class WSGIReply:
    """A reply: iterate it once, and close it on every path, to close the upstream connection."""

    def __init__(self, delivery: Delivery) -> None:
        reply = delivery.reply
        self.status = reply.status
        self.headers = reply.text_headers()
        self.is_stream = reply.is_stream
        self._delivery = delivery
        if self.is_stream:
            self._body = iter(delivery)
        else:
            self._body = iter((delivery.take(),))
            delivery.close()  # a whole body no longer needs its connection

    @property
    def status_line(self) -> str:
        """The status with its phrase, which PEP 3333 requires."""
        try:
            phrase = HTTPStatus(self.status).phrase
        except ValueError:
            phrase = "Unknown"
        return f"{self.status} {phrase}"

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._body)

    def close(self) -> None:
        """Close the upstream connection; before the end it ends the call."""
        self._delivery.close()
