"""Facts of a stream whose events have names: each says by its type what it is."""

from __future__ import annotations

from typing import Any, ClassVar, Generic, TypeVar

from ..._core.dialect import EventKind
from ..lenient import LenientDecoder

__all__ = ["NamedEventFacts"]

E = TypeVar("E")


class NamedEventFacts(Generic[E]):
    """The facts of such a stream so far; a dialect decodes and reads its own events."""

    __slots__ = ("events", "has_failed", "is_done")

    decode: ClassVar[LenientDecoder[Any]]
    last_types: ClassVar[frozenset[str]]

    def __init__(self) -> None:
        self.events = 0
        self.is_done = False
        self.has_failed = False

    @property
    def is_complete(self) -> bool:
        """Whether the stream has said that it ends."""
        return self.is_done

    def read(self, data: bytes, name: bytes = b"") -> EventKind:
        """Take the data of an event, and its name, which stands in for a missing `type`."""
        if data.strip() == b"[DONE]":  # some servers end every stream with it
            self.is_done = True
            return EventKind.CONTENT
        event = self.decode(data)
        if event is None:
            return EventKind.UNREADABLE
        self.events += 1
        type = event.type or name.decode("latin-1")
        if self.take_event(event, type):
            self.has_failed = True
        self.is_done = self.is_done or self.has_failed or type in self.last_types
        return EventKind.ERROR if self.has_failed else EventKind.CONTENT

    def read_deltas(self, data: bytes) -> bool:
        """Take none: each event has a name."""
        return False

    def take_event(self, event: E, type: str) -> bool:
        """Take the facts of an event of this type; return whether it reports a failure."""
        raise NotImplementedError
