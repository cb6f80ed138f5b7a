"""Secrets in a bootstrap: names of variables that Envoy reads when it starts, never values.

Manifests are compiled with a mark in place of each variable; a mark that arrives in a header field
becomes Envoy's own reference to that variable.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["MarkedEnvironment", "as_header_value", "resolve"]

_MARK = re.compile(r"__env\.(\w+)\.__")
_URL_ENDINGS = ("URL", "URI", "ENDPOINT", "BASE", "HOST")


class MarkedEnvironment(Mapping[str, str]):
    """An environment in which a variable that may be a secret has its own name for a value."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def __getitem__(self, name: str) -> str:
        if name.upper().endswith(_URL_ENDINGS):
            return self._environ[name]
        return f"__env.{name}.__"

    def __iter__(self) -> Iterator[str]:
        return iter(self._environ)

    def __len__(self) -> int:
        return len(self._environ)


def as_header_value(value: str) -> str:
    """Return a field value as Envoy formats it: marks are references, per cent is doubled."""
    pieces = _MARK.split(value.replace("%", "%%"))
    return "".join(
        f"%ENVIRONMENT({piece})%" if index % 2 else piece for index, piece in enumerate(pieces)
    )


def resolve(value: Any, environ: Mapping[str, str]) -> Any:
    """Return a configuration with the values of marks that no header field holds.

    Raises:
        KeyError: a variable is not set.
    """
    if isinstance(value, str):
        return _MARK.sub(lambda mark: environ[mark[1]], value)
    if isinstance(value, dict):
        return {key: resolve(item, environ) for key, item in value.items()}
    if isinstance(value, list):
        return [resolve(item, environ) for item in value]
    return value
