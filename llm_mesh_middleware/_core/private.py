"""Private parts of values: fields that are not shown, and memories that are not compared."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

import msgspec

__all__ = ["Discreet", "Memory"]

Key = TypeVar("Key")
Value = TypeVar("Value")


class Discreet(msgspec.Struct, frozen=True):
    """A value whose representation has the fields that its class names in `shown`, no others.

    A field that is added later is hidden until somebody decides that it may end up in a log.
    """

    shown: ClassVar[tuple[str, ...]] = ()

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.shown)
        return f"{type(self).__name__}({shown})"

    # Rich prints the locals of tracebacks, and asks Structs for this.
    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [(name, getattr(self, name)) for name in self.shown]


class Memory(dict[Key, Value]):
    """What a value has computed before; two values that differ in nothing else are equal."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Memory)

    def __ne__(self, other: object) -> bool:
        return not isinstance(other, Memory)

    def __hash__(self) -> int:  # type: ignore[override]
        return 0
