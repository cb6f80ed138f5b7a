"""What the application says of the calls it is about to make, in the context that makes them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from types import MappingProxyType

__all__ = ["check_facts", "facts_for", "stated"]

Facts = Mapping[str, str]

_NONE: Facts = MappingProxyType({})
_NOBODY: Mapping[object, Facts] = MappingProxyType({})

# By mesh: one that is used inside another's context has facts of its own.
_stated: ContextVar[Mapping[object, Facts]] = ContextVar("llm_mesh_attributes", default=_NOBODY)


def check_facts(facts: Mapping[str, object]) -> None:
    """Raise TypeError unless every fact is text."""
    for name, value in facts.items():
        if not isinstance(value, str):
            kind = type(value).__name__
            raise TypeError(f"attribute {name!r} is {kind}, not str: give it as text")


@contextlib.contextmanager
def stated(owner: object, facts: Facts) -> Iterator[None]:
    """Inside, `facts` hold for the calls of `owner`, beside and before those of the outside."""
    outer = _stated.get()
    token = _stated.set({**outer, owner: {**outer.get(owner, _NONE), **facts}})
    try:
        yield
    finally:
        # A generator that is closed elsewhere ends in another context, which never had the facts.
        with contextlib.suppress(ValueError):
            _stated.reset(token)


def facts_for(owner: object) -> Facts:
    """What is stated here and now."""
    return _stated.get().get(owner, _NONE)
