"""The parts of a faulty route that can still be checked: its patterns and references.

A misspelt field must not hide a bad regular expression or an unknown provider next to it: a user
would need one run for each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .._core.private import Discreet
from .._schema.wording import Path, format_field
from ..exceptions import Problem
from .nodes import Mapping, Node, Scalar, Sequence
from .places import place

__all__ = ["Remnant", "remnant_of"]

_RULES: Path = ("spec", "rules")


class Remnant(Discreet, frozen=True):
    """Strings of a faulty document that other checks apply to, each with its path.

    No repr: the nodes hold the text of API keys.
    """

    source: str
    root: Node
    patterns: tuple[tuple[Path, str], ...]
    provider_hosts: tuple[tuple[Path, str], ...]
    rule_names: tuple[str, ...]

    def problem(self, path: Path, message: str) -> Problem:
        """Return a problem with the value at a path."""
        line, column = place(self.root, path)
        return Problem(self.source, line, column, format_field(path), message)


def remnant_of(root: Node, source: str, *, skip: Callable[[Path], bool]) -> Remnant:
    """Collect what can be checked below the rules of a document.

    `skip` returns whether a path already has a problem.
    """
    patterns: list[tuple[Path, str]] = []
    hosts: list[tuple[Path, str]] = []
    names: list[str] = []
    for path, text in _strings(root, ()):
        if path[:2] != _RULES or "${" in text or skip(path):
            continue
        if path[-1] == "regex" and "matches" in path:
            patterns.append((path, text))
        elif path[-1] == "providerHost" and "backendRefs" in path:
            hosts.append((path, text))
        elif path[-1] == "name" and len(path) == len(_RULES) + 2:
            names.append(text)
    return Remnant(source, root, tuple(patterns), tuple(hosts), tuple(names))


def _strings(node: Node, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(node, Mapping):
        for key, entry in node.entries.items():
            yield from _strings(entry.value, (*path, key))
    elif isinstance(node, Sequence):
        for index, item in enumerate(node.items):
            yield from _strings(item, (*path, index))
    elif isinstance(node, Scalar) and isinstance(node.value, str):
        yield path, node.value
