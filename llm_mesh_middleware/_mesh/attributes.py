"""What the application says of the calls it is about to make, in the context that makes them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from types import MappingProxyType

from .._core.values.steps import AsyncPort, Port

__all__ = ["Source", "attributes_for", "check_attributes", "source_for", "stated", "stated_by"]

Attributes = Mapping[str, str]
Source = tuple[Port | AsyncPort, object]

_NONE: Attributes = MappingProxyType({})
_NOBODY: Mapping[object, Attributes] = MappingProxyType({})
_NO_SOURCE: Mapping[object, Source] = MappingProxyType({})

# By mesh: one that is used inside another's context has attributes of its own.
_stated: ContextVar[Mapping[object, Attributes]] = ContextVar(
    "llm_mesh_attributes", default=_NOBODY
)
_sources: ContextVar[Mapping[object, Source]] = ContextVar(
    "llm_mesh_attribute_source", default=_NO_SOURCE
)


def check_attributes(attributes: Mapping[str, object]) -> None:
    """Raise TypeError unless every value is text."""
    for name, value in attributes.items():
        if not isinstance(value, str):
            kind = type(value).__name__
            raise TypeError(f"attribute {name!r} is {kind}, not str: give it as text")


@contextlib.contextmanager
def stated(owner: object, attributes: Attributes) -> Iterator[None]:
    """Inside, `attributes` hold for the calls of `owner`; they override those of the outside."""
    outer = _stated.get()
    token = _stated.set({**outer, owner: {**outer.get(owner, _NONE), **attributes}})
    try:
        yield
    finally:
        # A generator that is closed elsewhere ends in another context, which never had them.
        with contextlib.suppress(ValueError):
            _stated.reset(token)


@contextlib.contextmanager
def stated_by(owner: object, source: Source) -> Iterator[None]:
    """Inside, calls of `owner` ask `source`, a port and what it is asked, for attributes."""
    token = _sources.set({**_sources.get(), owner: source})
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            _sources.reset(token)


def attributes_for(owner: object) -> Attributes:
    """Return the attributes that are stated here and now."""
    return _stated.get().get(owner, _NONE)


def source_for(owner: object) -> Source | None:
    """Return whom to ask for attributes here and now, if anybody."""
    return _sources.get().get(owner)
