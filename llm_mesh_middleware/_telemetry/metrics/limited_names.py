"""The names that metrics may carry as labels: their number and length are limited.

Clients and providers choose these names, and could otherwise make any number of time series:

    names      chosen by                              kept beyond the configured ones
    --------   ------------------------------------   -------------------------------
    models     clients, and responses                 100 of 128 characters
    fields     clients                                100 of 64 characters
    entities   webhooks and moderation endpoints      50 of 40 characters for a guard
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

__all__ = ["EntityNames", "FieldNames", "ModelNames"]

_OTHER = "_other"


class _LimitedNames:
    """The first names that are seen; any other has the label `_other`."""

    def __init__(self, max_names: int, max_chars: int) -> None:
        self.known: set[str] = set()
        self._max_names = max_names
        self._max_chars = max_chars

    def label(self, name: str) -> str:
        """Return the label for a name."""
        if name in self.known:
            return name
        if len(self.known) >= self._max_names or len(name) > self._max_chars:
            return _OTHER
        self.known.add(name)
        return name


class ModelNames:
    """Names from the configuration, and a limited number of those that providers return."""

    def __init__(self, configured: Callable[[], frozenset[str]]) -> None:
        """`configured` returns the names in the configuration in use."""
        self.configured = configured
        self._returned = _LimitedNames(100, 128)

    def requested(self, model: str | None) -> str | None:
        """Return the label for a requested model: `_other` unless the configuration names it."""
        if model is None or model in self.configured():
            return model
        return _OTHER

    def returned(self, model: str | None) -> str | None:
        """Return the label for the model that a response names."""
        if model is None or model in self._returned.known or model in self.configured():
            return model
        return self._returned.label(model)


class FieldNames:
    """Names of fields that were dropped from requests, and of parts from responses."""

    def __init__(self) -> None:
        self._names = _LimitedNames(100, 64)

    def labels(self, names: Iterable[str]) -> set[str]:
        """Return the labels of one call's fields; the items of a list are one field."""
        return {self._names.label(name.partition("[")[0]) for name in names}


class EntityNames:
    """Names of entities that guards have found."""

    def __init__(self) -> None:
        self._by_guard: dict[tuple[str, str], _LimitedNames] = {}

    def label(self, policy: str, guard: str, entity: str) -> str:
        """Return the label for what a guard has found."""
        names = self._by_guard.get((policy, guard))
        if names is None:
            names = self._by_guard[policy, guard] = _LimitedNames(50, 40)
        return names.label(entity) if entity.isascii() and entity.isprintable() else _OTHER
