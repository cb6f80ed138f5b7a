"""The application's attributes of its calls, kept in the context that makes them."""

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

# By mesh: a mesh that is used inside the context of another has its own attributes.
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
    """Set attributes of calls that the mesh `owner` makes inside; they override outer ones."""
    outer = _stated.get()
    token = _stated.set({**outer, owner: {**outer.get(owner, _NONE), **attributes}})
    try:
        yield
    finally:
        # A generator may be closed in another context, which never had them.
        with contextlib.suppress(ValueError):
            _stated.reset(token)


@contextlib.contextmanager
def stated_by(owner: object, source: Source) -> Iterator[None]:
    """Ask `source`, a port and its request, for the attributes of calls made inside."""
    token = _sources.set({**_sources.get(), owner: source})
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            _sources.reset(token)


def attributes_for(owner: object) -> Attributes:
    """Return the attributes of the current context."""
    return _stated.get().get(owner, _NONE)


def source_for(owner: object) -> Source | None:
    """Return the source of attributes of the current context, if any."""
    return _sources.get().get(owner)
