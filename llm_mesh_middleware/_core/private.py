"""Private parts of values: fields that `repr` hides, and caches that `==` ignores.

Objects that a call makes for itself, and changes, are hidden as a whole.
"""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

import msgspec

__all__ = ["Discreet", "Memory", "PerCall"]

Key = TypeVar("Key")
Value = TypeVar("Value")


class Discreet(msgspec.Struct, frozen=True):
    """A value whose representation has only the fields that its class names in `shown`.

    A new field is hidden by default, so that it cannot end up in a log by accident.
    """

    shown: ClassVar[tuple[str, ...]] = ()

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.shown)
        return f"{type(self).__name__}({shown})"

    # Rich prints the locals of tracebacks, and uses this for Structs.
    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [(name, getattr(self, name)) for name in self.shown]


class PerCall(msgspec.Struct, eq=False):
    """An object that a call makes for itself: compared by identity, and shown by its name only.

    A class with an `__init__` takes three times as long to make an object.
    """

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []


class Memory(dict[Key, Value]):
    """A cache inside of a value; it is equal to any other, so it has no part in comparisons."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Memory)

    def __ne__(self, other: object) -> bool:
        return not isinstance(other, Memory)

    def __hash__(self) -> int:  # type: ignore[override]
        return 0
