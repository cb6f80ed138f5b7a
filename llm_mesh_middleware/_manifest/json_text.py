"""JSON text to trees of nodes, for a file that begins with `{`, as in kubectl.

YAML is nearly a superset of JSON, except for things that tools write: tabs as indentation, `\\/`
and surrogate pairs in strings, several objects in a file.
"""

from __future__ import annotations

import json
import re
from json.decoder import scanstring  # type: ignore[attr-defined]

from .._schema.wording import Path
from .nodes import MAX_DEPTH, Document, Entry, Flaw, Mapping, Node, Scalar, Sequence, Stream

__all__ = ["read_text"]

_START = re.compile(r"[ \t\r\n]*\{[ \t\r\n]*[\"}]")
_SPACE = re.compile(r"[ \t\r\n]*")
_BETWEEN = re.compile(r"(?:[ \t\r\n]|---)*")
_BARE = re.compile(r"true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_LONGEST_NUMBER = 100


def read_text(text: str) -> Stream:
    """Parse every document of a text, JSON or YAML. Never raises."""
    unmarked = text.removeprefix("\ufeff")
    if not _START.match(unmarked):
        return _read_yaml(text)
    try:
        return Stream(tuple(_Reader(unmarked).documents()), None)
    except _NotJSON as exc:
        stream = _read_yaml(text)  # a flow mapping of YAML begins in the same way
        return stream if stream.error is None else Stream((), exc.flaw)


def _read_yaml(text: str) -> Stream:
    from .reader import read  # PyYAML is a twentieth of the start, and not all manifests are YAML

    return read(text)


class _NotJSON(Exception):
    def __init__(self, flaw: Flaw) -> None:
        self.flaw = flaw


class _Reader:
    """Values of one text, each with its place."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line, self._line_start = 1, 0
        self._counted = 0
        self._flaws: list[Flaw] = []

    def documents(self) -> list[Document]:
        documents = []
        self._skip(_BETWEEN)
        while self._at < len(self._text):
            self._flaws = []
            root = self._value(())
            documents.append(Document(root, tuple(self._flaws), is_complete=True))
            self._skip(_BETWEEN)
        return documents

    def _value(self, path: Path) -> Node:
        line, column = self._place()
        if len(path) > MAX_DEPTH:
            raise self._fault(f"nested more than {MAX_DEPTH} levels deep")
        match self._text[self._at : self._at + 1]:
            case "{":
                return self._mapping(path, line, column)
            case "[":
                return self._sequence(path, line, column)
            case '"':
                text = self._string()
                return Scalar(line, column, text, text)
        found = _BARE.match(self._text, self._at)
        if found is None or not found.group():
            raise self._fault("is not JSON: a value is missing here")
        self._at = found.end()
        word = found.group()
        is_long = len(word) > _LONGEST_NUMBER  # Python refuses to convert very long ones
        return Scalar(line, column, word if is_long else json.loads(word), word)

    def _mapping(self, path: Path, line: int, column: int) -> Node:
        entries: dict[str, Entry] = {}
        while self._next_item("}", is_first=not entries):
            key_line, key_column = self._place()
            if not self._text.startswith('"', self._at):
                raise self._fault('is not JSON: a key in " is missing here')
            key = self._string()
            self._skip(_SPACE)
            if not self._text.startswith(":", self._at):
                raise self._fault("is not JSON: a : is missing here")
            self._at += 1
            self._skip(_SPACE)
            value = self._value((*path, key))
            if key in entries:
                message = (
                    f"the key is given twice: in line {entries[key].line} and again in line"
                    f" {key_line}"
                )
                self._flaws.append(Flaw(key_line, key_column, message, (*path, key)))
            entries.setdefault(key, Entry(key_line, key_column, value))
        size = 1 + sum(entry.value.size for entry in entries.values())
        return Mapping(line, column, entries, size)

    def _sequence(self, path: Path, line: int, column: int) -> Node:
        items: list[Node] = []
        while self._next_item("]", is_first=not items):
            items.append(self._value((*path, len(items))))
        return Sequence(line, column, tuple(items), 1 + sum(item.size for item in items))

    def _next_item(self, end: str, *, is_first: bool) -> bool:
        """Step over the opening bracket or a comma; False at the closing bracket."""
        if is_first:
            self._at += 1
        self._skip(_SPACE)
        if self._text.startswith(end, self._at):
            self._at += 1
            return False
        if not is_first:
            if not self._text.startswith(",", self._at):
                raise self._fault(f"is not JSON: a , or {end} is missing here")
            self._at += 1
            self._skip(_SPACE)
        return True

    def _string(self) -> str:
        text: str
        try:
            text, self._at = scanstring(self._text, self._at + 1, True)
        except ValueError:
            raise self._fault("is not JSON: this string is broken") from None
        return text

    def _skip(self, what: re.Pattern[str]) -> None:
        found = what.match(self._text, self._at)
        self._at = found.end() if found is not None else self._at

    def _place(self) -> tuple[int, int]:
        newlines = self._text.count("\n", self._counted, self._at)
        if newlines:
            self._line += newlines
            self._line_start = self._text.rindex("\n", self._counted, self._at) + 1
        self._counted = self._at
        return self._line, self._at - self._line_start + 1

    def _fault(self, message: str) -> _NotJSON:
        return _NotJSON(Flaw(*self._place(), message))
