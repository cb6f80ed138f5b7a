"""Values for providers, for as long as these live.

Providers are told apart by identity: those of Logfire are dataclasses, which have no hash.
"""

from __future__ import annotations

from typing import Generic, TypeVar
from weakref import ref

__all__ = ["ByIdentity"]

Value = TypeVar("Value")


class ByIdentity(Generic[Value]):
    """A mapping whose keys are compared by identity and kept alive by others only."""

    __slots__ = ("_values",)

    def __init__(self) -> None:
        self._values: dict[int, tuple[ref[object], Value]] = {}

    def get(self, key: object) -> Value | None:
        """Return the value of `key`, or None."""
        found = self._values.get(id(key))
        return None if found is None else found[1]

    def set(self, key: object, value: Value) -> None:
        """Keep a value until `key` is gone."""
        values, number = self._values, id(key)
        values[number] = (ref(key, lambda _: values.pop(number, None)), value)
