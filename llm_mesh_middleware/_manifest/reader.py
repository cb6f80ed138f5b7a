"""YAML text to trees of nodes.

Built from PyYAML's events rather than its nodes: events still tell an explicit tag from a resolved
one, and building from them needs no recursion. A fault that matters only in documents of the mesh
(a tag, a duplicate key) is noted on its document, so that documents of other kinds may have it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec
import yaml
from msgspec.structs import replace
from yaml.reader import ReaderError

from .._schema.wording import Path
from .nodes import MAX_DEPTH, Document, Entry, Flaw, Mapping, Node, Scalar, Sequence, Stream
from .scalars import resolve

__all__ = ["read"]

_MAX_EXPANDED_NODES = 10_000
_MERGE = "<<"
# Before a document, and at the beginning of one (YAML 1.2, 5.2); PyYAML knows it at the very first.
_LATER_MARK = re.compile(r"(?m)(^---[^\n]*\n)\ufeff|^\ufeff(?=---)")


def read(text: str) -> Stream:
    """Parse every document of a YAML text. Never raises."""
    text = _LATER_MARK.sub(r"\1", text) if "\ufeff" in text else text
    documents: list[Document] = []
    try:
        loader = _Loader(text)
    except ReaderError as exc:
        # It first checks the whole text for bad characters. Documents that end before them are
        # still valid; the last one may have been cut.
        before = text[: exc.position]
        message = f"the character U+{exc.character:04X} is not allowed in YAML"
        return Stream(read(before).documents[:-1], Flaw(*_place(before), message))
    error: Flaw | None = None
    try:
        for document in _documents(loader):
            documents.append(document)  # noqa: PERF402 - what came before an error is kept
    except _TooDeepError as exc:
        error = exc.flaw
    except yaml.MarkedYAMLError as exc:
        error = _syntax_flaw(exc)
    except (ValueError, OverflowError):
        # PyYAML on escapes and directives with numbers that are none.
        error = Flaw(loader.line + 1, loader.column + 1, "is not YAML: a number out of range")
    return Stream(tuple(documents), error)


def _place(text: str) -> tuple[int, int]:
    """Return line and column of the end of the text."""
    lines = (text + "|").splitlines()
    return len(lines), len(lines[-1])


def _syntax_flaw(error: yaml.MarkedYAMLError) -> Flaw:
    mark = error.problem_mark or error.context_mark
    # The only message of PyYAML that quotes the text, which may be a key without quotes.
    undefined_tag = "tag handle" in (error.problem or "")
    problem = "YAML tags are not supported" if undefined_tag else error.problem
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    return Flaw(line, column, f"is not YAML: {problem or error.context}")


class _TooDeepError(Exception):
    def __init__(self, flaw: Flaw) -> None:
        self.flaw = flaw


class _Loader(yaml.SafeLoader):
    """Skips tabs between tokens, as before a comment; PyYAML does not, libyaml and kubectl do."""

    def scan_to_next_token(self) -> None:
        super().scan_to_next_token()
        while self.peek() == "\t" and (self.flow_level or not self.allow_simple_key):
            self.forward()
            super().scan_to_next_token()


def _documents(loader: _Loader) -> Iterator[Document]:
    builder = _Builder()
    while (event := loader.get_event()) is not None:  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.DocumentStartEvent):
            builder = _Builder()
        elif isinstance(event, yaml.DocumentEndEvent):
            yield builder.document()
        elif isinstance(event, yaml.NodeEvent | yaml.CollectionEndEvent):
            builder.add(event)


class _Frame(msgspec.Struct):
    """An incomplete list or mapping."""

    line: int
    column: int
    anchor: str | None
    is_mapping: bool
    size: int = 1
    items: list[Node] = msgspec.field(default_factory=list)
    entries: dict[str, Entry] = msgspec.field(default_factory=dict)
    merged: list[Mapping] = msgspec.field(default_factory=list)
    key: Node | None = None
    is_merge: bool = False

    def step(self) -> Path:
        """Return where the next value goes; nothing while that is a key."""
        if not self.is_mapping:
            return (len(self.items),)
        text = self.key.value if isinstance(self.key, Scalar) else None
        return (text,) if isinstance(text, str) else ()

    def close(self) -> Node:
        if self.is_mapping:
            for mapping in self.merged:  # an earlier one overrides a later one
                self.entries = {**mapping.entries, **self.entries}
            return Mapping(self.line, self.column, self.entries, self.size)
        return Sequence(self.line, self.column, tuple(self.items), self.size)


class _Builder:
    """Builds one document from its events."""

    def __init__(self) -> None:
        self._root: Node = Scalar(1, 1, None, "")
        self._frames: list[_Frame] = []
        self._anchors: dict[str, Node] = {}
        self._flaws: list[Flaw] = []
        self._expanded = 0
        self._is_bomb = False
        self._is_complete = True

    def document(self) -> Document:
        return Document(self._root, tuple(self._flaws), self._is_complete)

    def add(self, event: yaml.NodeEvent | yaml.CollectionEndEvent) -> None:
        if isinstance(event, yaml.CollectionEndEvent):
            frame = self._frames.pop()
            self._attach(frame.close(), frame.anchor)
            return
        mark = event.start_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        if not isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            self._attach(self._alias(event.anchor, line, column))
            return
        self._expanded += 1
        if event.tag is not None:
            self._note(line, column, "YAML tags are not supported; remove the !")
        if isinstance(event, yaml.ScalarEvent):
            value = event.value if event.style else resolve(event.value)
            if not event.style and value == _MERGE:
                self._begin_merge()
            self._attach(Scalar(line, column, value, event.value), event.anchor)
            return
        if len(self._frames) == MAX_DEPTH:
            message = f"nested more than {MAX_DEPTH} levels deep"
            raise _TooDeepError(Flaw(line, column, message))
        is_mapping = isinstance(event, yaml.MappingStartEvent)
        self._frames.append(_Frame(line, column, event.anchor, is_mapping))

    def _alias(self, anchor: str | None, line: int, column: int) -> Node:
        """Return the node of an alias, at the place of the alias; its content is shared."""
        target = self._anchors.get(anchor or "")
        self._expanded += 0 if target is None else target.size
        if target is not None and self._expanded <= _MAX_EXPANDED_NODES:
            return replace(target, line=line, column=column)
        if target is None:
            message = "this alias has no anchor that is complete before it; quote a text with *"
            self._note(line, column, message, is_lossy=True)
        elif not self._is_bomb:
            message = f"the aliases expand to more than {_MAX_EXPANDED_NODES:,} values"
            self._note(line, column, message, is_lossy=True)
            self._is_bomb = True
        return Scalar(line, column, None, "")

    def _attach(self, node: Node, anchor: str | None = None) -> None:
        if anchor is not None:
            self._anchors[anchor] = node
        if not self._frames:
            self._root = node
            return
        frame = self._frames[-1]
        frame.size += node.size
        if not frame.is_mapping:
            frame.items.append(node)
        elif frame.key is None:
            frame.key = node
        else:
            if frame.is_merge:
                self._merge(frame, node)
            else:
                self._add_entry(frame.entries, frame.key, node)
            frame.key, frame.is_merge = None, False

    def _begin_merge(self) -> None:
        """Begin a merge: the plain key `<<` takes over the keys of another mapping (YAML 1.1)."""
        frame = self._frames[-1] if self._frames else None
        if frame is not None and frame.is_mapping and frame.key is None:
            frame.is_merge = True

    def _merge(self, frame: _Frame, node: Node) -> None:
        mappings = node.items if isinstance(node, Sequence) else (node,)
        for mapping in mappings:
            if isinstance(mapping, Mapping):
                frame.merged.append(mapping)
            else:
                message = "must be a mapping or a list of mappings"
                self._note(mapping.line, mapping.column, message, is_lossy=True)

    def _add_entry(self, entries: dict[str, Entry], key: Node, value: Node) -> None:
        name = key.value if isinstance(key, Scalar) else None
        if isinstance(key, Scalar) and name is True and key.text == "on":
            name = "on"  # a field's name, which only YAML 1.1 takes for a truth value
        if not isinstance(name, str):
            advice = "; put it in quotes" if isinstance(key, Scalar) and key.text else ""
            message = f"a key must be a string{advice}"
        elif name in entries:
            first = entries[name].line
            # The first one is kept, so nothing is missing.
            message = f"the key is given twice: in line {first} and again in line {key.line}"
            self._note(key.line, key.column, message)
            return
        else:
            entries[name] = Entry(key.line, key.column, value)
            return
        self._note(key.line, key.column, message, is_lossy=True)

    def _note(self, line: int, column: int, message: str, *, is_lossy: bool = False) -> None:
        path = tuple(part for frame in self._frames for part in frame.step())
        self._flaws.append(Flaw(line, column, message, path))
        self._is_complete = self._is_complete and not is_lossy
