"""The file of `LLM_MESH_PRICES`: a mapping of provider hosts to lists as in `spec.prices`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import msgspec
from pydantic import TypeAdapter, ValidationError

from ..._core.private import Discreet
from ..._manifest import nodes
from ..._manifest.json_text import read_text
from ..._manifest.nodes import Node
from ..._manifest.places import place
from ..._schema.base import Host, ListOf
from ..._schema.wording import Path, field_path, format_field, say
from ...config import ModelPrices
from ...exceptions import Problem

__all__ = ["ParsedPrices", "parse_prices"]

_Prices = Mapping[str, tuple[ModelPrices, ...]]


class ParsedPrices(Discreet, frozen=True):
    """The prices of a file by provider host, and its errors."""

    shown: ClassVar[tuple[str, ...]] = ("source", "prices", "problems")

    source: str
    root: Node | None = None
    prices: _Prices = msgspec.field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def problem(self, path: Path, message: str) -> Problem:
        """Return a problem with the value at a path."""
        line, column = place(self.root, path)
        return Problem(self.source, line, column, format_field(path), message)


def parse_prices(text: str, *, source: str) -> ParsedPrices:
    """Read a file of prices, YAML or JSON; its faults are returned, not raised."""
    stream = read_text(text)
    flaws = [flaw for document in stream.documents for flaw in document.flaws]
    if stream.error is not None:
        flaws.append(stream.error)
    if flaws:
        problems = (
            Problem(source, flaw.line, flaw.column, format_field(flaw.path), flaw.message)
            for flaw in flaws
        )
        return ParsedPrices(source, problems=tuple(problems))
    if len(stream.documents) != 1:
        problem = Problem(source, 0, 0, "", "must be one mapping of provider hosts to prices")
        return ParsedPrices(source, problems=(problem,))
    root = stream.documents[0].root
    found = ParsedPrices(source, root)
    try:
        adapter = TypeAdapter(dict[Host, ListOf[ModelPrices]])
        return ParsedPrices(source, root, adapter.validate_python(_plain(root), by_alias=True))
    except ValidationError as exc:
        errors = exc.errors(include_url=False)
        problems = (found.problem(field_path(error), say(error, None)) for error in errors)
        return ParsedPrices(source, root, problems=tuple(problems))


def _plain(node: Node) -> object:
    if isinstance(node, nodes.Mapping):
        return {key: _plain(entry.value) for key, entry in node.entries.items()}
    if isinstance(node, nodes.Sequence):
        return [_plain(item) for item in node.items]
    return node.value
