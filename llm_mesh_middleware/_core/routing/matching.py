"""Matches of route rules: conditions on headers, paths, methods, models and attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ..values.messages import ClientRequest
from ..values.subject import SUBJECTS

if TYPE_CHECKING:
    from .regex import LinearPattern

__all__ = [
    "Condition",
    "Exact",
    "Match",
    "Prefix",
    "Present",
    "Regex",
    "StringTest",
]

_MAX_REGEX_VALUE = 8192


class Exact(msgspec.Struct, frozen=True):
    """The whole value, case-sensitive."""

    value: str

    def __call__(self, text: str) -> bool:
        return text == self.value


class Prefix(msgspec.Struct, frozen=True):
    """The beginning of the value, case-sensitive."""

    value: str

    def __call__(self, text: str) -> bool:
        return text.startswith(self.value)


class Regex(msgspec.Struct, frozen=True):
    """The whole value against a linear-time pattern; a value longer than 8 KiB never matches.

    Linear time still needs a bound: a model name in a body may be as long as the body.
    """

    pattern: LinearPattern

    def __call__(self, text: str) -> bool:
        return len(text) <= _MAX_REGEX_VALUE and self.pattern.fullmatch(text)


class Present(msgspec.Struct, frozen=True):
    """Any value, including the empty one; ASM writes it as `{}`."""

    def __call__(self, text: str) -> bool:
        return True


StringTest = Exact | Prefix | Regex | Present


class Condition:
    """One subject of a request (`kind` and, for headers and attributes, `key`) and its test."""

    __slots__ = ("_field", "_read", "key", "kind", "test")

    def __init__(self, kind: str, key: str, test: StringTest) -> None:
        self.kind = kind
        self.key = key
        self.test = test
        self._read = SUBJECTS[kind]
        self._field = key.encode("latin-1") if kind == "header" else None

    def __repr__(self) -> str:
        return f"Condition({self.kind!r}, {self.key!r}, {self.test!r})"

    def holds(self, request: ClientRequest) -> bool:
        """Return whether the request has the subject and it passes the test."""
        if self._field is not None and self._field not in request.headers.by_name:
            return False  # as with most header fields that are asked for
        value = self._read(request, self.key)
        return value is not None and self.test(value)


class Match(msgspec.Struct, frozen=True):
    """Conditions that must all hold.

    `excluded` is the reason if this workload can never satisfy the match (other labels or
    gateways); the match is kept so that it can be explained.
    """

    conditions: tuple[Condition, ...] = ()
    excluded: str | None = None

    def holds(self, request: ClientRequest) -> bool:
        """Return whether every condition holds."""
        if self.excluded is not None:
            return False
        for condition in self.conditions:  # noqa: SIM110 - as in `RouteRule.holds`
            if not condition.holds(request):
                return False
        return True
