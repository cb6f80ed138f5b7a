"""Interfaces to the texts in a dialect's JSON, and to its whole responses."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from typing import Any, Protocol

import msgspec

from .values.payload import Fields
from .values.usage import Usage

__all__ = [
    "AnswerContent",
    "Answers",
    "EventTexts",
    "NamePlace",
    "NumberPlace",
    "TextForm",
    "TextPlace",
]


class TextPlace(msgspec.Struct, frozen=True):
    """One text in a decoded JSON value.

    `container` is the object or array that holds it. `is_json` says that the text is JSON itself,
    as the arguments of a tool call are.
    """

    container: Any
    key: str | int
    is_json: bool = False

    @property
    def text(self) -> str:
        """The text."""
        found: str = self.container[self.key]
        return found

    def put(self, text: str) -> None:
        """Replace the text."""
        self.container[self.key] = text


class NumberPlace(TextPlace, frozen=True):
    """A number as a text, which takes its place if it is masked."""

    @property
    def text(self) -> str:
        """The number as it is written."""
        return str(self.container[self.key])


class NamePlace(TextPlace, frozen=True):
    """The name of a member as a text; `key` is that name. It is the last to be replaced."""

    @property
    def text(self) -> str:
        """The name."""
        return str(self.key)

    def put(self, text: str) -> None:
        """Rename the member; another one of the new name is kept."""
        members: dict[str, Any] = self.container
        while text in members:
            text += "_"
        renamed = [(text if name == self.key else name, value) for name, value in members.items()]
        members.clear()
        members.update(renamed)


class EventTexts(msgspec.Struct, frozen=True):
    """The texts of one event.

    `parts` continue the texts of their keys, `wholes` are complete. `ends` returns whether the text
    of a key has ended; None if no text ends.
    """

    parts: Sequence[tuple[Any, TextPlace]] = ()
    wholes: Iterable[TextPlace] = ()
    ends: Callable[[Any], bool] | None = None


class TextForm(Protocol):
    """Finds every text of a dialect that a model reads or writes."""

    def read_request(
        self, members: dict[str, Any], roles: Container[str] | None
    ) -> Iterator[TextPlace]:
        """Yield the texts of a request; with `roles`, only those of such turns."""

    def read_last(self, members: dict[str, Any]) -> Sequence[TextPlace]:
        """Return the texts of the last turn of a request, if it is a user's and has only texts."""

    def read_response(self, value: Any) -> Iterator[TextPlace]:
        """Yield the texts of a whole response."""

    def read_event(self, value: Any) -> EventTexts:
        """Return the texts of the data of one event."""

    def candidate_texts(self, value: Any, *, is_response: bool) -> list[str] | None:
        """Return every text of a whole request or response, and perhaps other strings.

        Returns:
            None if a text is JSON with escapes, so that it reads otherwise than it is written.
        """

    def drop_repetitions(self, value: Any) -> None:
        """Drop members that repeat the texts of a response or an event in another form."""


class AnswerContent(msgspec.Struct, frozen=True):
    """The content of one choice of a whole response: its text without reasoning, and its calls.

    Calls are names and arguments, which are JSON.
    """

    text: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    is_refusal: bool = False


class Answers(Protocol):
    """Decides which whole responses may be cached, and converts between JSON and events.

    `has_two_forms`: `split` and `join` apply to all operations of the dialect, rather than only to
    operations with `has_two_forms`.
    """

    has_two_forms: bool

    def may_repeat_request(self, fields: Fields) -> bool:
        """Return whether a response to such a request may serve another request."""

    def temperature(self, fields: Fields) -> float | None:
        """Return the temperature that a request asks for, if it asks for one."""

    def finish(self, reason: str) -> str:
        """Return a finish reason in the terms that all dialects share.

        Args:
            reason: the dialect's own term, or a shared one.
        """

    def may_repeat(self, body: bytes, *, tool_calls: bool) -> bool:
        """Return whether a whole response is complete and has succeeded.

        Args:
            body: the response, or what `join` returned.
            tool_calls: whether calls of the client's tools may be repeated.
        """

    def contents(self, body: bytes) -> Iterator[AnswerContent]:
        """Yield the content of each choice or candidate of a whole response."""

    def join(self, events: bytes, usage: Usage | None) -> bytes | None:
        """Return a stream as a whole response; None if it is not complete.

        Args:
            events: the stream as the client got it.
            usage: the usage, which the client may not have requested.
        """

    def split(self, body: bytes, *, include_usage: bool) -> bytes:
        """Return a whole response as a stream, where the dialect has both forms."""
