"""Parsed documents: values that know the line and column they were written at."""

from __future__ import annotations

import msgspec

from .._core.private import Discreet
from .._schema.wording import Path

__all__ = [
    "MAX_DEPTH",
    "Document",
    "Entry",
    "Flaw",
    "Mapping",
    "Node",
    "Scalar",
    "Sequence",
    "Stream",
]

MAX_DEPTH = 100


# No repr on nodes: they hold the text of API keys.
class Scalar(Discreet, frozen=True):
    """A value, and its text without quotes."""

    line: int
    column: int
    value: str | int | float | bool | None
    text: str
    size: int = 1


class Sequence(Discreet, frozen=True):
    """A list; `size` counts the nodes in it with all aliases expanded."""

    line: int
    column: int
    items: tuple[Node, ...]
    size: int


class Entry(Discreet, frozen=True):
    """A key's place and its value."""

    line: int
    column: int
    value: Node


class Mapping(Discreet, frozen=True):
    """A mapping with string keys; `size` as in `Sequence`."""

    line: int
    column: int
    entries: dict[str, Entry]
    size: int


Node = Scalar | Sequence | Mapping


class Flaw(msgspec.Struct, frozen=True):
    """A fault in the text, at a place that counts from 1, with its field if known."""

    line: int
    column: int
    message: str
    path: Path = ()


class Document(Discreet, frozen=True):
    """One document of a stream, with flaws of its YAML that are not syntax errors.

    A document that is not complete lacks the values of some of its flaws.
    """

    root: Node
    flaws: tuple[Flaw, ...]
    is_complete: bool


class Stream(Discreet, frozen=True):
    """The documents of a text up to its first syntax error."""

    documents: tuple[Document, ...]
    error: Flaw | None
