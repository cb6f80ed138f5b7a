"""Conditions of rules as text, spelled as manifests spell them."""

from __future__ import annotations

from ..routing.matching import Condition, Exact, Prefix, Regex
from .redaction import Mask

__all__ = ["condition_text"]

_FIELDS = {"header": "headers", "attribute": "attributes"}


def condition_text(condition: Condition, mask: Mask) -> str:
    """Write a condition as the manifest has it: `headers.user-type.exact 'subscriber'`."""
    field, test = _field(condition.kind, condition.key), condition.test
    name = condition.key or condition.kind
    match test:
        case Exact(value) | Prefix(value):
            return f"{field}.{type(test).__name__.lower()} {mask.quoted(name, value)}"
        case Regex(pattern):
            return f"{field}.regex {mask.quoted(name, pattern.pattern)}"
    return f"{field} {{}}"


def _field(kind: str, key: str) -> str:
    if kind not in _FIELDS:
        return kind
    is_plain = key.replace("-", "").replace("_", "").isalnum()
    return f"{_FIELDS[kind]}.{key}" if is_plain else f"{_FIELDS[kind]}[{key!r}]"
