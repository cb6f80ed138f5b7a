"""Parsed documents: values that know the line and column they were written at."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Entry", "Mapping", "Node", "Scalar", "Sequence"]


# No repr on nodes: they hold the text of API keys.
@dataclass(frozen=True, slots=True, repr=False)
class Scalar:
    """A value, and its text without quotes."""

    line: int
    column: int
    value: str | int | float | bool | None
    text: str
    size: int = 1


@dataclass(frozen=True, slots=True, repr=False)
class Sequence:
    """A list; `size` counts the nodes in it with all aliases expanded."""

    line: int
    column: int
    items: tuple[Node, ...]
    size: int


@dataclass(frozen=True, slots=True, repr=False)
class Entry:
    """A key's place and its value."""

    line: int
    column: int
    value: Node


@dataclass(frozen=True, slots=True, repr=False)
class Mapping:
    """A mapping with string keys; `size` as in `Sequence`."""

    line: int
    column: int
    entries: dict[str, Entry]
    size: int


Node = Scalar | Sequence | Mapping
