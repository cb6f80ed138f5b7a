"""Names of tools in namespaces, which Codex uses for MCP servers; other dialects have one list.

{type: namespace, name: crm, tools: [{name: find}]} ──► a tool crm__find
a call of crm__find                                 ──► a call of find, in the namespace crm
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256

from ...._core.conversation.request import Tool

__all__ = ["full_name", "names_of"]

_JOINT = "__"
_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
# The longest name that all dialects accept.
_MAX = 64
_DIGITS = 8


def full_name(namespace: str | None, name: str) -> str:
    """Return the name of a tool that is unique over all namespaces.

    The result depends only on the names, so that a call of the history needs no record.
    """
    if not namespace:
        return name
    joint = "" if namespace.endswith(_JOINT) else _JOINT
    whole = f"{namespace}{joint}{name}"
    plain = "".join(char if char in _CHARACTERS else "_" for char in whole)
    if plain == whole and len(plain) <= _MAX:
        return plain
    digest = sha256(whole.encode("utf-8", "replace")).hexdigest()[:_DIGITS]
    return f"{plain[: _MAX - _DIGITS - 1]}_{digest}"


def names_of(tools: Iterable[Tool]) -> Mapping[str, Mapping[str, str]]:
    """Return the members that name a call of each tool in a namespace, by the tool's full name."""
    return {
        tool.name: {"name": tool.own_name, "namespace": tool.namespace}
        for tool in tools
        if tool.namespace
    }
