"""Parsed documents: values that know the line and column they were written at."""

from __future__ import annotations

from .._core.private import Discreet

__all__ = ["Entry", "Mapping", "Node", "Scalar", "Sequence"]


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
